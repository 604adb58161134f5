"""The quick analyzer gives what NautilusTrader's own gives, bit for bit, in time that does not grow with the square."""

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from nautilus_trader.analysis import CAGR, MaxDrawdown, ReturnsVolatility, SharpeRatio, WinRate
from nautilus_trader.analysis.analyzer import PortfolioAnalyzer
from nautilus_trader.model.currencies import EUR, USD
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.objects import Money

from flotilla.engine_sidecar.engine.quick_analyzer import quicken

REPLACED = ("_append_pnl_record", "realized_pnls", "add_positions", "_calculate_returns_stats")


@pytest.fixture
def quick() -> Iterator[None]:
    own = {name: getattr(PortfolioAnalyzer, name) for name in REPLACED}
    yield
    for name, method in own.items():
        setattr(PortfolioAnalyzer, name, method)


def positions(count: int, seed: int) -> list[Any]:
    """Closed positions, some still open, some empty shells, some at the same moment."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        ts = 1_600_000_000_000_000_000 + chance.randrange(count) * 60_000_000_000
        pnl = None if chance.random() < 0.05 else Money(chance.uniform(-100, 100), chance.choice((USD, EUR)))
        made.append(
            SimpleNamespace(
                id=PositionId(f"P-{seed}-{number}"),
                realized_pnl=pnl,
                ts_last=ts,
                ts_closed=ts if chance.random() < 0.9 else 0,
                realized_return=chance.uniform(-0.1, 0.1),
            )
        )
    return made


def record(analyzer: PortfolioAnalyzer, closed: list[Any]) -> None:
    for position in closed:
        if position.realized_pnl is not None:
            analyzer.record_trade(position.id, position.realized_pnl, position.ts_last)


def all_series(count: int) -> list[pd.Series]:
    """Everything an analyzer gives, read while it is still being written to."""
    analyzer = PortfolioAnalyzer()
    record(analyzer, positions(count, 1))
    analyzer.add_positions(positions(count // 2, 1))
    analyzer.add_positions(positions(count // 3, 3))
    first = analyzer.realized_pnls(USD).copy()
    record(analyzer, positions(5, 4))
    return [
        first,
        analyzer.realized_pnls(USD),
        analyzer.realized_pnls(EUR),
        analyzer.position_returns(),
        analyzer.returns(),
    ]


@pytest.mark.parametrize("count", [6, 300])
def test_every_series_is_the_same_to_the_last_bit(quick: None, count: int) -> None:
    expected = all_series(count)
    quicken()
    for ours, theirs in zip(all_series(count), expected, strict=True):
        pd.testing.assert_series_equal(ours, theirs, check_exact=True)


def test_an_analyzer_without_positions_gives_the_same_nothing(quick: None) -> None:
    def nothing() -> tuple[Any, ...]:
        analyzer = PortfolioAnalyzer()
        analyzer.add_positions([])
        return analyzer.realized_pnls(), analyzer.realized_pnls(USD), list(analyzer.position_returns())

    expected = nothing()
    quicken()
    assert nothing() == expected


def test_a_reset_forgets_what_was_still_growing(quick: None) -> None:
    quicken()
    analyzer = PortfolioAnalyzer()
    record(analyzer, positions(10, 1))
    analyzer.reset()
    assert analyzer.realized_pnls(USD) is None


def test_series_are_built_when_they_are_read_and_not_at_each_position(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken()
    built: list[int] = []
    concat = pd.concat
    monkeypatch.setattr(pd, "concat", lambda parts, **kwargs: built.append(1) or concat(parts, **kwargs))
    analyzer = PortfolioAnalyzer()
    record(analyzer, positions(500, 1))
    assert built == []


def returns_statistics(count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of an analyzer's returns, and of those of its positions once there are more."""
    analyzer = PortfolioAnalyzer()
    for statistic in (CAGR, MaxDrawdown, ReturnsVolatility, SharpeRatio, WinRate):
        analyzer.register_statistic(statistic())
    analyzer.add_positions(positions(count, 1))
    first = analyzer.get_performance_stats_returns()
    analyzer.add_positions(positions(count // 2, 2))
    return first, analyzer.get_performance_stats_position_returns()


@pytest.mark.parametrize("count", [0, 6, 300])
def test_statistics_of_returns_are_the_same_to_the_last_bit(quick: None, count: int) -> None:
    # repr, since NaN is no NaN
    expected = repr(returns_statistics(count))
    quicken()
    assert repr(returns_statistics(count)) == expected


def test_returns_are_gone_through_once_and_not_for_each_statistic(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken()
    gone_through: list[int] = []
    items = pd.Series.items
    monkeypatch.setattr(pd.Series, "items", lambda series: gone_through.append(1) or items(series))
    returns_statistics(50)
    assert len(gone_through) == 2
