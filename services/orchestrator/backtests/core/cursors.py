"""Where a page of backtests or studies ends: the moment, number and id of its last one, as text that a client hands back."""

import re
from datetime import datetime
from typing import Final

from flotilla.schemas.fault import FieldError, invalid

_PARTED: Final = "~"
_CURSOR: Final = re.compile(r"\A([^~]{1,40})~([0-9]{1,9})~([A-Za-z0-9_-]{1,100})\Z")

type Place = tuple[datetime, int, str]
"""When it was asked for, its number in a study (0: in none), and its id."""


def cursor(at: datetime, number: int, name: str) -> str:
    """The place as text."""
    return _PARTED.join((at.isoformat().replace("+00:00", "Z"), str(number), name))


def place(text: str) -> Place:
    """The place that a cursor means. Raises FaultError `invalid` that names `cursor`."""
    match = _CURSOR.match(text)
    try:
        at = datetime.fromisoformat(match[1]) if match else None
    except ValueError:
        at = None
    if match is None or at is None or at.tzinfo is None:
        raise invalid(FieldError("cursor", "is not the `next` of a page before"))
    return at, int(match[2]), match[3]
