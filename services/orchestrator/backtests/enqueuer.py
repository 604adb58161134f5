"""Puts backtests into the queue of trials: those on their own at once, those of studies as many ahead as workers need."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.queue import WorkQueue
from flotilla.schemas.backtest import TrialJob
from flotilla.schemas.contract import TRIAL_CONSUMER, TRIAL_QUEUE
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.model import Backtest, Claim
from flotilla.services.orchestrator.backtests.ports import BacktestRecord, Work
from flotilla.services.orchestrator.backtests.workers import WorkerLiveness
from flotilla.services.orchestrator.engines.actions import Clock

log = get_logger(__name__)

AHEAD: Final = 64
"""Backtests of studies that wait in the queue: enough for all workers, few enough that others need not wait long."""
ROUND_S: Final = 2.0
_LOST_AFTER: Final = timedelta(seconds=15)
_RETRY_S: Final = 1.0


class Enqueuer:
    """What is on record and not in the queue goes there; twice does no harm, because workers ask before they run it."""

    def __init__(
        self, bus: Bus, record: BacktestRecord, changes: Changes, liveness: WorkerLiveness, clock: Clock
    ) -> None:
        self._bus = bus
        self._record = record
        self._changes = changes
        self._liveness = liveness
        self._clock = clock
        self._given_up: dict[str, Claim] = {}
        self._queue = WorkQueue[TrialJob](bus, TRIAL_QUEUE, TRIAL_CONSUMER)
        self._has_news = asyncio.Event()
        self._empty_since: datetime | None = None

    def wake(self) -> None:
        """There may be something to put in, or room for it."""
        self._has_news.set()

    async def run(self) -> None:
        """Feeds the queue until cancelled; waits for what is away."""
        await self._made()
        while True:
            self._has_news.clear()
            try:
                await self.feed()
                await self._take_back()
                await self._look_for_lost()
            except FaultError as error:
                log.warning("the queue waits", error=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                await asyncio.wait_for(self._has_news.wait(), ROUND_S)
            except TimeoutError:
                continue

    async def feed(self) -> None:
        """Puts in what is due."""
        await self._put(await self._record.unqueued(of_studies=False, limit=AHEAD))
        room = AHEAD - (await self._record.backlog()).ahead
        if room > 0:
            await self._put(await self._record.unqueued(of_studies=True, limit=room))

    async def _take_back(self) -> None:
        """What the dead hold goes into the queue again, long before the queue itself gives them up; poison does not."""
        held = {each.backtest_id: each.facts.claim for each in await self._record.running()}
        dead = {name: claim for name, claim in held.items() if claim and self._liveness.is_over(claim)}
        news = [name for name, claim in dead.items() if self._given_up.get(name) != claim]
        if news:
            log.info("trials of workers that ended are queued again", count=len(news))
            await self._put(await self._record.works(await self._bearable(news, dead)))
        self._given_up = dead

    async def _bearable(self, names: Sequence[str], dead: Mapping[str, Claim]) -> list[str]:
        """Those that may be begun once more; the others end here."""

        def decide(backtest: Backtest) -> Backtest | None:
            is_dead = backtest.facts.claim == dead[backtest.backtest_id]
            return lifecycle.poisoned(backtest, self._clock()) if is_dead else None

        backtests = [await self._changes.take(name, decide) for name in names]
        return [each.backtest_id for each in backtests if not each.is_final]

    async def _is_never_begun(self, work: Work) -> bool:
        """True for one that no worker reads: it ends here."""

        def decide(backtest: Backtest) -> Backtest | None:
            return lifecycle.never_begun(backtest, work.queued, self._clock())

        return (await self._changes.take(work.backtest_id, decide)).is_final

    async def _made(self) -> None:
        while True:
            try:
                await self._queue.ensure()
            except Exception:
                log.exception("the queue cannot be made yet")
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _put(self, works: Sequence[Work]) -> None:
        for work in works:
            await self._bus.publish_durable(
                TRIAL_QUEUE, work.order, message_id=f"{work.backtest_id}-{work.queued + 1}"
            )
        if works:
            await self._record.queued([work.backtest_id for work in works], self._clock())

    async def _look_for_lost(self) -> None:
        """What has not ended while the queue has nothing left was lost with the queue's server: it goes in again."""
        now = self._clock()
        if await self._queue.left() != 0:
            self._empty_since = None
            return
        self._empty_since = self._empty_since or now
        if now - self._empty_since < _LOST_AFTER:
            return
        lost = [
            work
            for work in await self._record.lost(now - _LOST_AFTER, AHEAD)
            if not await self._is_never_begun(work)
        ]
        if lost:
            log.warning("backtests are queued again: the queue has lost them", count=len(lost))
            await self._put(lost)
            self._empty_since = None
