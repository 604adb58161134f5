"""Headline figures from marked equity: those of a public library on every kind of series, and none where there is none."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import empyrical
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flotilla.schemas.performance import (
    DAY_NS,
    Performance,
    Sample,
    day_end,
    day_ends,
    deepest_drawdown,
    performance,
    relative,
)
from tests.library_figures import FIGURES, library_figures

START = datetime(2020, 1, 1, tzinfo=UTC)
HOUR_NS = 3_600_000_000_000


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def business_days(count: int) -> list[int]:
    days = (START + timedelta(days=index, hours=21) for index in range(count * 2))
    return [ns(day) for day in days if day.weekday() < 5][:count]


def irregular(count: int, seed: int) -> list[int]:
    chance, at, moments = random.Random(seed), ns(START), []
    for _ in range(count):
        at += int(chance.expovariate(1 / (60 * HOUR_NS))) + 1
        moments.append(at)
    return moments


SERIES = {
    "daily bars of business days": business_days(700),
    "daily bars of a market that never closes": [ns(START) + DAY_NS * index for index in range(1, 701)],
    "hours around the clock": [ns(START) + HOUR_NS * index for index in range(1, 9_001)],
    "irregular": irregular(400, 5),
}


def walk(moments: list[int], seed: int = 1, drift: float = 0.0004, spread: float = 0.012) -> list[Sample]:
    """A run's curve: the opening equity with the first event's moment, then a sample at each event."""
    chance, equity = random.Random(seed), 1_000_000.0
    curve = [Sample(moments[0], equity)]
    for at in moments:
        equity *= 1.0 + chance.gauss(drift, spread)
        curve.append(Sample(at, equity))
    return curve


def flat(moments: list[int]) -> list[Sample]:
    return [Sample(at, 1_000_000.0) for at in (moments[0], *moments)]


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("drift", [0.0004, -0.0008])
def test_the_figures_are_those_of_a_public_library(name: str, zone: str, drift: float) -> None:
    curve = walk(SERIES[name], drift=drift)
    ours = performance(curve, ZoneInfo(zone))
    theirs = library_figures([one.at_ns for one in curve], [one.equity for one in curve], zone)
    for figure in FIGURES:
        assert getattr(ours, figure) == pytest.approx(theirs[figure], rel=1e-9, abs=1e-12), figure


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.0005, 0.05), count=st.integers(30, 120))
def test_they_are_also_on_whatever_walk(seed: int, spread: float, count: int) -> None:
    curve = walk(irregular(count, seed), seed, 0.0, spread)
    ours = performance(curve, UTC)
    theirs = library_figures([one.at_ns for one in curve], [one.equity for one in curve])
    if ours.returns < 30:
        assert ours.sharpe_ratio is None
        return
    assert ours.sharpe_ratio == pytest.approx(theirs["sharpe_ratio"], rel=1e-9, abs=1e-9)
    assert ours.max_drawdown == pytest.approx(theirs["max_drawdown"], rel=1e-9, abs=1e-12)


def test_twelve_per_cent_lost_over_twenty_years_is_two_thirds_of_a_per_cent_a_year() -> None:
    first, last = ns(datetime(1999, 1, 4, 21, tzinfo=UTC)), ns(datetime(2018, 12, 31, 21, tzinfo=UTC))
    moments = [first + (last - first) * index // 5_029 for index in range(5_030)]
    curve = [Sample(first, 1_000_000.0), *(Sample(at, 1_000_000.0) for at in moments[:-1])]
    found = performance([*curve, Sample(last, 879_500.0)], UTC)
    assert found.total_return == pytest.approx(-0.1205)
    assert found.annualized_return == pytest.approx(0.8795 ** (1 / 19.99) - 1, abs=2e-6)
    assert f"{found.annualized_return:.2%}" == "-0.64%"


def test_a_drawdown_within_a_day_counts_and_its_length_is_from_the_high_to_the_next() -> None:
    equities = [100.0, 110.0, 120.0, 90.0, 119.0, 121.0, 60.5, 70.0]
    curve = [Sample(ns(START) + 6 * HOUR_NS * index, equity) for index, equity in enumerate(equities)]
    found = performance(curve, UTC)
    assert found.max_drawdown == pytest.approx(-0.5)
    assert found.max_drawdown_days == pytest.approx(0.5)  # from 121 to the end: it is not made up for
    recovered = deepest_drawdown(curve[:6])
    assert recovered is not None
    assert (recovered.depth, recovered.days) == (pytest.approx(-0.25), pytest.approx(0.75))


def undefined(found: Performance) -> set[str]:
    return {name for name in FIGURES if getattr(found, name) is None}


RATIOS = {"sharpe_ratio", "sortino_ratio", "calmar_ratio"}
RUIN = RATIOS | {"annualized_return", "volatility"}
DAYS = SERIES["daily bars of business days"][:30]
FORTNIGHTS = [ns(START + timedelta(days=14 * index)) for index in range(1, 31)]


@pytest.mark.parametrize(
    ("equities", "without"),
    [
        ([100.0] * 31, RATIOS),  # flat: it made nothing, lost nothing, and has no ratios
        ([100.0 + index for index in range(31)], {"sortino_ratio", "calmar_ratio"}),  # never lost
        ([100.0, 50.0, 20.0, *[0.0] * 28], RUIN),  # lost all
        ([100.0, 50.0, -20.0, -20.0, *[10.0] * 26, 20.0], RUIN),  # was below nothing once
    ],
)
def test_what_is_not_defined_is_none(equities: list[float], without: set[str]) -> None:
    moments = (FORTNIGHTS[0], *FORTNIGHTS)
    found = performance([Sample(at, each) for at, each in zip(moments, equities, strict=True)], UTC)
    assert undefined(found) == without
    assert found.total_return == pytest.approx(equities[-1] / 100 - 1)


def test_beside_a_benchmark_figures_are_those_of_a_public_library() -> None:
    moments = SERIES["daily bars of business days"]
    curve, held = walk(moments), walk(moments, seed=2)[1:]
    prices = {each.at_ns: each.equity for each in held if each.at_ns not in moments[40:50]}
    found = relative(curve, prices, UTC)
    ends = [each for each in curve[1:] if each.at_ns in prices]
    own = pd.Series([each.equity for each in ends]).pct_change().iloc[1:]
    theirs = pd.Series(list(prices.values())).pct_change().iloc[1:]
    a_year = len(own) / ((ends[-1].at_ns - ends[0].at_ns) / (365.25 * DAY_NS))
    assert found.beta == pytest.approx(empyrical.beta(own, theirs), rel=1e-9)
    assert found.alpha == pytest.approx(empyrical.alpha(own, theirs, annualization=1) * a_year, rel=1e-9)
    ratio = empyrical.excess_sharpe(own, theirs) * math.sqrt(a_year)
    assert found.information_ratio == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize(
    ("count", "price", "without"),
    [
        (31, lambda index, _: 100.0 + index % 3, set()),
        (30, lambda index, _: 100.0 + index % 3, {"information_ratio", "alpha", "beta"}),  # 29 returns
        (31, lambda _, __: 100.0, {"alpha", "beta"}),  # nothing to move with
        (31, lambda index, _: float(index), {"information_ratio", "alpha", "beta"}),  # from nothing
        (31, lambda _, equity: equity, {"information_ratio"}),  # the benchmark itself
    ],
)
def test_what_is_not_defined_beside_a_benchmark_is_none(
    count: int, price: Callable[[int, float], float], without: set[str]
) -> None:
    curve = walk([ns(START) + DAY_NS * index for index in range(count)])
    prices = {each.at_ns: price(index, each.equity) for index, each in enumerate(curve[1:])}
    found = relative(curve, prices, UTC)
    assert {name for name, value in found._asdict().items() if value is None} == without
    assert relative(curve, {}, UTC) == (None, None, None)


def test_the_same_return_each_day_has_no_sharpe_ratio() -> None:
    curve = [Sample(DAYS[0], 100.0)]
    for at in DAYS:
        curve.append(Sample(at, curve[-1].equity * 1.001))
    assert performance(curve, UTC).sharpe_ratio is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_short_a_run_has_a_return_and_nothing_of_a_year(count: int) -> None:
    found = performance(walk(DAYS[:1])[: count + 1], UTC)
    assert undefined(found) >= {"annualized_return", "volatility", "sharpe_ratio", "sortino_ratio"}
    assert found.total_return is not None
    assert performance([], UTC) == Performance(*[None] * 8, returns=0, years=None)


@pytest.mark.parametrize(("days", "is_known"), [(2, False), (3, False), (29, False), (30, True), (200, True)])
def test_a_ratio_takes_thirty_returns(days: int, *, is_known: bool) -> None:
    found = performance(walk([ns(START) + DAY_NS * index for index in range(1, days + 1)]), UTC)
    assert found.returns == days
    assert found.annualized_return is found.calmar_ratio is None
    known = [figure is not None for figure in (found.volatility, found.sharpe_ratio, found.sortino_ratio)]
    assert known == [is_known] * 3
    assert None not in (found.total_return, found.max_drawdown, found.max_drawdown_days)


@pytest.mark.parametrize(
    ("first", "last", "is_known"),
    [
        ("2023-01-04", "2023-12-30", True),  # closes of all sessions of a calendar year
        ("2023-01-02", "2023-07-01", False),
        ("2023-01-31", "2023-12-31", False),
    ],
)
def test_a_return_is_not_annualized_before_a_year(first: str, last: str, *, is_known: bool) -> None:
    start, end = (ns(datetime.fromisoformat(f"{day}T00:00:00+00:00")) for day in (first, last))
    found = performance(walk(list(range(start, end + 1, DAY_NS))), UTC)
    assert (found.annualized_return is not None, found.calmar_ratio is not None) == (is_known, is_known)
    assert found.sharpe_ratio is not None


def test_the_return_of_one_day_is_no_rate_of_a_year() -> None:
    curve = [Sample(ns(START) + HOUR_NS * hour, 100.0 + hour / 6) for hour in range(7)]
    found = performance(curve, UTC)
    assert (found.returns, found.total_return) == (1, pytest.approx(0.01))
    assert undefined(found) == RUIN


@pytest.mark.parametrize(
    ("moment", "zone", "end"),
    [
        ("2024-03-09T12:00:00+00:00", "UTC", "2024-03-10T00:00:00+00:00"),
        ("2024-03-10T00:00:00+00:00", "UTC", "2024-03-10T00:00:00+00:00"),
        ("2024-03-10T12:00:00+00:00", "America/New_York", "2024-03-11T04:00:00+00:00"),  # 23 hours long
        ("2024-03-09T23:00:00+00:00", "Asia/Tokyo", "2024-03-10T15:00:00+00:00"),
    ],
)
def test_a_day_ends_at_midnight_where_the_run_says(moment: str, zone: str, end: str) -> None:
    found = day_end(ns(datetime.fromisoformat(moment)), ZoneInfo(zone))
    assert found == ns(datetime.fromisoformat(end))


def test_the_last_sample_of_each_day_is_its_end_and_midnight_belongs_to_the_day_before() -> None:
    at = [ns(START) + HOUR_NS * hour for hour in (1, 23, 24, 25, 49)]
    samples = [Sample(moment, float(index)) for index, moment in enumerate(at)]
    assert [one.equity for one in day_ends(samples, UTC)] == [2.0, 3.0, 4.0]


def test_a_day_is_that_of_the_zone() -> None:
    at = [ns(START) + HOUR_NS * hour for hour in (14, 15, 16)]
    samples = [Sample(moment, float(index)) for index, moment in enumerate(at)]
    assert [one.equity for one in day_ends(samples, ZoneInfo("Asia/Tokyo"))] == [1.0, 2.0]
