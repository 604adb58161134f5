"""What is on record: how much of each kind, for how long it is kept, and what was deleted."""

from datetime import datetime
from enum import StrEnum

import msgspec


class RecordKind(StrEnum):
    """Kinds of what is kept."""

    EVENTS = "events"
    LEDGERS = "ledgers"
    MEASURES = "measures"
    COMMANDS = "commands"
    SESSIONS = "sessions"
    RESULTS = "results"
    OTHER = "other"
    LOGS = "logs"


class ReadRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what is on record."""


class KeptKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind. `bytes` are those on disk with indexes, also of rows that were deleted and not written over yet; `rows` is an estimate; null for
    logs, which the bus keeps. `keep_days` null: for ever, as far as the budget goes for events and ledgers.
    """

    kind: RecordKind
    bytes: int | None
    rows: int | None
    oldest: datetime | None
    keep_days: float | None


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule deleted of one kind within an hour, the last of it `at`."""

    at: datetime
    kind: RecordKind
    rule: str
    rows: int


class RecordKept(msgspec.Struct, frozen=True, kw_only=True):
    """What is on record. `problem` says why the record is larger than its budget though all was deleted that may be; "" where it is not."""

    bytes: int
    budget_bytes: int
    kinds: tuple[KeptKind, ...]
    deletions: tuple[Deletion, ...]
    problem: str = ""
