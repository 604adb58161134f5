"""A walk forward as people see it: for each fold the period that chose the parameters, and the one that tried them."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.backtest import BacktestView, StudyConfig, StudyKind, StudyView
from flotilla.schemas.figures import share
from flotilla.show import formats as words
from flotilla.show.output import table
from flotilla.show.study_figures import figure_cells, figure_columns, label, plain_metric, ranking, value

IN: Final = "in"
OUT: Final = "out"


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
            values = one.config.strategy_config
            names = (words.number(values.get(name)) for name in config.axes)
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
