"""Our strategies on bars made by hand: when, at what price and how much they trade is worked out beside each test."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bars_by_hand import HOUR, BacktestsByHand, Outcome, Row, backtests_by_hand, from_template

OPTIONS = ("balance", "modify_rate", "restart_after", "step")


@pytest.fixture(scope="module")
def backtests() -> Iterator[BacktestsByHand]:
    with backtests_by_hand() as process:
        yield process


def upside_down(rows: list[Row]) -> list[Row]:
    """The same market, falling where it rose: what was at 100 + x is at 100 - x."""
    return [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in rows]


class TestSimpleMomentum:
    # Three bars with a true range of 2 and a close of 100: the ATR(3) is 2, and a close above 102 is a breakout.
    QUIET: tuple[Row, ...] = ((100, 101, 99, 100),) * 3
    # Bar 4 closes at 103: in. Its true range is 4, that of bar 5 is 5 and that of bar 6 is 2.
    RISE: tuple[Row, ...] = (*QUIET, (100, 104, 100, 103), (103, 108, 103, 107), (107, 108, 106, 107))

    def run(
        self, backtests: BacktestsByHand, rows: tuple[Row, ...] | list[Row], **parameters: Any
    ) -> Outcome:
        options = {key: parameters.pop(key) for key in OPTIONS if key in parameters}
        chosen = {"atr_period": 3, "entry_multiple": 1.0, "stop_multiple": 2.0, "trade_size": "10"}
        return backtests.run(from_template("simple_momentum", **chosen | parameters), list(rows), **options)

    def test_it_enters_on_a_breakout_and_leaves_at_its_trailing_stop(
        self, backtests: BacktestsByHand
    ) -> None:
        outcome = self.run(backtests, [*self.RISE, (107, 107, 98, 99), (99, 99, 98, 98)])
        assert outcome.trades == [(4, "BUY", 10, "103.00"), (7, "SELL", 10, "99.67")]
        # 103 - 2 * 2; then 107 - 2 * (2 + 4 + 5) / 3 = 99.67, and after bar 6 the same again.
        assert outcome.stops() == [(4, "99.00"), (5, "99.67")]

    def test_the_stop_never_moves_away_from_the_market(self, backtests: BacktestsByHand) -> None:
        # Bar 7 falls by 6 to 101: 101 - 2 * (5 + 2 + 6) / 3 would be 92.33.
        outcome = self.run(backtests, [*self.RISE, (107, 107, 101, 101)])
        assert outcome.stops() == [(4, "99.00"), (5, "99.67")]
        assert len(outcome.trades) == 1

    def test_a_gap_beyond_the_stop_fills_at_the_open_not_at_the_stop(
        self, backtests: BacktestsByHand
    ) -> None:
        outcome = self.run(backtests, [*self.RISE, (98, 98.5, 97, 98)])
        assert outcome.trades[-1] == (7, "SELL", 10, "98.00")

    def test_short_is_the_same_upside_down(self, backtests: BacktestsByHand) -> None:
        fall = upside_down([*self.RISE, (107, 107, 98, 99)])
        # The close of bar 7 would be a breakout the other way.
        outcome = self.run(backtests, fall, allow_short=True, cooldown_bars=1)
        assert outcome.trades == [(4, "SELL", 10, "97.00"), (7, "BUY", 10, "100.33")]
        assert self.run(backtests, fall, cooldown_bars=1).trades == [(7, "BUY", 10, "101.00")]

    def test_a_close_at_the_border_is_no_breakout(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, [*self.QUIET, (100, 102, 100, 102)]).trades == []
        assert len(self.run(backtests, [*self.QUIET, (100, 102.01, 100, 102.01)]).trades) == 1

    def test_a_longer_channel_must_be_left_behind_altogether(self, backtests: BacktestsByHand) -> None:
        # The closes are 104, 100, 100 with an ATR of 2: from one close back 103 is far enough, from three back 106 is needed.
        rows: list[Row] = [
            (104, 105, 103, 104),
            (101, 102, 100, 100),
            (100, 101, 99, 100),
            (100, 101, 99, 100),
        ]
        rows.append((100, 104, 100, 103))
        assert self.run(backtests, rows, atr_period=1).trades == [(5, "BUY", 10, "103.00")]
        assert self.run(backtests, rows, atr_period=1, channel_period=4).trades == []

    def test_trade_size_is_the_size_of_each_order(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, [*self.RISE, (107, 107, 98, 99)], trade_size="7")
        assert [size for _, _, size, _ in outcome.trades] == [7, 7]

    def test_risk_fraction_sizes_an_order_by_what_its_stop_loses(self, backtests: BacktestsByHand) -> None:
        # 1 % of 100,000 is 1,000; the stop is 4 away: 250 units. Of 1,010 it is 10.1: 2 units, for only whole ones are traded.
        assert self.run(backtests, self.RISE, risk_fraction="0.01").trades == [(4, "BUY", 250, "103.00")]
        assert self.run(backtests, self.RISE, risk_fraction="0.01", balance=1010).trades[0][2] == 2
        assert self.run(backtests, self.RISE, risk_fraction="0.01", balance=300).trades == []

    def test_stop_multiple_is_how_far_the_stop_is(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, self.RISE, stop_multiple=0.5)
        # 103 - 0.5 * 2 is not reached on bar 5, whose low is 103; 107 - 0.5 * 11 / 3 = 105.17 is not on bar 6.
        assert outcome.stops() == [(4, "102.00"), (5, "105.17")]

    def test_the_cooldown_keeps_it_out_for_so_many_bars_after_an_exit(
        self, backtests: BacktestsByHand
    ) -> None:
        # Bar 7 stops it out; bars 8 and 9 rise by 20 and by 40, far more than the ATR.
        rows = [*self.RISE, (107, 107, 98, 99), (99, 120, 99, 119), (119, 160, 119, 159)]
        entries = {
            cooldown: [
                bar for bar, side, _, _ in self.run(backtests, rows, cooldown_bars=cooldown).trades[2:]
            ]
            for cooldown in (1, 2, 3)
        }
        assert entries == {1: [8], 2: [9], 3: []}

    def test_the_daily_loss_closes_the_position_and_keeps_it_out_until_the_next_day(
        self, backtests: BacktestsByHand
    ) -> None:
        # Hourly bars. In at 103; bar 5 closes 3.5 lower, which is 35 on ten units; bar 6 would be a new breakout.
        rows: list[Row] = [*self.QUIET, (100, 104, 100, 103), (103, 103, 99.2, 99.5), (99.5, 110, 99.5, 110)]
        without = self.run(backtests, rows, step=HOUR).trades
        assert without == [(4, "BUY", 10, "103.00")]
        assert self.run(backtests, rows, step=HOUR, max_daily_loss="35.01").trades == without
        outcome = self.run(backtests, rows, step=HOUR, max_daily_loss="35")
        assert outcome.trades == [*without, (5, "SELL", 10, "99.50")]
        # On daily bars, bar 6 is another day.
        assert self.run(backtests, rows, max_daily_loss="35").trades[2:] == [(6, "BUY", 10, "110.00")]

    def test_a_restart_gives_no_second_allowance_on_the_same_day(self, backtests: BacktestsByHand) -> None:
        # Three hours to have an ATR again, then a breakout that it would buy.
        rows: list[Row] = [*self.QUIET, (100, 104, 100, 103), (103, 103, 99.2, 99.5)]
        rows += [*self.QUIET, (100, 110, 100, 110)]
        for loss, entries in (("35", [4]), (None, [4, 9])):
            outcome = self.run(backtests, rows, step=HOUR, restart_after=5, max_daily_loss=loss)
            assert [bar for bar, side, _, _ in outcome.trades if side == "BUY"] == entries

    def test_the_stop_is_gone_when_the_position_is(self, backtests: BacktestsByHand) -> None:
        rows: list[Row] = [*self.QUIET, (100, 104, 100, 103), (103, 103, 99.2, 99.5), (99.5, 99.5, 80, 80)]
        outcome = self.run(backtests, rows, max_daily_loss="35")
        assert len(outcome.trades) == 2
        assert len(outcome.of_type("STOP_MARKET", "OrderCanceled")) == 1

    def test_a_stop_that_cannot_be_moved_is_replaced(self, backtests: BacktestsByHand) -> None:
        rows = [*self.RISE, (107, 120, 107, 119), (119, 119, 100, 100)]
        outcome = self.run(backtests, rows, modify_rate="1/365 days")
        assert len(outcome.of_type("STOP_MARKET", "OrderModifyRejected")) == 1
        assert len(outcome.of_type("STOP_MARKET", "OrderCanceled")) == 1
        # Bar 7: 119 - 2 * (5 + 2 + 13) / 3 = 105.67.
        assert outcome.stops() == [(4, "99.00"), (5, "99.67"), (7, "105.67")]
        assert outcome.trades[1] == (8, "SELL", 10, "105.67")

    def test_a_position_whose_stop_the_venue_refuses_is_closed(self, backtests: BacktestsByHand) -> None:
        # 103 - 0.002 is 103.00, the market itself, where a venue takes no stop.
        outcome = self.run(backtests, self.RISE[:4], stop_multiple=0.001)
        assert len(outcome.of_type("STOP_MARKET", "OrderRejected")) == 1
        assert outcome.trades == [(4, "BUY", 10, "103.00"), (4, "SELL", 10, "103.00")]

    def test_started_again_it_takes_up_its_position_and_its_stop(self, backtests: BacktestsByHand) -> None:
        rows = [*self.RISE, (107, 107, 106, 107), (107, 113, 107, 113), (113, 113, 100, 100)]
        outcome = self.run(backtests, rows, restart_after=5)
        # It begins to observe with bar 6, so that it has an ATR again after bar 8: 113 - 2 * (2 + 1 + 6) / 3.
        assert outcome.stops() == [(4, "99.00"), (5, "99.67"), (8, "107.00")]
        assert outcome.trades == [(4, "BUY", 10, "103.00"), (9, "SELL", 10, "107.00")]
        assert len(outcome.of_type("STOP_MARKET", "OrderAccepted")) == 1

    def test_it_leaves_its_position_and_its_stop_alone_when_it_is_stopped(
        self, backtests: BacktestsByHand
    ) -> None:
        outcome = self.run(backtests, self.RISE)
        assert outcome.state == "STOPPED"
        assert outcome.of_type("STOP_MARKET", "OrderCanceled", "OrderFilled") == []


class TestDonchianBreakout:
    # Highs of 102, lows of 98 and an ATR(2) of 4. Bar 4 closes above 102: in at 103.
    ROWS: tuple[Row, ...] = (
        *((100, 102, 98, 100),) * 3,
        (100, 104, 100, 103),
        (103, 110, 103, 109),
        (109, 112, 108, 111),
        (111, 111, 102, 104),
    )

    def run(self, backtests: BacktestsByHand, rows: Any = ROWS, **parameters: Any) -> Outcome:
        chosen = {"entry_period": 3, "exit_period": 2, "atr_period": 2, "stop_multiple": 2.0}
        return backtests.run(from_template("donchian_breakout", **chosen | parameters), list(rows))

    def test_it_enters_outside_the_long_channel_and_leaves_the_short_one(
        self, backtests: BacktestsByHand
    ) -> None:
        outcome = self.run(backtests)
        # 1 % of 100,000 over a stop 8 away is 125 units. The stop starts at 103 - 8, then follows the lows of two bars:
        # 100 and 103, less a cent each; bar 7 falls through 102.99.
        assert outcome.trades == [(4, "BUY", 125, "103.00"), (7, "SELL", 125, "102.99")]
        assert outcome.stops() == [(4, "95.00"), (5, "99.99"), (6, "102.99")]

    def test_short_is_the_same_upside_down(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, upside_down(list(self.ROWS)), allow_short=True)
        assert outcome.trades == [(4, "SELL", 125, "97.00"), (7, "BUY", 125, "97.01")]
        assert self.run(backtests, upside_down(list(self.ROWS))).trades == []

    def test_a_high_of_the_channel_is_not_enough(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, [*self.ROWS[:3], (100, 104, 100, 102)]).trades == []

    def test_risk_fraction_and_stop_multiple_size_the_order(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, risk_fraction="0.02").trades[0][2] == 250
        assert self.run(backtests, stop_multiple=1.0).trades[0][2] == 250

    def test_stop_multiple_is_how_far_the_stop_starts(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, stop_multiple=0.5).stops()[0] == (4, "101.00")

    def test_a_longer_exit_channel_follows_later(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, entry_period=4, exit_period=3, rows=[self.ROWS[0], *self.ROWS])
        # The lows of the last three bars: 98, 100 (bar 7), 102 (bar 8, if the stop at 99.99 is not hit).
        assert outcome.stops() == [(5, "95.00"), (6, "97.99"), (7, "99.99"), (8, "101.99")]
        assert len(outcome.trades) == 1

    def test_the_cooldown_and_the_daily_loss_keep_it_out(self, backtests: BacktestsByHand) -> None:
        rows = [*self.ROWS, (104, 130, 104, 130)]
        assert self.run(backtests, rows).trades[2][:2] == (8, "BUY")
        assert len(self.run(backtests, rows, cooldown_bars=2).trades) == 2
        # A bar 7 that stays above the stop and closes at 104 has lost 125 * (111 - 104).
        fall = [*self.ROWS[:6], (111, 111, 104, 104)]
        assert self.run(backtests, fall, max_daily_loss="875").trades[1:] == [(7, "SELL", 125, "104.00")]
        assert self.run(backtests, fall, max_daily_loss="875.01").trades[1:] == []


class TestBollingerReversion:
    # Closes of 99 and 101: a mean of 100 and a deviation of 1. Bar 5 closes 2.5 deviations below: in at 97.5, stop at 96.
    QUIET: tuple[Row, ...] = ((100, 101, 99, 99), (99, 101, 99, 101)) * 2
    FALL: tuple[Row, ...] = (*QUIET, (101, 101, 97.5, 97.5))
    # The means of the last four closes are 98.875 at bar 6 (deviation 1.34) and 99.125 at bar 7.
    BACK: tuple[Row, ...] = (*FALL, (97.5, 98.5, 97, 98), (98, 100, 98, 100))

    def run(self, backtests: BacktestsByHand, rows: Any = BACK, **parameters: Any) -> Outcome:
        chosen = {"period": 4, "entry_z": 2.0, "stop_multiple": 4.0, "trade_size": "10"} | parameters
        return backtests.run(from_template("bollinger_reversion", **chosen), list(rows))

    def test_it_buys_far_below_the_mean_and_sells_when_the_close_is_back(
        self, backtests: BacktestsByHand
    ) -> None:
        outcome = self.run(backtests)
        assert outcome.trades == [(5, "BUY", 10, "97.50"), (7, "SELL", 10, "100.00")]
        assert outcome.stops() == [(5, "96.00")]

    def test_it_takes_the_loss_at_its_stop(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, [*self.FALL, (97.5, 97.5, 95.5, 97)])
        assert outcome.trades == [(5, "BUY", 10, "97.50"), (6, "SELL", 10, "96.00")]

    def test_short_is_the_same_upside_down(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, upside_down(list(self.BACK)), allow_short=True)
        assert outcome.trades == [(5, "SELL", 10, "102.50"), (7, "BUY", 10, "100.00")]
        assert self.run(backtests, upside_down(list(self.BACK))).trades == []

    def test_exit_z_gets_out_earlier(self, backtests: BacktestsByHand) -> None:
        # At bar 6 the close of 98 is above 98.875 - 1.34.
        assert self.run(backtests, exit_z=1.0).trades[1] == (6, "SELL", 10, "98.00")

    def test_a_close_beyond_the_stop_is_no_entry(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, [*self.QUIET, (101, 101, 95, 96)]).trades == []
        assert len(self.run(backtests, [*self.QUIET, (101, 101, 95, 96.01)]).trades) == 1

    def test_stop_multiple_is_where_the_stop_is(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, stop_multiple=3.0).stops() == [(5, "97.00")]

    def test_risk_fraction_sizes_an_order_by_what_its_stop_loses(self, backtests: BacktestsByHand) -> None:
        # 0.3 % of 100,000 over a stop 1.5 away.
        assert self.run(backtests, risk_fraction="0.003").trades[0][2] == 200

    def test_it_holds_no_longer_than_it_may(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, max_bars_held=1).trades[1] == (6, "SELL", 10, "98.00")

    def test_the_cooldown_and_the_daily_loss_keep_it_out(self, backtests: BacktestsByHand) -> None:
        # Stopped out on bar 6. The closes before bar 7 are 99, 101, 97.5, 97, whose mean is 98.625: 95 is 2.33 deviations below.
        rows: list[Row] = [*self.FALL, (97.5, 97.5, 95.5, 97), (97, 97, 95, 95)]
        assert self.run(backtests, rows).trades[2][:2] == (7, "BUY")
        assert len(self.run(backtests, rows, cooldown_bars=2).trades) == 2
        # Bar 6 closes 1 lower: 10 on ten units.
        fall: list[Row] = [*self.FALL, (97.5, 97.5, 96.2, 96.5)]
        assert self.run(backtests, fall, max_daily_loss="10").trades[1:] == [(6, "SELL", 10, "96.50")]
        assert self.run(backtests, fall, max_daily_loss="10.01").trades[1:] == []


class TestGrid:
    # Lines one apart around 100. Bar 2 falls through 99, bar 3 through 98, bar 4 rises through 99 and 100.
    ROWS: tuple[Row, ...] = (
        (100, 100, 100, 100),
        (100, 100, 98.5, 98.5),
        (98.5, 98.5, 97.5, 97.5),
        (97.5, 100.5, 97.5, 100.2),
    )

    def run(self, backtests: BacktestsByHand, rows: Any = ROWS, **parameters: Any) -> Outcome:
        chosen = {"spacing_percent": 1.0, "levels": 2, "trade_size": "10", "max_inventory": "20"} | parameters
        return backtests.run(from_template("grid", **chosen), list(rows))

    def resting(self, outcome: Outcome) -> list[tuple[str, str]]:
        return [(event["side"], event["price"]) for event in outcome.of_type("LIMIT", "OrderAccepted")]

    def test_it_buys_on_the_lines_below_and_sells_one_line_higher(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests).trades == [
            (2, "BUY", 10, "99.00"),
            (3, "BUY", 10, "98.00"),
            (4, "SELL", 10, "99.00"),
            (4, "SELL", 10, "100.00"),
        ]

    def test_it_never_holds_more_than_its_inventory(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, max_inventory="10").trades == [
            (2, "BUY", 10, "99.00"),
            (4, "SELL", 10, "100.00"),
        ]
        crash: list[Row] = [*self.ROWS[:1], *((100 - n, 100 - n, 99 - n, 99 - n) for n in range(10))]
        bought = self.run(backtests, crash, levels=5).trades
        assert [side for _, side, _, _ in bought] == ["BUY", "BUY"]

    def test_orders_that_may_still_fill_count_as_inventory(self, backtests: BacktestsByHand) -> None:
        # Bar 2 moves both lines: the new orders wait until the old ones are known to be cancelled.
        outcome = self.run(backtests, [*self.ROWS[:1], (100, 103.5, 100, 103.5)])
        working: set[str] = set()
        for event in outcome.of_type("LIMIT", "OrderInitialized", "OrderCanceled"):
            working ^= {event["client_order_id"]}
            assert len(working) <= 2
        assert self.resting(outcome)[2:] == [("BUY", "102.00"), ("BUY", "101.00")]

    def test_levels_is_how_many_orders_rest_on_each_side(self, backtests: BacktestsByHand) -> None:
        one = self.run(backtests, self.ROWS[:1], levels=1, max_inventory="100")
        assert self.resting(one) == [("BUY", "99.00")]
        three = self.run(backtests, self.ROWS[:1], levels=3, max_inventory="100")
        assert self.resting(three) == [("BUY", "99.00"), ("BUY", "98.00"), ("BUY", "97.00")]

    def test_trade_size_is_the_size_of_each_order(self, backtests: BacktestsByHand) -> None:
        assert [size for _, _, size, _ in self.run(backtests, trade_size="7").trades] == [7, 7, 7, 7]

    def test_it_sells_short_only_if_it_may(self, backtests: BacktestsByHand) -> None:
        rows = [*self.ROWS[:1], (100, 101.5, 100, 101.5)]
        assert self.run(backtests, rows).trades == []
        assert self.run(backtests, rows, allow_short=True).trades == [(2, "SELL", 10, "101.00")]

    def test_it_follows_a_rising_market_while_it_holds_nothing(self, backtests: BacktestsByHand) -> None:
        rows = [*self.ROWS[:1], (100, 103.5, 100, 103.5), (103.5, 103.5, 101.9, 101.9)]
        outcome = self.run(backtests, rows)
        assert outcome.trades == [(3, "BUY", 10, "102.00")]
        cancelled = [event["price"] for event in outcome.of_type("LIMIT", "OrderCanceled")]
        assert sorted(cancelled) == ["98.00", "99.00"]

    def test_the_daily_loss_clears_the_market_and_the_grid_begins_anew(
        self, backtests: BacktestsByHand
    ) -> None:
        # At bar 2 ten units have lost 0.5 each; at bar 3 these have lost 1.5 each and ten more 0.5: 15 on that day.
        outcome = self.run(backtests, max_daily_loss="15")
        assert outcome.trades == [
            (2, "BUY", 10, "99.00"),
            (3, "BUY", 10, "98.00"),
            (3, "SELL", 20, "97.50"),
        ]
        # The next close is the new center: 100.2 less 1 % of it, and less 2 %.
        assert self.resting(outcome)[-2:] == [("BUY", "99.20"), ("BUY", "98.20")]
        assert len(self.run(backtests, max_daily_loss="15.01").trades) == 4

    def test_it_leaves_its_orders_alone_when_it_is_stopped(self, backtests: BacktestsByHand) -> None:
        outcome = self.run(backtests, self.ROWS[:2])
        assert outcome.state == "STOPPED"
        assert outcome.of_type("LIMIT", "OrderCanceled") == []


class TestBuyAndHold:
    ROWS: tuple[Row, ...] = ((100, 101, 99, 100), (100, 130, 70, 80), (80, 120, 60, 120))

    def run(self, backtests: BacktestsByHand, **parameters: Any) -> Outcome:
        options = {key: parameters.pop(key) for key in OPTIONS if key in parameters}
        return backtests.run(from_template("buy_and_hold", **parameters), list(self.ROWS), **options)

    def test_it_buys_at_the_first_close_and_never_again(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests).trades == [(1, "BUY", 1_000, "100.00")]

    def test_it_puts_in_the_part_that_is_asked_for_in_whole_units(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, invested="0.5").trades == [(1, "BUY", 500, "100.00")]
        assert self.run(backtests, balance=99_999).trades == [(1, "BUY", 999, "100.00")]

    def test_it_buys_nothing_that_it_cannot_pay_for(self, backtests: BacktestsByHand) -> None:
        # 80 does not pay for one unit at 100; at the second close it does.
        assert self.run(backtests, balance=80).trades == [(2, "BUY", 1, "80.00")]

    def test_it_holds_what_an_earlier_session_bought(self, backtests: BacktestsByHand) -> None:
        assert self.run(backtests, invested="0.5", restart_after=2).trades == [(1, "BUY", 500, "100.00")]
