"""What studies look like to people; all of it fits into 80 columns."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.backtest import BacktestStatus, BacktestView, StudyConfig, StudyKind, StudyView
from flotilla.schemas.figures import FIGURES, UNDEFINED, share, written
from flotilla.show import formats
from flotilla.show.backtest_tables import status_text, strategy_name
from flotilla.show.figure_tables import has_old_figures
from flotilla.show.output import table

_ALWAYS: Final = ("total_return", "total_trades")
IN: Final = "in"
OUT: Final = "out"
SHOWN: Final = 10
_FAILED: Final = 3
_MARKS: Final = {
    BacktestStatus.COMPLETED: "green",
    BacktestStatus.FAILED: "red",
    BacktestStatus.CANCELLED: "magenta",
}


def label(config: StudyConfig) -> str:
    """The plain name of the metric that is sought."""
    return FIGURES[config.best_by].label if config.best_by in FIGURES else config.best_by


def value(backtest: BacktestView | None, config: StudyConfig) -> float | None:
    """The metric that is sought, of a backtest that has completed and has it."""
    if backtest is None or backtest.status is not BacktestStatus.COMPLETED:
        return None
    found: float | None = getattr(backtest.metrics, config.best_by, None)
    return found


def metric(backtest: BacktestView | None, config: StudyConfig) -> str:
    """The same as people read it; a dash where there is none."""
    return _written(config.best_by, value(backtest, config))


def plain_metric(found: float, config: StudyConfig) -> str:
    """A value of the metric that is sought, as people read it."""
    return _written(config.best_by, found)


def figure_columns(config: StudyConfig) -> list[str]:
    """The headings of the figures that are shown of each backtest: the metric sought, and what everybody asks for."""
    names = dict.fromkeys((config.best_by, *_ALWAYS))
    return [f">{FIGURES[name].label.upper() if name in FIGURES else name}" for name in names]


def figure_cells(backtest: BacktestView | None, config: StudyConfig) -> list[str]:
    """The figures that go with them; a dash where there are none."""
    shown = backtest.metrics if backtest and backtest.status is BacktestStatus.COMPLETED else None
    names = dict.fromkeys((config.best_by, *_ALWAYS))
    values = {name: getattr(shown, name, None) for name in names}
    return [_written(name, found) for name, found in values.items()]


def ranking(members: Iterable[BacktestView], config: StudyConfig) -> list[BacktestView]:
    """The completed ones that have the metric, best first; those with figures of an older definition come last."""
    sign = 1 if config.lowest else -1
    valued = [(found, one) for one in members if (found := value(one, config)) is not None]
    return [one for _, one in sorted(valued, key=lambda pair: (pair[1].summary is None, sign * pair[0]))]


def _written(name: str, found: float | None) -> str:
    if found is None:
        return UNDEFINED
    return written(name, found) if name in FIGURES else f"{found:,.10g}"


class Place(msgspec.Struct, frozen=True):
    """Where a backtest stands in a walk forward: its fold from 1, and whether it chooses (`in` sample) or tries (`out` of it)."""

    fold: int
    sample: str

    def __str__(self) -> str:
        return f"fold {self.fold} {'out of' if self.sample == OUT else 'in'} sample"


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """One fold: any backtest of its first period, the one of them that was chosen, and the one that tried its parameters."""

    number: int
    any_in: BacktestView | None
    chosen: BacktestView | None
    tried: BacktestView | None


def place_of(study: StudyView, backtest: BacktestView) -> Place | None:
    """None in a study of another kind. The backtests of a fold have consecutive numbers, the last one tries."""
    if study.config.kind is not StudyKind.WALK_FORWARD:
        return None
    size = study.total // study.config.folds
    fold, index = divmod(_number(backtest) - 1, size)
    return Place(fold + 1, OUT if index == size - 1 else IN)


def folds_of(study: StudyView, members: Iterable[BacktestView]) -> list[Fold]:
    """The folds in order; nothing is chosen while a backtest of the first period is under way."""
    places: dict[Place | None, list[BacktestView]] = {}
    for one in sorted(members, key=_number):
        places.setdefault(place_of(study, one), []).append(one)
    found = []
    for number in range(1, study.config.folds + 1):
        there, tried = places.get(Place(number, IN), []), places.get(Place(number, OUT), [])
        is_over = all(one.status.is_final for one in there)
        ranked = ranking(there, study.config) if is_over else []
        found.append(
            Fold(
                number=number,
                any_in=next(iter(there), None),
                chosen=next(iter(ranked), None),
                tried=next(iter(tried), None),
            )
        )
    return found


def walk_forward_report(study: StudyView, members: Iterable[BacktestView]) -> RenderableType:
    """The periods and figures of each fold, what was chosen in each, and how the choices did on average."""
    folds, config = folds_of(study, members), study.config
    parts: list[RenderableType] = [_periods(folds, config), Text(""), _choices(folds, config)]
    if summary := _summary(folds, config):
        parts.append(Text(f"\n{summary}"))
    return Group(*parts)


def _periods(folds: Sequence[Fold], config: StudyConfig) -> Table:
    made = table("FOLD", "SAMPLE", "FROM", "TO", *figure_columns(config))
    for fold in folds:
        made.add_row(
            str(fold.number), IN, *_period(fold.any_in), *figure_cells(fold.chosen, config), style="dim"
        )
        made.add_row("", OUT, *_period(fold.tried), *figure_cells(fold.tried, config))
    return made


def _choices(folds: Sequence[Fold], config: StudyConfig) -> Table:
    """Of folds that have chosen."""
    made = table("FOLD", "CHOSEN", *config.axes)
    for fold in folds:
        if (one := fold.chosen) is not None:
            names = (formats.number(one.config.parameter(name)) for name in config.axes)
            made.add_row(str(fold.number), Text(one.backtest_id, overflow="fold"), *names)
    return made


def _summary(folds: Sequence[Fold], config: StudyConfig) -> str:
    both = [
        (inside, outside)
        for fold in folds
        if (inside := value(fold.chosen, config)) is not None
        and (outside := value(fold.tried, config)) is not None
    ]
    if not both:
        return ""
    means = [math.fsum(side) / len(both) for side in zip(*both, strict=True)]
    returns = [fold.tried.metrics.total_return for fold in folds if fold.tried and fold.tried.metrics]
    known = [one for one in returns if one is not None]
    compounded = math.prod(1.0 + one for one in known) - 1.0 if len(known) == len(returns) else None
    return (
        f"out of sample, {len(both)} of {len(folds)} folds: mean {label(config)} {plain_metric(means[1], config)}"
        f" (in sample {plain_metric(means[0], config)}),\nreturns compounded {share(compounded)}"
    )


def _period(backtest: BacktestView | None) -> tuple[str, str]:
    config = backtest.config if backtest else None
    return (config.start_date[:10], config.end_date[:10]) if config else ("-", "-")


def _number(backtest: BacktestView) -> int:
    """From its id, `<study>-0007`."""
    return int(backtest.backtest_id.rpartition("-")[2])


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
            formats.duration(max(0.0, (now - study.created_at).total_seconds())),
            f"{done(study):,}/{study.total:,}",
            metric(study.best, study.config),
        )
    return made


def study_report(study: StudyView, members: Sequence[BacktestView]) -> RenderableType:
    """How a study stands: counts, the best so far, and the best few of its backtests, of a walk forward its folds."""
    parts: list[RenderableType] = [*_head(study)]
    if study.best is not None:
        parts.append(Text(f"  {_best(study, study.best)}"))
    if study.config.kind is StudyKind.WALK_FORWARD and members:
        parts += [Text(""), walk_forward_report(study, members)]
    elif ranked := ranking(members, study.config):
        parts += [Text(""), _ranked(ranked, study)]
    if any(map(has_old_figures, members)):
        parts.append(Text("figures of realized returns, as they were defined before", style="yellow"))
    failed = [one for one in members if one.status is BacktestStatus.FAILED]
    if failed:
        parts.append(Text(""))
    parts += [
        Text(f"{one.backtest_id} failed: {one.error or one.reason}", style="red") for one in failed[:_FAILED]
    ]
    if len(failed) > _FAILED:
        parts.append(Text(f"{len(failed) - _FAILED:,} more failed", style="red"))
    return Group(*parts)


def result_line(backtest: BacktestView, study: StudyView) -> Text:
    """One backtest that ended: `st-0007  completed  Sharpe ratio 0.41  fast_ema_period=5`."""
    config, place = study.config, place_of(study, backtest)
    return Text.assemble(
        f"{backtest.backtest_id}  ",
        status_text(backtest),
        f"  {place}" if place else "",
        f"  {label(config)} {metric(backtest, config)}" if backtest.metrics else "",
        (f"  {chosen(backtest, config)}", "dim"),
    )


def as_json(backtest: BacktestView, study: StudyView) -> str:
    """The same for programs."""
    config, place = backtest.config, place_of(study, backtest)
    line: dict[str, Any] = {
        "backtest_id": backtest.backtest_id,
        "status": backtest.status,
        "metrics": msgspec.to_builtins(backtest.metrics),
        "parameters": {name: config.parameter(name) for name in study.config.axes},
        "start_date": config.start_date,
        "end_date": config.end_date,
    }
    if place is not None:
        line |= {"fold": place.fold, "sample": place.sample}
    return msgspec.json.encode(line).decode()


def counts(study: StudyView) -> str:
    """`12 of 16 done: 11 completed, 1 failed, 2 running, 2 pending`."""
    order = ("completed", "failed", "cancelled", "running", "pending")
    parts = [f"{study.counts[name]:,} {name}" for name in order if study.counts.get(name)]
    return f"{done(study):,} of {study.total:,} done: {', '.join(parts) or 'none'}"


def done(study: StudyView) -> int:
    """How many have ended."""
    return sum(study.counts.get(str(one), 0) for one in BacktestStatus if one.is_final)


def chosen(backtest: BacktestView, config: StudyConfig) -> str:
    """What the backtest tries: `fast_ema_period=5 slow_ema_period=20`."""
    return " ".join(f"{name}={formats.number(backtest.config.parameter(name))}" for name in config.axes)


def _head(study: StudyView) -> Iterator[Text]:
    config = study.config
    why = f": {study.why_ended}" if study.why_ended and study.why_ended != study.status else ""
    style = _MARKS.get(study.status, "yellow")
    yield Text.assemble(("● ", style), (f"study {study.study_id} ", "bold"), f"{study.status}{why}")
    kind = str(config.kind).replace("_", " ")
    yield Text(f"  {kind} over {', '.join(config.axes)} of {strategy_name(config.base)}")
    yield Text(
        f"  {', '.join(config.base.instruments)}, {config.base.start_date[:10]} to {config.base.end_date[:10]}"
    )
    yield Text(f"  {counts(study)}")
    if study.left_out:
        same = " or are the same" if config.kind is StudyKind.RANDOM else ""
        yield Text(f"  not tried: {study.left_out:,} that break a rule of the strategy{same}", style="yellow")


def _best(study: StudyView, best: BacktestView) -> str:
    place, config = place_of(study, best), study.config
    where = f" (fold {place.fold})" if place else ""
    kind = "best out of sample by" if place else "best by"
    return f"{kind} {label(config)}: {best.backtest_id}{where}, {chosen(best, config)}"


def _ranked(ranked: Sequence[BacktestView], study: StudyView) -> RenderableType:
    config = study.config
    made = table("BACKTEST", *config.axes, *figure_columns(config))
    for one in ranked[:SHOWN]:
        made.add_row(
            Text(one.backtest_id, overflow="fold"),
            *(formats.number(one.config.parameter(name)) for name in config.axes),
            *figure_cells(one, config),
        )
    left = len(ranked) - SHOWN
    return Group(made, Text(f"{left:,} more", style="dim")) if left > 0 else made
