"""Where the backtests of a study are, and which of them is the best."""

import math
from collections.abc import Iterable, Mapping

import msgspec

from flotilla.schemas.backtest import BacktestStatus, Metrics, StudyConfig
from flotilla.services.orchestrator.backtests.core.model import Backtest, Facts, Study


class Point(msgspec.Struct, frozen=True):
    """One backtest of a study; `value` is the metric that is sought, where it has one, by the definition of `figures_version`."""

    number: int
    backtest_id: str
    status: BacktestStatus
    value: float | None = None
    figures_version: int = 1


type Points = Mapping[int, Point]
"""By number."""


def point_of(backtest: Backtest, config: StudyConfig) -> Point:
    """What a study knows of a backtest of its own."""
    return point(backtest.number, backtest.backtest_id, backtest.status, backtest.facts, config.best_by)


def point(number: int, backtest_id: str, status: BacktestStatus, facts: Facts, best_by: str) -> Point:
    """The same from what the record has of it."""
    version = facts.summary.figures_version if facts.summary else 1
    return Point(number, backtest_id, status, metric(facts.metrics, best_by), version)


def metric(metrics: Metrics | None, name: str) -> float | None:
    """A metric by name; None where it is not defined."""
    value = getattr(metrics, name) if metrics else None
    return float(value) if value is not None and math.isfinite(value) else None


def best_of(points: Iterable[Point], *, lowest: bool) -> Point | None:
    """The completed one with the best value; of equal ones the first.

    Only those with the newest definition of figures are compared: a study may have begun before it changed.
    """
    valued = [
        (-point.figures_version, point.value if lowest else -point.value, point.number, point)
        for point in points
        if point.status is BacktestStatus.COMPLETED and point.value is not None
    ]
    return min(valued)[3] if valued else None


def best(study: Study, points: Points) -> Point | None:
    """The best of a study; of a walk forward the best of those that try a choice."""
    shown = (point for point in points.values() if not study.windows or is_test(study, point.number))
    return best_of(shown, lowest=study.config.lowest)


def is_test(study: Study, number: int) -> bool:
    """True for the last of each fold, which tries its choice."""
    return number % (len(study.choices) + 1) == 0
