"""The sheet of a study: its backtests by rank, a map over two axes, and of a walk forward the curve of what was tried out of sample."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from flotilla.schemas.backtest import BacktestStatus, BacktestView, StudyConfig, StudyKind, StudyView
from flotilla.schemas.figures import FIGURES, UNDEFINED, share, written
from flotilla.schemas.walk_forward import WalkForward
from flotilla.show import formats
from flotilla.show.backtest_tables import strategy_name
from flotilla.show.study_tables import (
    IN,
    counts,
    label,
    metric,
    place_of,
    ranking,
)
from flotilla.show.tear_sheet.heat import drawn, heat_map
from flotilla.show.tear_sheet.html import Html, element, facts, note, section, table
from flotilla.show.tear_sheet.page import page
from flotilla.show.tear_sheet.walk_sheet import walked

_LISTED: Final = 500
_FAILED: Final = 20
_FIGURES: Final = ("total_return", "annualized_return", "sharpe_ratio", "max_drawdown", "total_trades")


class StudyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A study with its backtests, and of a walk forward its windows and curve."""

    study: StudyView
    members: tuple[BacktestView, ...]
    walk: WalkForward | None = None


def study_sheet(record: StudyRecord) -> str:
    """The whole document: HTML of one file without any script, under 1 MB, the same for the same record."""
    study, config = record.study, record.study.config
    end = f"Made by Flotilla from the record of study {study.study_id}. What is not defined is shown as {UNDEFINED}. Times are UTC."
    return page(
        f"study of {strategy_name(config.base)} · {study.study_id}",
        _heading(study),
        _what_ran(study),
        walked(record.walk, config) if record.walk else "",
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
            [("windows", f"{study.folds:,}, {_lengths(config)}")]
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


def _lengths(config: StudyConfig) -> str:
    """How the windows lie, and how long they are."""
    if config.in_sample_days is None or config.out_of_sample_days is None:
        return f"{config.windows}, {share(config.train_share)} in sample"
    step = config.step_days or config.out_of_sample_days
    return f"{config.windows}, {config.in_sample_days:g} days in sample, {config.out_of_sample_days:g} out of it, every {step:g} days"


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
            ", in sample over all windows." if is_walk else "."
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
    return (
        written(name, found, one.currency or "", is_bare=True) if name in FIGURES else formats.number(found)
    )


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
