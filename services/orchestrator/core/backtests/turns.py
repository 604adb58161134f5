"""What happens to a backtest: claimed, told of by its worker, cancelled. Nothing follows an end."""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from schemas.backtest import (
    BacktestStatus,
    ClaimTrial,
    Outcome,
    TrialClaimed,
    TrialFailed,
    TrialFailure,
    TrialProgress,
    TrialStarted,
)
from schemas.fault import FaultCode, fault
from services.orchestrator.core.backtests.model import Backtest, Claim

MAX_ATTEMPTS: Final = 5
"""A trial that lost this many workers is poison."""
SILENT_AFTER: Final = timedelta(seconds=10)
"""A worker that told nothing of its trial for this long does not run it any more."""


def claim(
    backtest: Backtest, request: ClaimTrial, *, heard_at: datetime | None, is_over: bool, now: datetime
) -> tuple[Backtest | None, TrialClaimed]:
    """Whether the worker shall run it, and the backtest where that changed it. `heard_at`: its last beat.

    `is_over`: the session that holds it has ended. It is run by one worker at a time as far as can be told: one that is merely out
    of sight may be running it still, and whichever result comes first counts.
    """
    held = backtest.facts.claim
    if backtest.is_final:
        return None, TrialClaimed(is_wanted=False, why=f"it has {_how(backtest)}")
    if backtest.status is BacktestStatus.RUNNING and held is not None:
        if (held.session_id, held.delivery) == (request.session_id, request.attempt):
            return None, TrialClaimed(is_wanted=True)  # our answer was lost
        last = max(held.at, heard_at or held.at)
        if not is_over and now - last < SILENT_AFTER:
            return None, TrialClaimed(is_wanted=False, why=f"worker {held.worker} runs it")
    if backtest.facts.attempts >= MAX_ATTEMPTS:
        error = f"it took {backtest.facts.attempts} workers along, the last was {held.worker if held else 'unknown'}"
        failed = _ended(backtest, BacktestStatus.FAILED, now, reason=TrialFailure.POISON, error=error)
        return failed, TrialClaimed(is_wanted=False, why="it took too many workers along")
    granted = Claim(worker=request.worker, session_id=request.session_id, delivery=request.attempt, at=now)
    facts = {"claim": granted, "attempts": backtest.facts.attempts + 1, "progress": None}
    running = _changed(backtest, now, status=BacktestStatus.RUNNING, **facts)
    return running, TrialClaimed(is_wanted=True)


def started(backtest: Backtest, event: TrialStarted, now: datetime) -> Backtest | None:
    """Its process runs; None when that is no news."""
    held = backtest.facts.claim
    if backtest.is_final or held is None or (held.worker, held.delivery) != (event.worker, event.attempt):
        return None
    return _changed(backtest, now, status=BacktestStatus.RUNNING, host=event.host, started_at=now)


def completed(backtest: Backtest, outcome: Outcome, now: datetime) -> Backtest | None:
    """All of its result is there, from whichever attempt; None when it had ended before."""
    if backtest.is_final:
        return None
    result = outcome.result
    return _ended(
        backtest,
        BacktestStatus.COMPLETED,
        now,
        metrics=result.metrics,
        currency=result.currency,
        events=result.events,
        elapsed_s=result.elapsed_s,
        has_result=backtest.config.save_results,
    )


def reported(backtest: Backtest, now: datetime) -> Backtest | None:
    """Its tear sheet is there too; None where there is no result that it is of, or one came before."""
    if not backtest.facts.has_result or backtest.facts.has_report:
        return None
    return _changed(backtest, now, status=backtest.status, has_report=True)


def failed(
    backtest: Backtest, worker: str, attempt: int, event: TrialFailed, now: datetime
) -> Backtest | None:
    """It ended without a result; None when it had ended before, or another attempt is at work."""
    if backtest.is_final or not _is_present(backtest, worker, attempt):
        return None
    return _ended(
        backtest,
        BacktestStatus.FAILED,
        now,
        reason=event.reason,
        error=event.detail,
        log_tail=event.log_tail,
    )


def unreadable(backtest: Backtest, problem: str, now: datetime) -> Backtest | None:
    """Its result came and cannot be read; None when it had ended before."""
    if backtest.is_final:
        return None
    error = f"its result cannot be read: {problem}"
    return _ended(backtest, BacktestStatus.FAILED, now, reason=TrialFailure.CRASH, error=error)


def cancelled(
    backtest: Backtest, now: datetime, *, error: str | None = None, progress: TrialProgress | None = None
) -> Backtest:
    """Nobody wants it any more. Raises FaultError `conflict` when it has ended, which says how."""
    if backtest.is_final:
        raise fault(FaultCode.CONFLICT, f"backtest {backtest.backtest_id} has {_how(backtest)}")
    known = progress or backtest.facts.progress
    return _ended(backtest, BacktestStatus.CANCELLED, now, error=error, progress=known)


def killed(backtest: Backtest, worker: str, attempt: int, now: datetime) -> Backtest | None:
    """Its worker says that it was cancelled; None when it had ended before, or another attempt is at work."""
    if backtest.is_final or not _is_present(backtest, worker, attempt):
        return None
    return cancelled(backtest, now)


def _is_present(backtest: Backtest, worker: str, attempt: int) -> bool:
    held = backtest.facts.claim
    return held is None or (held.worker, held.delivery) == (worker, attempt)


def _how(backtest: Backtest) -> str:
    at = f" at {backtest.ended_at:%Y-%m-%d %H:%M:%S} UTC" if backtest.ended_at else ""
    words = {BacktestStatus.CANCELLED: "been cancelled"}
    return f"{words.get(backtest.status, str(backtest.status))}{at}"


def _ended(backtest: Backtest, status: BacktestStatus, now: datetime, **facts: Any) -> Backtest:
    return msgspec.structs.replace(_changed(backtest, now, status=status, **facts), ended_at=now)


def _changed(backtest: Backtest, now: datetime, *, status: BacktestStatus, **facts: Any) -> Backtest:
    return msgspec.structs.replace(
        backtest,
        status=status,
        version=backtest.version + 1,
        updated_at=now,
        facts=msgspec.structs.replace(backtest.facts, **facts),
    )
