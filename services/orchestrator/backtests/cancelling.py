"""Ends backtests that nobody wants any more: on record, and in the process that runs them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.backtest import BacktestStatus, BacktestView, CancelTrial, WhichBacktest
from flotilla.schemas.contract import BACKTEST_CANCEL, COMMAND_CANCEL_TRIAL
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.backtests.progress import Progress
from flotilla.services.orchestrator.backtests.workers import WorkerLiveness
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.ports import Command

log = get_logger(__name__)

KILL_S: Final = 8.0
_LOOK_S: Final = 0.1
_LOOKS: Final = 20
_AT_ONCE: Final = 8


class Cancelling:
    """A backtest is cancelled when its process is gone; where that cannot be found out, it is cancelled and said so."""

    def __init__(
        self,
        bus: Bus,
        changes: Changes,
        progress: Progress,
        liveness: WorkerLiveness,
        clock: Clock,
        *,
        ledger: Ledger,
    ) -> None:
        self._bus = bus
        self._changes = changes
        self._progress = progress
        self._liveness = liveness
        self._clock = clock
        self._ledger = ledger
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def cancel(self, request: WhichBacktest) -> BacktestView:
        """Asked again, the answer is the same. Raises FaultError: `conflict` for one that has ended otherwise, `outcome_unknown` when
        its process could not be confirmed gone.
        """

        async def run(stamp: Stamp) -> BacktestView:
            def command(backtest: Backtest) -> Command:
                return command_of(stamp, backtest.backtest_id, view(backtest))

            backtest, is_noted = await self._end(request.backtest_id, command)
            if not is_noted:
                await self._ledger.note(stamp, backtest.backtest_id, view(backtest))
            return view(backtest)

        return await self._ledger.once(BACKTEST_CANCEL, request, run)

    async def end_all(self, backtest_ids: Sequence[str]) -> None:
        """The same for several; what had ended is left alone, what could not be confirmed is logged."""

        async def end(backtest_id: str) -> None:
            async with self._limit:
                try:
                    await self._end(backtest_id, None)
                except FaultError as error:
                    log.info("not cancelled", backtest_id=backtest_id, error=str(error))

        async with asyncio.TaskGroup() as group:
            for backtest_id in backtest_ids:
                group.create_task(end(backtest_id), name=f"cancel:{backtest_id}")

    async def _end(
        self, backtest_id: str, command: Callable[[Backtest], Command] | None
    ) -> tuple[Backtest, bool]:
        """The cancelled backtest, and whether the command is on record with it."""
        is_changed = False

        def decide_pending(backtest: Backtest) -> Backtest | None:
            nonlocal is_changed
            is_changed = backtest.status not in (BacktestStatus.RUNNING, BacktestStatus.CANCELLED)
            return lifecycle.cancelled(backtest, self._clock()) if is_changed else None

        backtest = await self._changes.take(backtest_id, decide_pending, command=command)
        if backtest.status is BacktestStatus.RUNNING:
            return await self._end_running(backtest, command)
        if not is_changed:
            backtest = await self._confirm(backtest)
        return backtest, is_changed and command is not None

    async def _confirm(self, cancelled: Backtest) -> Backtest:
        """What was not known of its process when it was cancelled is found out now."""
        if cancelled.facts.error is None:
            return cancelled
        if problem := await self._kill(cancelled):
            raise _unconfirmed(cancelled.backtest_id, problem)
        return await self._changes.take(
            cancelled.backtest_id, lambda each: lifecycle.confirmed(each, self._clock())
        )

    async def _end_running(
        self, running: Backtest, command: Callable[[Backtest], Command] | None
    ) -> tuple[Backtest, bool]:
        backtest_id, told = running.backtest_id, False
        progress = self._progress.of(backtest_id)
        problem = await self._kill(running)

        def decide(backtest: Backtest) -> Backtest | None:
            nonlocal told
            told = backtest.status is BacktestStatus.CANCELLED
            if told:  # its worker told us first
                return None
            return lifecycle.cancelled(backtest, self._clock(), error=problem, progress=progress)

        # What was not confirmed is not on record as done: asked again, it is found out again.
        backtest = await self._changes.take(backtest_id, decide, command=None if problem else command)
        if problem is not None:
            raise _unconfirmed(backtest_id, problem)
        return backtest, command is not None and not told

    async def _kill(self, running: Backtest) -> str | None:
        """Has the process killed; what is not known of it when that could not be confirmed."""
        claim = running.facts.claim
        if claim is None:
            return None
        order = CancelTrial(backtest_id=running.backtest_id)
        try:
            await self._bus.call(COMMAND_CANCEL_TRIAL, order, timeout_s=KILL_S, instance_id=claim.worker)
        except FaultError as error:
            if error.fault.code == FaultCode.NOT_FOUND:
                await self._arrived(running.backtest_id)
            elif not self._liveness.is_over(claim):
                return f"its process was not confirmed gone: worker {claim.worker} says {error.fault.message}"
        return None

    async def _arrived(self, backtest_id: str) -> None:
        """A worker that does not run it any more has perhaps just told us of its end: that comes first."""
        for _ in range(_LOOKS):
            if (await self._changes.known(backtest_id)).is_final:
                return
            await asyncio.sleep(_LOOK_S)


def _unconfirmed(backtest_id: str, problem: str) -> FaultError:
    return fault(FaultCode.OUTCOME_UNKNOWN, f"backtest {backtest_id} is cancelled, but {problem}")
