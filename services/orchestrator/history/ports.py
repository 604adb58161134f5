"""What history needs from outside: where it is kept. Every method raises FaultError `unavailable` while that cannot be reached."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from flotilla.schemas.history import DayStart
from flotilla.schemas.ledger import LedgerName, ReadLedger
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
