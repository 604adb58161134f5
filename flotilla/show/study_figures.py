"""The metric that a study seeks: its name, its value, and the order that it makes of backtests."""

from collections.abc import Iterable
from typing import Final

from flotilla.schemas.backtest import BacktestStatus, BacktestView, StudyConfig
from flotilla.schemas.figures import FIGURES, UNDEFINED, written

_ALWAYS: Final = ("total_return", "total_trades")


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
