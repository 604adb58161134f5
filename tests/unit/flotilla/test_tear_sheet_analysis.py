"""What a tear sheet works out from the lists of a result, by hand."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from benchmarks.records import DAY_NS, START_NS, curve, fill, long_record, point, trade
from flotilla.schemas.performance import Sample, deepest_drawdown
from flotilla.schemas.thinning import thinned
from flotilla.show.tear_sheet.analysis import (
    distribution,
    drawdowns,
    held,
    in_the_market,
    monthly_returns,
    side,
)
from flotilla.show.tear_sheet.scales import percent, scale, short, times


def test_the_first_of_the_drawdowns_is_that_of_the_headline_figures() -> None:
    equities = long_record().curve
    first = drawdowns(equities)[0]
    theirs = deepest_drawdown([Sample(each.at_ns, each.equity) for each in equities])
    assert theirs is not None
    assert (first.depth, first.days) == (theirs.depth, theirs.days)
    assert drawdowns(curve(1.0, 1.0, 2.0)) == drawdowns(()) == drawdowns(curve(0.0, 5.0)) == []


def test_months_are_of_the_zone_and_midnight_belongs_to_the_day_that_it_ends() -> None:
    # 30 days after 2000-01-02T00:00 is 2000-02-01T00:00, the end of January in UTC.
    samples = (point(0, 100.0), point(0, 100.0), point(30, 110.0), point(31, 121.0), point(365, 60.5))
    (year,) = monthly_returns(samples, UTC)[:1]
    assert year.year == 2000
    assert year.months[1] == pytest.approx(0.1)
    assert year.months[2] == pytest.approx(0.1)
    assert year.whole == pytest.approx(-0.395)
    (tokyo, *_) = monthly_returns(samples, ZoneInfo("Asia/Tokyo"))
    assert tokyo.months[1] == pytest.approx(0.0)
    assert tokyo.months[2] == pytest.approx(0.21)
    assert monthly_returns((point(0, 0.0), point(0, 0.0), point(1, 1.0)), UTC)[0].whole is None


def test_positions_are_the_sums_of_fills_and_time_in_the_market_is_of_all_of_them() -> None:
    first, last = START_NS, START_NS + 10 * DAY_NS
    fills = (
        *(fill(0, "BUY", "2"), fill(2, "SELL", "2"), fill(2, "SELL", "1")),
        *(
            fill(4, "BUY", "1"),
            fill(3, "BUY", "5", instrument_id="B"),
            fill(5, "SELL", "5", instrument_id="B"),
        ),
    )
    spx, other = held(fills, first, last)
    assert (spx.long, spx.short, spx.largest_long, spx.largest_short) == (0.2, 0.2, 2.0, -1.0)
    assert (other.long, other.short) == (0.2, 0.0)
    assert spx.steps[-1] == (last, 0.0)
    assert in_the_market([spx, other], first, last) == pytest.approx(0.5)


def test_trades_lie_in_bins_with_zero_as_an_edge() -> None:
    found = distribution([-10.0, -0.5, 0.0, 3.0, 25.0])
    assert found is not None
    edges = [found.low + number * found.width for number in range(len(found.counts) + 1)]
    assert any(abs(edge) < 1e-9 for edge in edges)
    below = sum(count for edge, count in zip(edges, found.counts, strict=False) if edge < -1e-9)
    assert (below, sum(found.counts)) == (2, 5)
    assert distribution([]) is None
    flat = distribution([0.0, 0.0])
    assert flat is not None
    assert sum(flat.counts) == 2


def test_winners_and_losers_have_their_averages_and_longest_runs() -> None:
    trades = [trade(n, pnl) for n, pnl in enumerate(("1", "3", "-2", "8", "0"))]
    won, lost = side(trades, 1), side(trades, -1)
    assert (won.trades, won.total, won.average, won.median, won.longest_run) == (3, 12.0, 4.0, 3.0, 2)
    assert (lost.trades, lost.average, lost.average_s) == (1, -2.0, 2 * 86_400)
    assert side([], 1).median is None


@pytest.mark.parametrize("count", [4, 50, 1_000])
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(count: int) -> None:
    points = [(n, float((n * 7_919) % 10_007)) for n in range(10_000)]
    found = thinned(points, count)
    assert len(found) <= count
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert {min(points, key=lambda each: each[1]), max(points, key=lambda each: each[1])} <= set(found)
    assert found == sorted(found)
    assert thinned(points[:3], 4) == points[:3]
    assert thinned([(5, 1.0)] * 9, 4)[0] == (5, 1.0)


def test_axes_have_round_numbers_with_the_digits_that_they_need() -> None:
    axis = scale(549_000.0, 2_390_000.0)
    assert [short(tick, axis.step) for tick in axis.ticks] == ["500k", "1.0M", "1.5M", "2.0M", "2.5M"]
    losses = scale(-0.131, 0.0, count=2)
    assert [percent(tick, losses.step) for tick in losses.ticks] == ["-20 %", "-10 %", "0 %"]
    tight = scale(998_000.0, 1_003_000.0, count=2)
    assert [short(tick, tight.step) for tick in tight.ticks] == ["997.5k", "1,000.0k", "1,002.5k", "1,005.0k"]
    flat = scale(1.1, 1.1)
    assert flat.low < 1.1 < flat.high
    assert [short(tick, 0.0025) for tick in (0.0025, 0.005)] == ["0.0025", "0.0050"]


def test_times_are_round_in_the_calendar_of_the_zone() -> None:
    assert [name for _, name in times(START_NS, START_NS + 7_000 * DAY_NS, UTC)] == ["2005", "2010", "2015"]
    assert [name for _, name in times(START_NS, START_NS + 3 * DAY_NS, UTC)] == [
        *("02 Jan", "03 Jan", "04 Jan", "05 Jan"),
    ]
    names = [name for _, name in times(START_NS, START_NS + DAY_NS // 24, ZoneInfo("Asia/Tokyo"))]
    assert names[0] == "09:00"
    assert times(START_NS, START_NS, UTC) == []
