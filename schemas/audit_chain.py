"""How an entry of the audit is hashed: the same as `audit_text` and `audit_add` of migration 0009, for whoever verifies it.

The hash is SHA-256 of the 32 bytes of the hash before and the entry's text in UTF-8: its fields from `seq` to `message`, in their order,
each as `length in bytes`:`text`, and `-` for null. The first entry follows on 32 zero bytes.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

from flotilla.schemas.audit import AuditRow

NOTHING: Final = "00" * 32
"""The hash before the first entry."""


def row_hash(row: AuditRow) -> str:
    """What its hash must be, given the one before. Raises ValueError when `prev` is no hash."""
    return hashlib.sha256(bytes.fromhex(row.prev) + row_text(row)).hexdigest()


def row_text(row: AuditRow) -> bytes:
    """What is hashed of an entry."""
    parts = (
        *(str(row.seq), row.at, row.request_id, row.subject, row.about, row.host, row.credential),
        *(row.caller, row.origin, row.via, row.body, row.code, row.message),
    )
    return b"".join(map(_part, parts))


def moment_text(at: datetime) -> str:
    """A moment as it is hashed."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _part(text: str | None) -> bytes:
    if text is None:
        return b"-"
    data = text.encode()
    return b"%d:%b" % (len(data), data)
