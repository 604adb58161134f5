"""Deletes what is too old, or too much, piece by piece; and says what is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.alerts import RECORD_OVER_BUDGET, RECORD_WITHIN_BUDGET
from flotilla.schemas.contract import STREAMS
from flotilla.schemas.fault import FaultError
from flotilla.schemas.record import KeptKind, ReadRecord, RecordKept, RecordKind
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.alerts import once_per
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.history.core.budget import FULL, live_bytes, too_many
from flotilla.services.orchestrator.history.ports import RetentionRecord, Sizes
from flotilla.services.orchestrator.settings import Retention

log = get_logger(__name__)

AT_ONCE: Final = 2000
"""Rows of one transaction: some ten milliseconds."""
_ROUND_S: Final = 300.0
_PAUSE_S: Final = 0.02
"""Between two transactions, so that whoever waits for a connection or the disk has it."""
_SPARED: Final = timedelta(days=1)
_MANY: Final = 50_000
"""So many rows deleted in one round make it worth to have their room back at once."""
_SHOWN: Final = 50
_DAY_S: Final = 86_400.0


class Keeping:
    """Carries out how long what is kept; `fleet.record.kept` is answered from here."""

    def __init__(
        self,
        record: RetentionRecord,
        clock: Clock,
        retention: Retention,
        *,
        audit_days: float,
        tell: Callable[[RaiseAlert], Awaitable[None]],
    ) -> None:
        self._record = record
        self._clock = clock
        self._retention = retention
        self._audit_days = audit_days
        self._tell = tell
        self._problem = ""
        self.deleted = 0

    async def run(self) -> None:
        """A round every five minutes, until cancelled."""
        while True:
            try:
                await self.round()
            except FaultError as error:
                log.info("what is old waits for the record", error=str(error))
            await asyncio.sleep(_ROUND_S)

    async def round(self) -> None:
        """Deletes what is too old, then what is too much. Raises FaultError while the record is away."""
        before = self.deleted
        await self._too_old()
        await self._too_much()
        if self.deleted - before >= _MANY:
            await self._record.make_room()
        if self.deleted != before:
            log.info("old rows deleted", rows=self.deleted - before)

    async def kept(self, _: ReadRecord) -> RecordKept:
        """What is on record."""
        kinds = [self._with_age(one) for one in await self._record.kinds()]
        logs = next(stream for stream in STREAMS if stream.name == "LOGS")
        on_bus = KeptKind(
            kind=RecordKind.LOGS, bytes=None, rows=None, oldest=None, keep_days=logs.max_age_s / _DAY_S
        )
        return RecordKept(
            bytes=(await self._record.sizes()).bytes,
            budget_bytes=self._retention.budget_bytes,
            kinds=(*kinds, on_bus),
            deletions=tuple(await self._record.deletions(_SHOWN)),
            problem=self._problem,
        )

    async def _too_old(self) -> None:
        """Events before ledgers, and both before the sessions that they are of."""
        await self._prune_events(
            self._before(self._retention.events_days), f"older than {_days(self._retention.events_days)}"
        )
        for kind, days in (
            (RecordKind.LEDGERS, self._retention.ledgers_days),
            (RecordKind.RESULTS, self._retention.results_days),
            (RecordKind.SESSIONS, self._retention.sessions_days),
        ):
            await self._prune(kind, self._before(days), f"older than {_days(days)}")

    async def _too_much(self) -> None:
        sizes = await self._record.sizes()
        live = _live(sizes)
        rule = f"more than {FULL:.0%} of the budget"
        spared = wall(self._clock()) - _SPARED
        if most := too_many(live, self._retention.budget_bytes, sizes.event_bytes):
            await self._prune_events(spared, rule, most)
            sizes = await self._record.sizes()
            live = _live(sizes)
        if too_many(live, self._retention.budget_bytes, sizes.event_bytes):
            # One piece a round: what its rows take is not known, and it is the last thing that people want to lose.
            self.deleted += await self._record.prune(RecordKind.LEDGERS, spared, AT_ONCE, rule)
            live = _live(await self._record.sizes())
        await self._compare(live)

    async def _compare(self, live: float) -> None:
        """Tells people when the record begins to be too large, and when it is so no longer."""
        was, at = self._problem, wall(self._clock())
        size, budget = live / 2**30, self._retention.budget_bytes
        self._problem = ""
        if live > budget:
            self._problem = (
                f"the record takes {size:.1f} GiB, and what is left of it is needed or younger than a day"
            )
        if bool(was) != bool(self._problem):
            kind = RECORD_OVER_BUDGET if self._problem else RECORD_WITHIN_BUDGET
            text = self._problem or f"the record takes {size:.1f} of {budget / 2**30:.1f} GiB"
            await self._tell(once_per(f"{at:%Y%m%d%H%M%S%f}", kind.fleet_alert(text, at)))

    async def _prune_events(self, before: datetime | None, rule: str, most: int | None = None) -> None:
        """Deletes events from before this time, as many as are to go."""
        deleted, is_more = 0, before is not None
        while before is not None and is_more and (most is None or deleted < most):
            piece = AT_ONCE if most is None else min(AT_ONCE, most - deleted)
            looked_at, gone = await self._record.prune_events(before, piece, rule)
            is_more = looked_at > 0
            deleted += gone
            self.deleted += gone
            await asyncio.sleep(_PAUSE_S)

    async def _prune(self, kind: RecordKind, before: datetime | None, rule: str) -> None:
        while before is not None and (gone := await self._record.prune(kind, before, AT_ONCE, rule)):
            self.deleted += gone
            await asyncio.sleep(_PAUSE_S)

    def _before(self, days: float | None) -> datetime | None:
        return None if days is None else wall(self._clock()) - timedelta(days=days)

    def _with_age(self, one: KeptKind) -> KeptKind:
        ages = {
            RecordKind.EVENTS: self._retention.events_days,
            RecordKind.LEDGERS: self._retention.ledgers_days,
            RecordKind.RESULTS: self._retention.results_days,
            RecordKind.SESSIONS: self._retention.sessions_days,
            RecordKind.COMMANDS: self._audit_days,
        }
        return KeptKind(
            kind=one.kind, bytes=one.bytes, rows=one.rows, oldest=one.oldest, keep_days=ages.get(one.kind)
        )


def _live(sizes: Sizes) -> float:
    return live_bytes(sizes.bytes, sizes.events_bytes, sizes.events, sizes.event_bytes)


def _days(days: float | None) -> str:
    return "any" if days is None else f"{days:g} days"
