"""The sheet of a study: its backtests by rank, a map over two axes, and of a walk forward the curve of what was tried out of sample."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Final

import msgspec

from flotilla.schemas.backtest import BacktestStatus, BacktestView, EquityPoint, StudyKind, StudyView
from flotilla.schemas.figures import FIGURES, UNDEFINED, share, written
from flotilla.schemas.thinning import Point
from flotilla.show import formats
from flotilla.show.backtest_tables import strategy_name
from flotilla.show.study_tables import (
    IN,
    Fold,
    chosen,
    counts,
    folds_of,
    label,
    metric,
    place_of,
    ranking,
)
from flotilla.show.tear_sheet.analysis import zone_of
from flotilla.show.tear_sheet.charts import Line, Time, time_chart
from flotilla.show.tear_sheet.equity import drawdown_chart
from flotilla.show.tear_sheet.heat import drawn, heat_map
from flotilla.show.tear_sheet.html import Html, element, facts, joined, note, section, table
from flotilla.show.tear_sheet.page import page
from flotilla.show.tear_sheet.scales import percent

_LISTED: Final = 500
_FAILED: Final = 20
_FIGURES: Final = ("total_return", "annualized_return", "sharpe_ratio", "max_drawdown", "total_trades")


class StudyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A study with its backtests, and the equity curves by id of those that tried out of sample, where their results were saved."""

    study: StudyView
    members: tuple[BacktestView, ...]
    curves: Mapping[str, tuple[EquityPoint, ...]] = {}


def study_sheet(record: StudyRecord) -> str:
    """The whole document: HTML of one file without any script, under 1 MB, the same for the same record."""
    study, config = record.study, record.study.config
    end = f"Made by Flotilla from the record of study {study.study_id}. What is not defined is shown as {UNDEFINED}. Times are UTC."
    return page(
        f"study of {strategy_name(config.base)} · {study.study_id}",
        _heading(study),
        _what_ran(study),
        _walk_forward(record) if config.kind is StudyKind.WALK_FORWARD else "",
        _map(record),
        _ranked(record),
        _failed(record.members),
        element("footer", element("p", end)),
    )


def _heading(study: StudyView) -> Html:
    base = study.config.base
    kind = str(study.config.kind).replace("_", " ")
    parts = (
        *(f"study {study.study_id}", kind, ", ".join(base.instruments[:3])),
        f"{base.start_date[:10]} to {base.end_date[:10]}",
    )
    title = element("h1", f"Study of {strategy_name(base)}")
    return element("header", title, element("p", " · ".join(parts), class_="lead"))


def _what_ran(study: StudyView) -> Html:
    config = study.config
    axes = [(name, _values(axis)) for name, axis in msgspec.to_builtins(config.axes).items()]
    rows = [
        ("backtests", counts(study)),
        ("sought", f"{'lowest' if config.lowest else 'highest'} {label(config)}"),
        *([("best", f"{study.best.backtest_id}: {metric(study.best, config)}")] if study.best else []),
        *([("not tried", f"{study.left_out:,}")] if study.left_out else []),
        *(
            [("folds", f"{config.folds}, {share(config.train_share)} in sample")]
            if config.kind is StudyKind.WALK_FORWARD
            else []
        ),
        *(
            [("samples", f"{config.samples:,}, seed {config.seed}")]
            if config.kind is StudyKind.RANDOM
            else []
        ),
    ]
    fixed = [
        (name, formats.number(each))
        for name, each in config.base.parameters.items()
        if name not in config.axes
    ]
    groups = [("Study", rows), ("Axes", axes), *([("Other parameters", fixed)] if fixed else [])]
    return section(
        "What ran",
        element(
            "div",
            *(element("div", element("h3", name), facts(each)) for name, each in groups),
            class_="columns",
        ),
    )


def _values(axis: Mapping[str, object]) -> str:
    values = axis.get("values")
    if isinstance(values, list | tuple) and values:
        return ", ".join(map(formats.number, values))
    step = f" by {formats.number(axis['step'])}" if axis.get("step") else ""
    return f"{formats.number(axis['low'])} to {formats.number(axis['high'])}{step}"


def _map(record: StudyRecord) -> Html:
    config = record.study.config
    is_walk = config.kind is StudyKind.WALK_FORWARD
    inside = [one for one in record.members if not is_walk or _is_in_sample(record.study, one)]
    found = heat_map(inside, config)
    if found is None:
        return section(
            "Results over two axes",
            note(
                "There is no result yet, or no axis has two values with one, or all have too many for a map."
            ),
        )
    best = next(iter(ranking(inside, config)), None)
    words = f"{label(config)}, the better the darker; the best has a border."
    if found.tried > 1:
        words += " A cell has the best of all that was tried there" + (
            ", in sample over all folds." if is_walk else "."
        )
    return section(
        "Results over two axes" if found.down else "Results over one axis",
        drawn(found, config, best),
        note(words),
    )


def _is_in_sample(study: StudyView, one: BacktestView) -> bool:
    place = place_of(study, one)
    return place is not None and place.sample == IN


def _ranked(record: StudyRecord) -> Html:
    config = record.study.config
    ranked = ranking(record.members, config)
    names = list(dict.fromkeys((config.best_by, *_FIGURES)))
    head = ("> ", "backtest", *(f">{name}" for name in config.axes), *(f">{_named(name)}" for name in names))
    rows = [
        (
            f"{number:,}",
            one.backtest_id,
            *(formats.number(one.config.parameter(name)) for name in config.axes),
            *(_figure(one, name) for name in names),
        )
        for number, one in enumerate(ranked[:_LISTED], 1)
    ]
    left = len(ranked) - _LISTED
    return section(
        f"Backtests by {label(config)}",
        table(head, rows) if rows else note("None has a result."),
        note(f"{left:,} more.") if left > 0 else "",
    )


def _named(name: str) -> str:
    return FIGURES[name].label if name in FIGURES else name


def _figure(one: BacktestView, name: str) -> str:
    found: float | None = getattr(one.metrics, name, None)
    return written(name, found) if name in FIGURES else formats.number(found)


def _failed(members: Sequence[BacktestView]) -> Html:
    failed = [one for one in members if one.status is BacktestStatus.FAILED]
    if not failed:
        return Html("")
    rows = [
        (one.backtest_id, str(one.reason or UNDEFINED), one.error or UNDEFINED) for one in failed[:_FAILED]
    ]
    left = len(failed) - _FAILED
    more = note(f"{left:,} more.") if left > 0 else ""
    return section("Failed", table(("backtest", "reason", "<what it said"), rows), more)


def _walk_forward(record: StudyRecord) -> Html:
    config = record.study.config
    folds = folds_of(record.study, record.members)
    head = (">fold", "out of sample", f">{label(config)} in", ">out", ">return out", "chosen")
    rows = [_fold_row(fold, record) for fold in folds]
    return joined((_stitched(folds, record), section("Folds", table(head, rows))))


def _fold_row(fold: Fold, record: StudyRecord) -> tuple[str, ...]:
    config, tried = record.study.config, fold.tried
    span = f"{tried.config.start_date[:10]} to {tried.config.end_date[:10]}" if tried else UNDEFINED
    gained = tried.metrics.total_return if tried and tried.metrics else None
    parameters = chosen(fold.chosen, config) if fold.chosen else UNDEFINED
    return (
        str(fold.number),
        span,
        metric(fold.chosen, config),
        metric(tried, config),
        share(gained),
        parameters,
    )


def _stitched(folds: Sequence[Fold], record: StudyRecord) -> Html:
    """What the choices earned one after the other, each fold beginning with what the one before ended with."""
    parts = [
        curve
        for fold in folds
        if fold.tried and len(curve := record.curves.get(fold.tried.backtest_id, ())) > 1
    ]
    points = stitched(parts)
    title = "Out of sample, stitched"
    if len(points) < 2:
        return section(
            title, note("There is no curve: no fold has tried its choice yet, or its result was not saved.")
        )
    time = Time(points[0][0], points[-1][0], zone_of(record.study.config.base.timezone or "UTC") or UTC)
    gained, worst = points[-1][1] - 1.0, min(each for _, each in losses(points))
    words = (
        f"{len(parts)} of {len(folds)} folds: {share(gained)} in all, at worst {share(worst)} from a high. Each begins with what the one before ended "
        "with; between them, where the next choice is made in sample, it stays as it is."
    )
    line = Line("out of sample", "accent", [(at_ns, grown - 1.0) for at_ns, grown in points])
    return section(
        title,
        time_chart("return out of sample", time, [line], written=percent),
        drawdown_chart(time, losses(points)),
        note(words),
    )


def stitched(curves: Iterable[Sequence[EquityPoint]]) -> list[Point]:
    """Growth of 1 over curves that follow each other; one that begins with nothing ends it."""
    found: list[Point] = []
    grown = 1.0
    for curve in curves:
        if curve[0].equity <= 0:
            break
        found += [(point.at_ns, grown * point.equity / curve[0].equity) for point in curve]
        grown = found[-1][1]
    return found


def losses(points: Sequence[Point]) -> list[Point]:
    """The share lost since the highest point so far, 0 or less."""
    high, found = 0.0, []
    for at_ns, value in points:
        high = max(high, value)
        found.append((at_ns, value / high - 1.0 if high > 0 else 0.0))
    return found
