"""What history needs from outside: where it is kept. Every method raises FaultError `unavailable` while that cannot be reached."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from flotilla.schemas.history import DayStart
from flotilla.schemas.ledger import LedgerName, ReadLedger
from flotilla.schemas.record import Deletion, KeptKind, RecordKind
from flotilla.services.orchestrator.history.core.buckets import Bucket
from flotilla.services.orchestrator.history.core.cursors import Place
from flotilla.services.orchestrator.history.core.curves import Cut, Row


class Lost(msgspec.Struct, frozen=True):
    """So many rows were heard and could not be kept: of steps from `since` to `until`."""

    since: datetime
    until: datetime
    rows: int


class LedgerRecord(Protocol):
    """The ledgers, which the record fills in the transaction that records events."""

    async def page(
        self, name: LedgerName, question: ReadLedger, instance_ids: Sequence[str] | None, after: Place | None
    ) -> list[Any]:
        """Rows of a ledger, as LEDGER_ROWS says, at most `question.limit`; of these engines, None being all, in the order asked for."""


class MeasureRecord(Protocol):
    """What engines measured. Rows are added in the order of their times."""

    async def prepare(self, moment: datetime) -> None:
        """Makes room for rows of this day."""

    async def add(self, buckets: Sequence[Bucket]) -> None:
        """Keeps steps, for whose days there is room; one that is there already is put together with it."""

    async def add_lost(self, lost: Lost) -> None:
        """Notes what could not be kept."""

    async def roll(self, before: datetime) -> bool:
        """Makes a piece of the coarser steps of what ended `before`; True when there is more to do."""

    async def drop(self, now: datetime) -> Sequence[str]:
        """Drops what is older than it is kept and is in the coarser step; says what, by name."""

    async def rows(self, instance_id: str, since: datetime, until: datetime, cut: Cut) -> list[Row]:
        """What is kept of an engine, oldest first, in points that begin at `since`."""

    async def lost(self, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """The times in which something was lost, oldest first; a thousand at most."""

    async def day_starts(self, instance_ids: Sequence[str], since: datetime) -> Mapping[str, DayStart]:
        """The first equity of each of these engines that was known from `since` on."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The database in bytes, about how many events there are, and how many bytes one takes."""

    bytes: int
    events: int
    events_bytes: int
    event_bytes: float


class RetentionRecord(Protocol):
    """What can be deleted. Each deletion is one short transaction of at most `most` rows, which spares what is still needed, and is noted."""

    async def prune_events(self, before: datetime, most: int, rule: str) -> tuple[int, int]:
        """Looks at the oldest events, and deletes those that are not needed; how many it looked at and deleted, 0 when nothing is as old."""

    async def prune(self, kind: RecordKind, before: datetime, most: int, rule: str) -> int:
        """Deletes the oldest rows of ledgers, results or sessions; how many, 0 when nothing is as old."""

    async def sizes(self) -> Sizes:
        """How large all is."""

    async def make_room(self) -> None:
        """Has the room of deleted rows used again soon, where we may; the database does it by itself, later."""

    async def kinds(self) -> list[KeptKind]:
        """What there is of each kind, without for how long it is kept."""

    async def deletions(self, limit: int) -> list[Deletion]:
        """What was deleted, the last first."""
