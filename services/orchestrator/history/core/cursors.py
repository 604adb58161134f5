"""Where a page ended, as text that nobody needs to read."""

import base64
import binascii
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.ids import SessionId
from flotilla.schemas.ledger import LedgerRow

_MAX_SEQ: Final = 2**62


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What rows are ordered by: of the last one of a page."""

    at: datetime
    session_id: SessionId
    seq: int


def cursor_after(row: LedgerRow) -> str:
    """The cursor of the page that goes on after this row."""
    text = msgspec.json.encode(Place(row.at, row.session_id, row.seq))
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def place_of(cursor: str) -> Place:
    """Raises FaultError `invalid` for what was no cursor of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = msgspec.json.decode(text, type=Place)
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError):
        raise _unknown() from None
    if place.at.tzinfo is None or not 0 <= place.seq <= _MAX_SEQ:
        raise _unknown()
    return place


def _unknown() -> Exception:
    return invalid(FieldError("cursor", "is no `next` of a page"))
