"""Backtests, their results and studies in the shapes of the REST contract."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from flotilla.schemas.backtest import (
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    ClosedTrade,
    EquityPoint,
    Metrics,
    ResultPart,
    RunSummary,
    StudyView,
)
from flotilla.services.gateway.backtests.replies import (
    ActiveBacktest,
    BacktestDetails,
    BacktestSummary,
    CurvePoint,
    Results,
    ResultsSummary,
    ShownConfig,
    ShownMetrics,
    Trade,
    with_second_names,
)
from flotilla.services.gateway.backtests.study_replies import StudySummary
from flotilla.services.gateway.web.links import part_link, part_links, report_link


def iso_moment(ns: int) -> str:
    """UNIX nanoseconds in UTC; the fraction only where there is one."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}Z" if fraction else f"{text}Z"


_ENTRY: Final = {"LONG": "BUY", "SHORT": "SELL"}
"""The side of the order that opened a position of that side."""


def trade(closed: ClosedTrade) -> Trade:
    """A trade with its times as text and its figures as numbers."""
    return Trade(
        trade_id=closed.trade_id,
        instrument_id=closed.instrument_id,
        side=_ENTRY.get(closed.side, closed.side),
        position_side=closed.side,
        quantity=float(closed.quantity),
        entry_price=closed.entry_price,
        exit_price=closed.exit_price,
        entry_time=iso_moment(closed.entry_time_ns),
        exit_time=iso_moment(closed.exit_time_ns),
        pnl=float(closed.pnl),
        commission=float(closed.commission),
        duration=closed.duration_s,
        strategy_id=closed.strategy_id,
        currency=closed.currency,
    )


def curve_point(point: EquityPoint) -> CurvePoint:
    """A point of the equity curve with its time as text."""
    return CurvePoint(
        timestamp=iso_moment(point.at_ns),
        equity=point.equity,
        drawdown=point.drawdown,
        balance=point.balance,
        unrealized_pnl=point.unrealized_pnl,
    )


def shown(part: ResultPart, entry: msgspec.Raw) -> Any:
    """An entry of a part: trades and equity curve as the contract has them, everything else as it is on record."""
    if part is ResultPart.TRADES:
        return trade(msgspec.json.decode(entry, type=ClosedTrade))
    if part is ResultPart.EQUITY_CURVE:
        return curve_point(msgspec.json.decode(entry, type=EquityPoint))
    return entry


def results(
    view: BacktestView,
    summary: ResultsSummary,
    trades: Sequence[Trade] | None,
    curve: Sequence[CurvePoint] | None,
    more: dict[ResultPart, int],
) -> Results:
    """The results of a completed backtest. `more` has the offset of what follows the lists that go on."""
    return Results(
        **_fields(summary),
        trades=None if trades is None else tuple(trades),
        equity_curve=None if curve is None else tuple(curve),
        truncated=bool(more),
        more={str(part): part_link(view.backtest_id, part, offset) for part, offset in more.items()},
    )


def results_summary(view: BacktestView) -> ResultsSummary | None:
    """The figures of a completed backtest, and where the rest is; None for any other."""
    if view.status is not BacktestStatus.COMPLETED or view.metrics is None:
        return None
    is_saved = view.config.save_results and not view.is_result_gone
    return ResultsSummary(
        metrics=_metrics(view.metrics),
        benchmark=view.config.instruments[0] if _is_beside(view.metrics) else None,
        currency=view.currency,
        **_beside(view.summary),
        tearsheet=report_link(view.backtest_id) if is_saved else None,
        manifest=part_link(view.backtest_id, ResultPart.MANIFEST) if is_saved else None,
        links=part_links(view.backtest_id) if is_saved else {},
    )


def _metrics(metrics: Metrics) -> ShownMetrics:
    known = with_second_names(metrics)
    return ShownMetrics(**{name: known[name] for name in ShownMetrics.__struct_fields__})


def _is_beside(metrics: Metrics) -> bool:
    """True where a figure is of a benchmark, which is the run's first instrument."""
    return any(each is not None for each in (metrics.information_ratio, metrics.alpha, metrics.beta))


def _beside(summary: RunSummary | None) -> dict[str, Any]:
    """What stands beside the metrics; of a run from before there was that, only what its metrics are."""
    known = (
        _fields(summary) if summary else {**dict.fromkeys(RunSummary.__struct_fields__), "figures_version": 1}
    )
    known["order_counts"] = known.pop("orders")
    return known


def backtest_summary(view: BacktestView) -> BacktestSummary:
    """A backtest without the lists of its result."""
    figures = results_summary(view)
    return BacktestSummary(
        id=view.backtest_id,
        backtest_id=view.backtest_id,
        config=ShownConfig(**_fields(view.config), also_strategy_class=view.config.strategy_class),
        status=view.status,
        created_at=view.created_at,
        started_at=view.started_at,
        start_time=view.started_at,
        end_time=view.completed_at or view.cancelled_at,
        progress=view.progress,
        metrics=figures.metrics if figures else None,
        results=figures,
        error=view.error,
        completed_at=view.completed_at or UNSET,
        cancelled_at=view.cancelled_at or UNSET,
        study_id=view.study_id,
        trial=view.trial,
        attempts=view.attempts,
        worker=view.worker,
        host=view.host,
        reason=view.reason,
        log_tail=view.log_tail,
        elapsed_s=view.elapsed_s,
    )


def backtest_details(view: BacktestView, whole: Results | None) -> BacktestDetails:
    """A backtest with its result."""
    return BacktestDetails(**{**_fields(backtest_summary(view)), "results": whole})


def active_backtest(view: BacktestView) -> ActiveBacktest:
    """What a status says of a backtest that runs."""
    return ActiveBacktest(
        status=view.status, progress=view.progress, started_at=view.started_at, worker=view.worker
    )


def verdict_message(verdict: BacktestVerdict) -> str:
    """A verdict in words."""
    both = f"{verdict.backtest_id} and its run again {verdict.verify_id}"
    if verdict.is_equal is None:
        return f"{verdict.backtest_id} runs again as {verdict.verify_id}; ask again for how that stands"
    redefined = ""
    if verdict.figures_versions is not None:
        then, now = verdict.figures_versions
        redefined = (
            f"; the definition of figures has changed (version {then}, now {now}), they were not compared"
        )
    if verdict.is_equal:
        released = "; they ran with different releases" if verdict.changed_without_effect else ""
        return f"{both} are equal, {verdict.fills_compared} fills compared{released}{redefined}"
    where = f", first in {verdict.differences[0].where}" if verdict.differences else ""
    return f"{both} differ{where}{redefined}"


def study_summary(study: StudyView) -> StudySummary:
    """A study with its best backtest."""
    ended = sum(study.counts.get(str(status), 0) for status in BacktestStatus if status.is_final)
    return StudySummary(
        id=study.study_id,
        study_id=study.study_id,
        status=study.status,
        config=study.config,
        created_at=study.created_at,
        total=study.total,
        counts=study.counts,
        progress=round(100.0 * ended / study.total, 1) if study.total else 0.0,
        best=backtest_summary(study.best) if study.best else None,
        left_out=study.left_out,
        completed_at=study.completed_at,
        why_ended=study.why_ended,
        folds=study.folds,
    )


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
