"""How far trials are, from what their workers tell twice a second. Not kept: the record has what lasts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.backtest import BacktestStatus, CancelTrial, TrialBeat, TrialProgress
from flotilla.schemas.contract import COMMAND_CANCEL_TRIAL, FLEET_PROGRESS, TRIAL_BEAT
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.engines.actions import Clock

log = get_logger(__name__)

_TOLD_EVERY: Final = timedelta(seconds=0.45)
_ASKED_EVERY: Final = timedelta(seconds=5)


class _Running(msgspec.Struct):
    backtest: Backtest
    heard_at: datetime | None = None
    told_at: datetime | None = None
    progress: TrialProgress | None = None


class Progress:
    """The backtests that run, as they are now."""

    def __init__(self, bus: Bus, record: BacktestRecord, clock: Clock) -> None:
        self._bus = bus
        self._record = record
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._asked: dict[str, datetime] = {}
        self._tasks = Tasks()

    async def listen(self) -> None:
        """Hears all workers."""
        await self._bus.listen(TRIAL_BEAT, self._heard)

    def saw(self, backtest: Backtest) -> None:
        """The backtest changed."""
        if backtest.status is not BacktestStatus.RUNNING:
            self._running.pop(backtest.backtest_id, None)
            return
        known = self._running.get(backtest.backtest_id)
        if known is None or known.backtest.facts.claim != backtest.facts.claim:
            self._running[backtest.backtest_id] = _Running(backtest)
        else:
            known.backtest = backtest

    def of(self, backtest_id: str) -> TrialProgress | None:
        """The last that its worker told."""
        known = self._running.get(backtest_id)
        return known.progress if known else None

    def heard_at(self, backtest_id: str) -> datetime | None:
        """When its worker told anything last."""
        known = self._running.get(backtest_id)
        return known.heard_at if known else None

    def __len__(self) -> int:
        return len(self._running)

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._tasks.close()

    async def _heard(self, beat: TrialBeat, ids: Mapping[str, str]) -> None:
        if beat.worker != ids["instance_id"]:
            log.warning("progress in another worker's name", **ids)
            return
        known = self._running.get(beat.backtest_id)
        if known is None:
            self._ask(beat)
            return
        claim = known.backtest.facts.claim
        if claim is None or (claim.worker, claim.delivery) != (beat.worker, beat.attempt):
            return  # of an attempt that was given up
        now = self._clock()
        known.heard_at, known.progress = now, beat.progress
        if known.told_at is None or now - known.told_at >= _TOLD_EVERY:
            known.told_at = now
            shown = view(known.backtest, beat.progress)
            await self._bus.publish(FLEET_PROGRESS, shown, backtest_id=beat.backtest_id)

    def _ask(self, beat: TrialBeat) -> None:
        """Nothing that we know of runs: we have just begun, or a worker that was out of reach runs what was cancelled."""
        now = self._clock()
        self._asked = {each: at for each, at in self._asked.items() if now - at < _ASKED_EVERY}
        if beat.backtest_id not in self._asked:
            self._asked[beat.backtest_id] = now
            self._tasks.start(self._look(beat), name=f"backtest:{beat.backtest_id}")

    async def _look(self, beat: TrialBeat) -> None:
        try:
            found = (await self._record.backtests([beat.backtest_id])).get(beat.backtest_id)
            if found is not None and found.status is BacktestStatus.RUNNING:
                self.saw(found)
            elif found is not None and found.status is BacktestStatus.CANCELLED:
                order = CancelTrial(backtest_id=beat.backtest_id)
                await self._bus.call(COMMAND_CANCEL_TRIAL, order, instance_id=beat.worker)
        except FaultError as error:
            log.info("a trial that is not known to run", backtest_id=beat.backtest_id, error=str(error))
