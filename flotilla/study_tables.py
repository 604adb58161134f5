"""What studies look like to people; all of it fits into 80 columns."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla import words
from flotilla.backtest_tables import share, status_text, strategy_name
from flotilla.comparison_tables import FIGURES, figure
from flotilla.output import table
from schemas.backtest import BacktestStatus, BacktestView, StudyConfig, StudyView

SHOWN: Final = 10
_MARKS: Final = {
    BacktestStatus.COMPLETED: "green",
    BacktestStatus.FAILED: "red",
    BacktestStatus.CANCELLED: "magenta",
}


def studies_table(studies: Sequence[StudyView], now: datetime) -> RenderableType:
    """One row per study, as they come."""
    if not studies:
        return Text(
            "no studies; run one: flotilla study run --strategy ema_cross --axis fast_ema_period=5,10"
        )
    made = table("STUDY", "STATUS", "KIND", "STRATEGY", ">AGE", ">DONE", ">BEST")
    for study in studies:
        made.add_row(
            Text(study.study_id, overflow="fold"),
            Text(study.status, style=_MARKS.get(study.status, "yellow")),
            str(study.config.kind),
            strategy_name(study.config.base),
            words.duration(max(0.0, (now - study.created_at).total_seconds())),
            f"{done(study):,}/{study.total:,}",
            metric(study.best, study.config),
        )
    return made


def study_report(study: StudyView, members: Iterable[BacktestView]) -> RenderableType:
    """How a study stands: counts, the best so far, and the best few of its backtests."""
    config = study.config
    parts: list[RenderableType] = [
        Text.assemble(
            ("● ", _MARKS.get(study.status, "yellow")),
            (f"study {study.study_id} ", "bold"),
            str(study.status),
            f": {study.why_ended}" if study.why_ended else "",
        ),
        Text(
            f"  {config.kind} over {', '.join(config.axes)} of {strategy_name(config.base)}, "
            f"{config.base.start_date[:10]} to {config.base.end_date[:10]}"
        ),
        Text(f"  {counts(study)}"),
    ]
    if study.best is not None:
        parts.append(
            Text(f"  best by {label(config)}: {study.best.backtest_id}, {chosen(study.best, config)}")
        )
    ranked = ranking(members, config)
    if ranked:
        parts += [Text(""), _ranked(ranked, study)]
    failed = [one for one in members if one.status is BacktestStatus.FAILED][:3]
    parts += [Text(f"{one.backtest_id} failed: {one.error or one.reason}", style="red") for one in failed]
    return Group(*parts)


def ranking(members: Iterable[BacktestView], config: StudyConfig) -> list[BacktestView]:
    """The completed ones that have the metric, best first."""
    sign = 1 if config.lowest else -1
    valued = [(value, one) for one in members if (value := _value(one, config)) is not None]
    return [one for _, one in sorted(valued, key=lambda pair: sign * pair[0])]


def result_line(backtest: BacktestView, config: StudyConfig) -> Text:
    """One backtest that ended: `st-0007  completed  Sharpe ratio 0.41  fast_ema_period=5`."""
    return Text.assemble(
        f"{backtest.backtest_id}  ",
        status_text(backtest),
        f"  {label(config)} {metric(backtest, config)}" if backtest.metrics else "",
        (f"  {chosen(backtest, config)}", "dim"),
    )


def as_json(backtest: BacktestView, config: StudyConfig) -> str:
    """The same for programs."""
    figures = msgspec.to_builtins(backtest.metrics)
    line = {"backtest_id": backtest.backtest_id, "status": backtest.status, "metrics": figures}
    values = {name: backtest.config.strategy_config.get(name) for name in config.axes}
    return msgspec.json.encode({**line, "parameters": values}).decode()


def counts(study: StudyView) -> str:
    """`12 of 16 done: 11 completed, 1 failed, 2 running, 2 pending`."""
    order = ("completed", "failed", "cancelled", "running", "pending")
    parts = [f"{study.counts[name]:,} {name}" for name in order if study.counts.get(name)]
    return f"{done(study):,} of {study.total:,} done: {', '.join(parts) or 'none'}"


def done(study: StudyView) -> int:
    """How many have ended."""
    return sum(study.counts.get(str(one), 0) for one in BacktestStatus if one.is_final)


def label(config: StudyConfig) -> str:
    """The plain name of the metric that is sought."""
    return FIGURES[config.best_by][0] if config.best_by in FIGURES else config.best_by


def metric(backtest: BacktestView | None, config: StudyConfig) -> str:
    """The metric that is sought, of a backtest."""
    value = _value(backtest, config) if backtest else None
    if value is None:
        return "-"
    return figure(config.best_by, value) if config.best_by in FIGURES else f"{value:,.10g}"


def chosen(backtest: BacktestView, config: StudyConfig) -> str:
    """What the backtest tries: `fast_ema_period=5 slow_ema_period=20`."""
    values: dict[str, Any] = backtest.config.strategy_config
    return " ".join(f"{name}={words.number(values.get(name))}" for name in config.axes)


def _ranked(ranked: Sequence[BacktestView], study: StudyView) -> RenderableType:
    config = study.config
    made = table("BACKTEST", *config.axes, f">{label(config).upper()}", ">RETURN", ">TRADES")
    for one in ranked[:SHOWN]:
        if (figures := one.metrics) is None:
            continue
        values = one.config.strategy_config
        made.add_row(
            Text(one.backtest_id, overflow="fold"),
            *(words.number(values.get(name)) for name in config.axes),
            metric(one, config),
            share(figures.total_return),
            f"{figures.total_trades:,}",
        )
    left = len(ranked) - SHOWN
    return Group(made, Text(f"{left:,} more", style="dim")) if left > 0 else made


def _value(backtest: BacktestView, config: StudyConfig) -> float | None:
    if backtest.status is not BacktestStatus.COMPLETED:
        return None
    value: float | None = getattr(backtest.metrics, config.best_by, None)
    return value
