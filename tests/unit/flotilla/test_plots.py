"""Curves drawn with characters."""

from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.backtest import EquityPoint
from flotilla.show.plots import ROWS, braille, equity_plot, overlay, spans

DAY = 86_400_000_000_000


def curve(*equity: float) -> list[EquityPoint]:
    highest, points = equity[0], []
    for index, value in enumerate(equity):
        highest = max(highest, value)
        points.append(
            EquityPoint(
                at_ns=index * DAY,
                equity=value,
                balance=value,
                unrealized_pnl=0.0,
                drawdown=1 - value / highest if highest else 0.0,
            )
        )
    return points


def test_a_rising_curve_goes_from_the_lower_left_to_the_upper_right() -> None:
    lines = braille(spans([(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)], 4), 0.0, 3.0, 1)
    assert ord(lines[0][0]) & 0x40
    assert ord(lines[0][1]) & 0x08


def test_a_value_holds_until_the_next_one_and_jumps_are_drawn_whole() -> None:
    assert spans([(0, 1.0), (90, 5.0), (100, 5.0)], 4) == [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 5.0)]


def test_a_curve_that_begins_later_or_ends_sooner_is_not_drawn_there() -> None:
    drawn = spans([(25, 1.0), (50, 2.0)], 4, 0, 100)
    assert drawn == [(1.0, 1.0), (1.0, 2.0), None, None]


def test_the_plot_names_the_range_the_deepest_loss_and_the_dates() -> None:
    lines = equity_plot(curve(100.0, 200.0, 50.0, 150.0), "USD").plain.splitlines()
    assert lines[0] == "equity, USD"
    assert lines[1].split("┤")[0].strip() == "200.00"
    assert lines[ROWS].split("┤")[0].strip() == "50.00"
    assert lines[-2].split("┤")[0].strip() == "-75.00 %"
    assert lines[-1].split() == ["1970-01-01", "1970-01-04"]


def test_a_run_that_lost_nothing_has_no_drawdown_below_it() -> None:
    assert "drawdown" not in equity_plot(curve(1.0, 2.0, 3.0), "USD").plain


def test_hours_are_told_where_all_is_on_one_day() -> None:
    short = [
        EquityPoint(at_ns=index * DAY // 4, equity=one.equity, balance=1, unrealized_pnl=0, drawdown=0)
        for index, one in enumerate(curve(1.0, 2.0))
    ]
    assert equity_plot(short, "USD").plain.splitlines()[-1].split()[-1] == "06:00"


def test_one_point_is_no_curve() -> None:
    assert equity_plot(curve(1.0), "USD").plain == ""
    assert overlay({"A": [(0, 1.0)]}).plain == ""


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=300))
def test_every_plot_fits_into_80_columns_and_has_its_rows(values: list[float]) -> None:
    points = [
        EquityPoint(at_ns=index * DAY, equity=value, balance=0, unrealized_pnl=0, drawdown=0)
        for index, value in enumerate(values)
    ]
    lines = equity_plot(points, "USD").plain.splitlines()
    assert len(lines) == ROWS + 2
    assert max(map(len, lines)) <= 80


def test_curves_over_each_other_are_told_apart_by_letters() -> None:
    text = overlay({"A": [(0, 0.0), (DAY, 0.1)], "B": [(0, 0.0), (DAY, -0.1)]}).plain
    lines = text.splitlines()
    assert "A" in lines[0]
    assert "B" in lines[ROWS - 1]
    assert lines[0].startswith(" 10.00 % ┤")
    assert max(map(len, lines)) <= 80
