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
from flotilla.schemas.figures import FIGURES, UNDEFINED, ratio, share, written
from flotilla.schemas.walk_forward import WalkForward
from flotilla.show import formats
from flotilla.show.backtest_tables import status_text, strategy_name
from flotilla.show.figure_tables import NOTHING_REQUESTED, has_old_figures
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
    return _written(config.best_by, value(backtest, config), backtest.currency if backtest else None)


def metric_of(found: float | None, config: StudyConfig, currency: str | None = None) -> str:
    """A value of the metric that is sought, as people read it; a dash where there is none."""
    return _written(config.best_by, found, currency)


def figure_columns(config: StudyConfig) -> list[str]:
    """The headings of the figures that are shown of each backtest: the metric sought, and what everybody asks for."""
    names = dict.fromkeys((config.best_by, *_ALWAYS))
    return [f">{FIGURES[name].label.upper() if name in FIGURES else name}" for name in names]


def figure_cells(backtest: BacktestView | None, config: StudyConfig) -> list[str]:
    """The figures that go with them; a dash where there are none."""
    shown = backtest.metrics if backtest and backtest.status is BacktestStatus.COMPLETED else None
    names = dict.fromkeys((config.best_by, *_ALWAYS))
    values = {name: getattr(shown, name, None) for name in names}
    return [_written(name, found, backtest.currency if backtest else None) for name, found in values.items()]


def ranking(members: Iterable[BacktestView], config: StudyConfig) -> list[BacktestView]:
    """The completed ones that have the metric, best first; those with figures of an older definition come last."""
    sign = 1 if config.lowest else -1
    valued = [(found, one) for one in members if (found := value(one, config)) is not None]
    return [one for _, one in sorted(valued, key=lambda pair: (pair[1].summary is None, sign * pair[0]))]


def _written(name: str, found: float | None, currency: str | None) -> str:
    if found is None:
        return UNDEFINED
    return written(name, found, currency or "", is_bare=True) if name in FIGURES else f"{found:,.10g}"


class Place(msgspec.Struct, frozen=True):
    """Where a backtest stands in a walk forward: its window from 1, and whether it chooses (`in` sample) or tries (`out` of it)."""

    fold: int
    sample: str

    def __str__(self) -> str:
        return f"window {self.fold} {'out of' if self.sample == OUT else 'in'} sample"


def place_of(study: StudyView, backtest: BacktestView) -> Place | None:
    """None in a study of another kind. The backtests of a window have consecutive numbers, the last one tries."""
    if not study.folds:
        return None
    size = study.total // study.folds
    fold, index = divmod(_number(backtest) - 1, size)
    return Place(fold + 1, OUT if index == size - 1 else IN)


def walk_forward_report(
    study: StudyView, members: Iterable[BacktestView], walk: WalkForward
) -> RenderableType:
    """The periods and figures of each window, what was chosen in each, and what the choices earned one after the other."""
    config, by_id = study.config, {one.backtest_id: one for one in members}
    made = table("WINDOW", "SAMPLE", "FROM", "TO", *figure_columns(config))
    for one in walk.windows:
        chosen, tried = by_id.get(one.chosen or ""), by_id.get(one.tried or "")
        inside = (one.in_sample_start_ns, one.in_sample_end_ns)
        outside = (one.out_of_sample_start_ns, one.out_of_sample_end_ns)
        made.add_row(
            str(one.number), IN, *map(formats.day, inside), *figure_cells(chosen, config), style="dim"
        )
        made.add_row("", OUT, *map(formats.day, outside), *figure_cells(tried, config))
    parts: list[RenderableType] = [made, Text(""), _choices(walk, config)]
    parts += [Text("")] + [Text(line) for line in walk_forward_lines(walk, config)]
    if said := cold(walk, config):
        parts.append(Text(said, style="yellow"))
    return Group(*parts)


def _choices(walk: WalkForward, config: StudyConfig) -> Table:
    """Of windows that have chosen; a parameter that differs from the choice before is marked."""
    made = table("WINDOW", "CHOSEN", *config.axes)
    for one in walk.windows:
        if one.chosen is not None:
            cells = (
                Text(f"{formats.number(value)}*", style="yellow")
                if name in one.changed
                else formats.number(value)
                for name, value in ((name, one.parameters.get(name)) for name in config.axes)
            )
            made.add_row(str(one.number), Text(one.chosen, overflow="fold"), *cells)
    return made


def walk_forward_lines(walk: WalkForward, config: StudyConfig) -> Iterator[str]:
    """The stitched curve's figures, in sample against out of it, and how often the choice changed; what there is not is left out."""
    used = sum(one.is_stitched for one in walk.windows)
    if found := walk.figures:
        yield (
            f"out of sample, {used:,} of {len(walk.windows):,} windows stitched: return {share(found.total_return)}, "
            f"Sharpe ratio {ratio(found.sharpe_ratio)}, max drawdown {share(found.max_drawdown)}"
        )
    both = [
        (one.in_sample, one.out_of_sample)
        for one in walk.windows
        if one.in_sample is not None and one.out_of_sample is not None
    ]
    if both:
        inside, outside = (math.fsum(side) / len(both) for side in zip(*both, strict=True))
        yield (
            f"mean {label(config)} over {len(both):,} windows: {metric_of(inside, config, walk.currency)} in sample, "
            f"{metric_of(outside, config, walk.currency)} out of it"
        )
    choices = sum(one.chosen is not None for one in walk.windows)
    if choices > 1:
        changes = sum(bool(one.changed) for one in walk.windows)
        yield f"the choice changed at {changes:,} of {choices - 1:,} windows after the first (*)"


def cold(walk: WalkForward, config: StudyConfig) -> str:
    """Why windows began cold: strategies asked for the past and got nothing, or did not ask; empty where neither is so."""
    if config.base.warm_up and walk.answered_requests == 0:
        return f"{NOTHING_REQUESTED}, and each window began cold."
    if not walk.unanswered_requests:
        return ""
    return (
        f"{walk.unanswered_requests:,} requests for the past were answered with nothing out of sample: each window began cold. "
        "With --warm-up they are answered from the data before it."
    )


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


def study_report(
    study: StudyView, members: Sequence[BacktestView], walk: WalkForward | None = None
) -> RenderableType:
    """How a study stands: counts, the best so far, and the best few of its backtests, of a walk forward its windows."""
    parts: list[RenderableType] = [*_head(study)]
    if study.best is not None:
        parts.append(Text(f"  {_best(study, study.best)}"))
    if walk is not None:
        parts += [Text(""), walk_forward_report(study, members, walk)]
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
    where = f" (window {place.fold})" if place else ""
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
