"""Answers workers that took a trial from the queue: shall they run it?"""

from flotilla.schemas.backtest import ClaimTrial, TrialClaimed
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core import lifecycle as core
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.progress import Progress
from flotilla.services.orchestrator.backtests.worker_liveness import WorkerLiveness
from flotilla.services.orchestrator.engines.actions import Clock


class Claims:
    """Every claim is on record before it is answered."""

    def __init__(self, changes: Changes, progress: Progress, liveness: WorkerLiveness, clock: Clock) -> None:
        self._changes = changes
        self._progress = progress
        self._liveness = liveness
        self._clock = clock

    async def claim(self, request: ClaimTrial) -> TrialClaimed:
        """Whether to run it. Raises FaultError `not_found` for a backtest that nobody knows."""
        answer = TrialClaimed(is_wanted=False)

        def decide(backtest: Backtest) -> Backtest | None:
            nonlocal answer
            heard_at = self._progress.heard_at(backtest.backtest_id)
            held = backtest.facts.claim
            is_over = held is not None and self._liveness.is_over(held)
            changed, answer = core.claim(
                backtest, request, heard_at=heard_at, is_over=is_over, now=self._clock()
            )
            return changed

        await self._changes.take(request.backtest_id, decide)
        return answer
