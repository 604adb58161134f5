"""What happens to a backtest: claimed, told of by its worker, cancelled. Nothing follows an end."""

from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import (
    BacktestStatus,
    ClaimTrial,
    Outcome,
    TrialClaimed,
    TrialFailed,
    TrialFailure,
    TrialProgress,
    TrialStarted,
)
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.heartbeats import TRIAL_SILENT_AFTER
from flotilla.services.orchestrator.backtests.core.model import Backtest, Claim
from flotilla.services.orchestrator.core.record_time import wall

MAX_ATTEMPTS: Final = 5
"""A trial that was begun this often and never came to an end is poison."""
ALONE_AFTER: Final = 2
"""One that was begun this often runs alone from then on, so that no other is taken for poison in its place."""
MAX_QUEUED: Final = 8
"""One that left the queue this often and was never begun is read by no worker."""


def claim(
    backtest: Backtest, request: ClaimTrial, *, heard_at: datetime | None, is_over: bool, now: datetime
) -> tuple[Backtest | None, TrialClaimed]:
    """Whether the worker shall run it, and the backtest where that changed it. `heard_at`: its last beat.

    `is_over`: the session that holds it has ended. It is run by one worker at a time as far as can be told: one that is merely out
    of sight may be running it still, and whichever result comes first counts. No worker asks for what it runs already.
    """
    held = backtest.facts.claim
    if backtest.is_final:
        return None, TrialClaimed(is_wanted=False, why=f"it has {_how(backtest)}")
    if backtest.status is BacktestStatus.RUNNING and held is not None:
        is_same = held.session_id == request.session_id
        if is_same and held.delivery == request.attempt:
            return None, _granted(backtest)  # our answer was lost
        last = max(held.at, heard_at or held.at)
        if not (is_over or is_same) and now - last < TRIAL_SILENT_AFTER:
            return None, TrialClaimed(is_wanted=False, why=f"worker {held.worker} runs it")
    if (failed := poisoned(backtest, now)) is not None:
        return failed, TrialClaimed(is_wanted=False, why="it was begun too often")
    granted = Claim(worker=request.worker, session_id=request.session_id, delivery=request.attempt, at=now)
    facts = {"claim": granted, "attempts": backtest.facts.attempts + 1, "progress": None}
    running = _changed(backtest, now, status=BacktestStatus.RUNNING, **facts)
    return running, _granted(running)


def poisoned(backtest: Backtest, now: datetime) -> Backtest | None:
    """It is not begun once more, whoever held it last having lost it; None when it has ended, or may be."""
    facts = backtest.facts
    if backtest.is_final or facts.attempts < MAX_ATTEMPTS:
        return None
    last = facts.claim.worker if facts.claim else "unknown"
    error = f"begun {facts.attempts} times, and each time its process or its worker was killed; the last was {last}"
    return _ended(backtest, BacktestStatus.FAILED, now, reason=TrialFailure.POISON, error=error)


def never_begun(backtest: Backtest, queued: int, now: datetime) -> Backtest | None:
    """It is not queued once more when workers took it from the queue `queued` times and none asked to run it."""
    if backtest.is_final or backtest.facts.attempts > 0 or queued < MAX_QUEUED:
        return None
    error = f"queued {queued} times, and no worker began it: are the engines' image and the services of one release?"
    return _ended(backtest, BacktestStatus.FAILED, now, reason=TrialFailure.NEVER_BEGUN, error=error)


def _granted(backtest: Backtest) -> TrialClaimed:
    return TrialClaimed(is_wanted=True, is_alone=backtest.facts.attempts > ALONE_AFTER)


def started(backtest: Backtest, event: TrialStarted, now: datetime) -> Backtest | None:
    """Its process runs; None when that is no news. One that nobody asked for is run unasked: it is claimed by that."""
    held = backtest.facts.claim
    if backtest.is_final or (held and (held.worker, held.delivery) != (event.worker, event.attempt)):
        return None
    facts: dict[str, Any] = {"host": event.host, "started_at": wall(now)}
    if held is None:
        own = Claim(worker=event.worker, session_id=event.session_id, delivery=event.attempt, at=now)
        facts |= {"claim": own, "attempts": backtest.facts.attempts + 1}
    return _changed(backtest, now, status=BacktestStatus.RUNNING, **facts)


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
        summary=result.summary,
        events=result.events,
        elapsed_s=result.elapsed_s,
        has_result=backtest.config.save_results,
    )


def reported(backtest: Backtest, now: datetime) -> Backtest | None:
    """Its tear sheet is there too; None where there is no result that it is of, or one came before."""
    if not backtest.facts.has_result or backtest.facts.has_report:
        return None
    return _changed(backtest, now, status=backtest.status, has_report=True)


def require_completed(backtest: Backtest) -> None:
    """Raises FaultError `conflict` unless it has completed."""
    if backtest.status is not BacktestStatus.COMPLETED:
        text = f"backtest {backtest.backtest_id} has no result: it is {backtest.status}"
        raise fault(FaultCode.CONFLICT, text)


def require_result(backtest: Backtest) -> None:
    """Raises FaultError unless its result is on record: `conflict` when it has not completed, `not_found` when none is kept."""
    require_completed(backtest)
    if not backtest.facts.has_result:
        why = "was deleted" if backtest.config.save_results else "was not saved (save_results)"
        raise fault(FaultCode.NOT_FOUND, f"the result of backtest {backtest.backtest_id} {why}")


def without_result(backtest: Backtest, now: datetime) -> Backtest:
    """Its result and its tear sheet are deleted, its figures stay. Raises FaultError as `require_result` does."""
    require_result(backtest)
    return _changed(backtest, now, status=backtest.status, has_result=False, has_report=False)


def failed(
    backtest: Backtest,
    worker: str,
    attempt: int,
    event: TrialFailed,
    now: datetime,
    *,
    progress: TrialProgress | None = None,
) -> Backtest | None:
    """It ended without a result, as far as `progress`; None when it had ended before, or another attempt is at work."""
    if backtest.is_final or not _is_present(backtest, worker, attempt):
        return None
    return _ended(
        backtest,
        BacktestStatus.FAILED,
        now,
        reason=event.reason,
        error=event.detail,
        log_tail=event.log_tail,
        progress=progress or backtest.facts.progress,
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


def confirmed(backtest: Backtest, now: datetime) -> Backtest | None:
    """The process of a cancelled one is known to be gone; None when that is no news."""
    if backtest.status is not BacktestStatus.CANCELLED or backtest.facts.error is None:
        return None
    return _changed(backtest, now, status=backtest.status, error=None)


def killed(
    backtest: Backtest, worker: str, attempt: int, now: datetime, *, progress: TrialProgress | None = None
) -> Backtest | None:
    """Its worker says that it was cancelled at `progress`; None when it had ended, or another attempt is at work."""
    if backtest.is_final or not _is_present(backtest, worker, attempt):
        return None
    return cancelled(backtest, now, progress=progress)


def _is_present(backtest: Backtest, worker: str, attempt: int) -> bool:
    held = backtest.facts.claim
    return held is None or (held.worker, held.delivery) == (worker, attempt)


def _how(backtest: Backtest) -> str:
    at = f" at {backtest.ended_at:%Y-%m-%d %H:%M:%S} UTC" if backtest.ended_at else ""
    words = {BacktestStatus.CANCELLED: "been cancelled"}
    return f"{words.get(backtest.status, str(backtest.status))}{at}"


def _ended(backtest: Backtest, status: BacktestStatus, now: datetime, **facts: Any) -> Backtest:
    return msgspec.structs.replace(_changed(backtest, now, status=status, **facts), ended_at=wall(now))


def _changed(backtest: Backtest, now: datetime, *, status: BacktestStatus, **facts: Any) -> Backtest:
    return msgspec.structs.replace(
        backtest,
        status=status,
        version=backtest.version + 1,
        updated_at=now,
        facts=msgspec.structs.replace(backtest.facts, **facts),
    )
