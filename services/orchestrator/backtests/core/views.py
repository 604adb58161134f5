"""Backtests and studies as people see them."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from flotilla.schemas.backtest import BacktestStatus, BacktestView, StudyView, TrialProgress
from flotilla.services.orchestrator.backtests.core.axes import asked
from flotilla.services.orchestrator.backtests.core.model import Backtest, Study
from flotilla.services.orchestrator.backtests.core.study_ranking import Point

_DONE: Final = (BacktestStatus.COMPLETED, BacktestStatus.FAILED)


def view(backtest: Backtest, live: TrialProgress | None = None) -> BacktestView:
    """The backtest; `live` is what its worker told last, while it runs."""
    facts, status = backtest.facts, backtest.status
    trial = live if status is BacktestStatus.RUNNING and live else facts.progress
    return BacktestView(
        backtest_id=backtest.backtest_id,
        status=status,
        config=backtest.config,
        created_at=backtest.created_at,
        progress=_percent(status, trial),
        study_id=backtest.study_id,
        trial=trial,
        started_at=facts.started_at,
        completed_at=backtest.ended_at if status in _DONE else None,
        cancelled_at=backtest.ended_at if status is BacktestStatus.CANCELLED else None,
        attempts=facts.attempts,
        worker=facts.claim.worker if facts.claim else None,
        host=facts.host,
        metrics=facts.metrics,
        currency=facts.currency,
        summary=facts.summary,
        reason=facts.reason,
        error=facts.error,
        log_tail=facts.log_tail,
        has_report=facts.has_report,
        elapsed_s=facts.elapsed_s,
        events=facts.events,
        is_result_gone=backtest.is_result_gone,
    )


def study_view(study: Study, points: Iterable[Point], best: BacktestView | None) -> StudyView:
    """The study, with how many of its backtests are where."""
    counts = Counter(str(point.status) for point in points)
    status = study.status
    if not status.is_final and any(name != BacktestStatus.PENDING for name in counts):
        status = BacktestStatus.RUNNING
    return StudyView(
        study_id=study.study_id,
        status=status,
        config=study.config,
        created_at=study.created_at,
        total=study.total,
        counts={str(each): counts[str(each)] for each in BacktestStatus},
        best=best,
        left_out=max(0, asked(study.config) - len(study.choices)),
        completed_at=study.ended_at,
        why_ended=study.why_ended,
        folds=len(study.windows),
    )


def _percent(status: BacktestStatus, trial: TrialProgress | None) -> float:
    if status is BacktestStatus.COMPLETED:
        return 100.0
    return round(trial.percent, 1) if trial else 0.0
