"""What backtests, comparisons and studies look like to people."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import RenderableType

from flotilla.cli.following import progress_text
from flotilla.demo.backtest import count_equal
from flotilla.schemas.backtest import (
    Axis,
    BacktestConfig,
    BacktestList,
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    ClosedTrade,
    Comparison,
    Difference,
    EquityPoint,
    Metrics,
    NautilusStatistics,
    OpenOrder,
    OpenPosition,
    OrderCounts,
    OrderReason,
    RunSummary,
    StrategyFigures,
    StudyConfig,
    StudyView,
    TrialFailure,
    TrialProgress,
)
from flotilla.schemas.catalog import BadValue, Finding, Gap
from flotilla.schemas.package import PackageChange, PackageRef
from flotilla.schemas.simulation import VenueSettings
from flotilla.schemas.telemetry import Fill
from flotilla.show.backtest_tables import backtests_table, details, result_report, venue_choices
from flotilla.show.comparison_tables import best_of, comparison_report
from flotilla.show.data_findings import findings_report
from flotilla.show.error_report import failure_of
from flotilla.show.figure_tables import Told, began_with
from flotilla.show.output import console
from flotilla.show.study_tables import as_json, ranking, result_line, studies_table, study_report
from flotilla.show.verdict_report import verdict_report
from flotilla.state.errors import BacktestFailedError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DAY = 86_400_000_000_000


def metrics(sharpe: float | None = 1.27, **over: Any) -> Metrics:
    plain: dict[str, Any] = dict.fromkeys(Metrics.__struct_fields__)
    counts = {"total_trades": 1221, "winning_trades": 421, "losing_trades": 800}
    return Metrics(**{**plain, **counts, "sharpe_ratio": sharpe, "total_return": -0.1205, **over})


def view(name: str = "a", status: str = "completed", **over: Any) -> BacktestView:
    config = BacktestConfig(
        start_date="1999-01-05",
        end_date="2019-01-01",
        instruments=("SPX.SIM",),
        strategy="ema_cross",
        strategy_config=over.pop("parameters", {}),
    )
    given = {"metrics": metrics(), "currency": "USD", "events": 5031, "elapsed_s": 2.5}
    if status != "completed":
        given = {}
    chosen = {**given, **over}
    return BacktestView(
        backtest_id=name, status=BacktestStatus(status), config=config, created_at=NOW, **chosen
    )


def trade(number: int) -> ClosedTrade:
    return ClosedTrade(
        trade_id=str(number),
        instrument_id="SPX.SIM",
        strategy_id="EMACross-000",
        side="LONG",
        quantity="100",
        entry_price=1300.75,
        exit_price=1284.4,
        entry_time_ns=number * DAY,
        exit_time_ns=(number + 1) * DAY,
        pnl="-1635.00",
        commission="0.00",
        currency="USD",
    )


def shown(what: RenderableType) -> str:
    made = console()
    made.width = 80
    with made.capture() as captured:
        made.print(what)
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 80
    return "\n".join(line.rstrip() for line in text.splitlines())


def curve(*equity: float) -> tuple[EquityPoint, ...]:
    return tuple(
        EquityPoint(at_ns=index * DAY, equity=value, balance=value, unrealized_pnl=0, drawdown=0)
        for index, value in enumerate(equity)
    )


def study(status: str = "running", **over: Any) -> StudyView:
    config = StudyConfig(base=view().config, axes={"fast": Axis(values=(5, 10))})
    counts = {"completed": 2, "failed": 1, "cancelled": 0, "running": 1, "pending": 0}
    return StudyView(
        study_id="st",
        status=BacktestStatus(status),
        config=config,
        created_at=NOW,
        total=4,
        counts=counts,
        **over,
    )


def test_a_result_is_told_in_plain_names_with_units() -> None:
    text = shown(
        result_report(view(), Told(balances={"USD": "879502.00"}, fees={"USD": "12.50"}, curve=curve(1, 2)))
    )
    for part in (
        "backtest a completed",
        "ema_cross on SPX.SIM, 1999-01-05 to 2019-01-01",
        "5,031 events in 2.5s, 2,012 a second",
        "-12.05 %",
        "Sharpe ratio",
        "1.27",
        "trades won",
        "421",
        "879,502.00 USD",
        "12.50 USD",
        "equity, USD",
    ):
        assert part in text
    assert "None" not in text
    assert "nan" not in text


def test_a_figure_that_is_not_defined_is_a_dash() -> None:
    text = shown(result_report(view(metrics=metrics(sharpe=None)), Told()))
    line = next(line for line in text.splitlines() if "Sharpe" in line)
    assert line.split()[2] == "–"  # noqa: RUF001


def summary(**over: Any) -> RunSummary:
    theirs: dict[str, Any] = dict.fromkeys(NautilusStatistics.__struct_fields__)
    plain: dict[str, Any] = {
        "figures_version": 2,
        "timezone": "UTC",
        "returns": 5031,
        "years": 19.99,
        "nautilus_statistics": NautilusStatistics(**{**theirs, "sortino_ratio": 121660.62}),
        "orders": orders(filled=2),
        "positions_open": 0,
        "open_positions": (),
        "open_orders": (),
    }
    return RunSummary(**{**plain, **over})


def orders(*reasons: OrderReason, **counts: int) -> OrderCounts:
    names = ("filled", "open", "rejected", "denied", "unsent", "expired", "canceled")
    plain = dict.fromkeys(names, 0) | counts
    total = sum(plain.values())
    submitted = total - plain["unsent"] - plain["denied"]
    return OrderCounts(total=total, submitted=submitted, reasons=reasons, **plain)


def test_nautilustraders_own_figures_stand_beside_ours_under_its_name() -> None:
    text = shown(result_report(view(summary=summary()), Told()))
    head = next(line for line in text.splitlines() if "NautilusTrader" in line)
    sortino = next(line for line in text.splitlines() if "Sortino" in line)
    assert head.index("marked equity") < head.index("NautilusTrader")
    assert "121,660.62" in sortino
    assert sortino.index("–") < sortino.index("121,660.62")  # noqa: RUF001


def test_orders_that_went_nowhere_are_counted_with_the_reason_and_say_why_nothing_was_traded() -> None:
    nothing = metrics(total_trades=0, winning_trades=0, losing_trades=0)
    why = OrderReason(status="rejected", reason="no market for SPX.SIM", count=81)
    text = shown(
        result_report(view(metrics=nothing, summary=summary(orders=orders(why, rejected=81))), Told())
    )
    assert "orders             81: 81 rejected" in text
    assert "81 rejected: no market for SPX.SIM" in text
    assert "no trade was closed: no order was filled" in text
    unsent = OrderReason(status="unsent", reason="there is no execution algorithm TWAP in this run", count=19)
    text = shown(
        result_report(view(metrics=nothing, summary=summary(orders=orders(unsent, unsent=19))), Told())
    )
    assert "orders             19, 0 sent: 19 unsent" in text
    assert "19 unsent: there is no execution algorithm TWAP" in text
    text = shown(result_report(view(metrics=nothing, summary=summary(orders=orders())), Told()))
    assert "no trade was closed: the strategy made no order" in text
    in_part = summary(orders=orders(canceled=1), positions_open=1)
    for some in (summary(orders=orders(filled=1)), in_part):
        text = shown(result_report(view(metrics=nothing, summary=some), Told()))
        assert "no trade was closed: what was opened is open still" in text


def test_a_list_says_of_a_run_without_trades_where_its_orders_went() -> None:
    nothing = metrics(total_trades=0, winning_trades=0, losing_trades=0)
    lost = view(metrics=nothing, summary=summary(orders=orders(rejected=81, denied=2)))
    flat = view("b", metrics=nothing, summary=summary(orders=orders()))
    text = shown(backtests_table(BacktestList(backtests=(lost, flat), total_count=2), NOW))
    assert "0 (81 rejected, 2 denied)" in " ".join(text.split())
    assert text.splitlines()[-1].split()[-1] == "0"


def test_a_result_fits_into_what_the_demo_leaves_of_80_columns() -> None:
    wide = metrics(average_loss=-12_345_678.9, largest_loss=-12_345_678.9, final_equity=123_456_789.0)
    held = Told(balances={"USDT": "123456789.00000000"}, curve=curve(1, 2))
    made = console()
    made.width = 76
    with made.capture() as captured:
        made.print(result_report(view(metrics=wide, summary=summary()), held, width=76))
    assert max(len(line.rstrip()) for line in captured.get().splitlines()) <= 76


def test_what_is_open_at_the_end_is_named() -> None:
    position = OpenPosition(
        position_id="P",
        instrument_id="SPX.SIM",
        strategy_id="S",
        side="LONG",
        quantity="300",
        entry_price=2898.5,
        entry_time_ns=DAY,
        unrealized_pnl="-117440.00",
        currency="USD",
    )
    order = OpenOrder(
        client_order_id="O",
        instrument_id="SPX.SIM",
        side="SELL",
        order_type="LIMIT",
        status="ACCEPTED",
        quantity="100",
        filled_qty="0",
        price="2922.88",
    )
    left = summary(
        positions_open=1, open_positions=(position,), open_orders=(order,) * 10, orders=orders(open=12)
    )
    text = shown(result_report(view(summary=left), Told()))
    assert "open position      LONG 300 SPX.SIM at 2,898.5 since 1970-01-02\n" in text
    assert " unrealized -117,440.00 USD\n" in text
    assert text.count("SELL 100 SPX.SIM LIMIT at 2,922.88, ACCEPTED") == 3
    assert "9 more" in text


def test_figures_of_before_they_came_from_marked_equity_say_so() -> None:
    assert "as they were defined before" in shown(result_report(view(), Told()))
    text = shown(backtests_table(BacktestList(backtests=(view(),), total_count=1), NOW))
    assert "-12.05 %*" in text
    assert "of realized returns" in text
    assert "*" not in shown(
        backtests_table(BacktestList(backtests=(view(summary=summary()),), total_count=1), NOW)
    )
    found = Comparison(backtests=(view("a"), view("b", summary=summary())), parameters={})
    assert "the figures of A are of realized returns" in shown(comparison_report(found, {}, width=78))


def test_a_figure_has_the_same_digits_in_table_list_plot_and_comparison() -> None:
    deep = metrics(max_drawdown=-0.13008, total_return=-0.1205)
    points = (EquityPoint(at_ns=0, equity=1e6, balance=1e6, unrealized_pnl=0, drawdown=0),)
    points += (EquityPoint(at_ns=DAY, equity=869_920, balance=1e6, unrealized_pnl=0, drawdown=0.13008),)
    one = view(metrics=deep, summary=summary())
    assert shown(result_report(one, Told(curve=points))).count("-13.01 %") == 2
    assert "-12.05 %" in shown(backtests_table(BacktestList(backtests=(one,), total_count=1), NOW))
    both = Comparison(backtests=(one, view("b", summary=summary())), parameters={})
    drawn = (points[0], msgspec.structs.replace(points[1], equity=879_500.0))
    assert shown(comparison_report(both, {"a": drawn}, width=78)).count("-12.05 %") == 3


def test_details_have_the_first_and_last_trades_and_the_configuration() -> None:
    text = shown(details(view(), Told(trades=tuple(trade(number) for number in range(10)))))
    assert "4 more" in text
    assert "instruments      SPX.SIM" in text
    assert text.count("-1,635.00") == 6


def test_a_failed_one_says_why_with_its_last_words() -> None:
    failed = view(
        status="failed", reason=TrialFailure.STRATEGY, error="ValueError: no", log_tail=("one", "two")
    )
    text = shown(details(failed, Told()))
    assert "failed (strategy)" in text
    assert "ValueError: no" in text
    told = failure_of(BacktestFailedError(failed))
    assert told is not None
    assert (told.exit_code, told.code, told.log_tail) == (1, "backtest_failed", ("one", "two"))
    assert told.message == "backtest a is failed (strategy): ValueError: no"


def test_the_list_shows_how_far_the_running_ones_are_and_how_many_were_left_out() -> None:
    found = BacktestList(backtests=(view("b", "running", progress=42.4), view()), total_count=7)
    text = shown(backtests_table(found, NOW))
    assert "running 42%" in text
    assert "5 more" in text
    assert "run one" in shown(backtests_table(BacktestList(backtests=(), total_count=0), NOW))


def test_progress_is_simulated_time_events_rate_and_time_left() -> None:
    trial = TrialProgress(
        events=1204, total=5030, simulated_ns=365 * DAY, events_per_s=2100.4, remaining_s=1.8
    )
    assert progress_text(trial) == "1971-01-01 · 1,204 of 5,030 · 2,100/s · 1.8s left"


def test_the_best_of_each_figure_is_marked() -> None:
    low = view("low", metrics=metrics(0.5, volatility=0.1, max_drawdown=-0.3))
    high = view("high", metrics=metrics(1.5, volatility=0.2, max_drawdown=-0.1))
    assert best_of("sharpe_ratio", (low, high)) == {"high"}
    assert best_of("volatility", (low, high)) == {"low"}
    assert best_of("max_drawdown", (low, high)) == {"high"}
    assert best_of("total_trades", (low, high)) == set()
    assert best_of("total_return", (low, high)) == set()


def test_money_of_several_currencies_is_told_and_none_of_it_is_the_best() -> None:
    dollars = view("usd", metrics=metrics(0.5, final_equity=2e6), summary=summary())
    yen = view("jpy", metrics=metrics(1.5, final_equity=1e8), summary=summary(), currency="JPY")
    assert best_of("final_equity", (dollars, yen)) == set()
    assert best_of("sharpe_ratio", (dollars, yen)) == {"jpy"}
    text = shown(comparison_report(Comparison(backtests=(dollars, yen), parameters={}), {}, width=78))
    assert re.search("currency +USD +JPY", text)
    alike = Comparison(backtests=(dollars, dollars), parameters={})
    assert "currency" not in shown(comparison_report(alike, {}, width=78))


def test_the_best_is_not_one_whose_figures_were_defined_before() -> None:
    old = view("old", metrics=metrics(9.0))
    low, high = (view(name, metrics=metrics(float(name)), summary=summary()) for name in ("1", "2"))
    assert best_of("sharpe_ratio", (old, low, high)) == {"2"}
    assert best_of("sharpe_ratio", (old, low)) == set()


def test_a_comparison_has_figures_what_differs_and_the_curves() -> None:
    found = Comparison(
        backtests=(view("first"), view("second", metrics=metrics(2.0))),
        parameters={"strategy_config.fast_ema_period": (5, 10)},
    )
    text = shown(comparison_report(found, {"first": curve(100, 120), "second": curve(100, 90)}, width=78))
    assert "2.00*" in text
    assert "fast_ema_period" in text
    assert "strategy_config" not in text
    assert " 20.00 %" in text
    assert "-10.00 %" in text


def test_sixteen_side_by_side_still_fit() -> None:
    many = tuple(view(f"bt-{number}", metrics=metrics(float(number))) for number in range(16))
    found = Comparison(backtests=many, parameters={"fast": tuple(range(16))})
    text = shown(comparison_report(found, {}, width=78))
    assert text.count("Sharpe ratio") == 4
    assert text.count("*") == 2


def test_a_verdict_names_what_changed_and_the_first_difference() -> None:
    same = BacktestVerdict(backtest_id="a", verify_id="a-verify-1", is_equal=True, fills_compared=443)
    assert shown(verdict_report(same)) == (
        "● backtest a is equal: 443 fills compared, run again as a-verify-1"
    )
    differs = msgspec.structs.replace(
        same,
        is_equal=False,
        differences=(
            Difference(where="strategy_sources[my.module]", first="ab", second="cd"),
            Difference(where="files[data/bar/a.parquet]", first="12", second=None),
            Difference(where="fills[12].last_px", first="1", second="2"),
            Difference(where="trades[3].pnl", first="5", second="6"),
        ),
    )
    text = shown(verdict_report(differs))
    assert "DIFFERENT" in text
    assert "code  my.module, SHA-256\n    then  ab\n    now   cd" in text
    assert "data  data/bar/a.parquet, SHA-256\n    then  12\n    now   -" in text
    assert "first in\n  fills[12].last_px\n    then  1\n    now   2\n  also in  trades[3].pnl" in text
    no_effect = msgspec.structs.replace(differs, differences=differs.differences[:2])
    assert "everything that was compared is the same" in shown(verdict_report(no_effect))
    image = Difference(where="image", first="sha256:1", second="sha256:2")
    grid = Difference(where="strategy_sources[engine_sidecar.strategies.grid]", first="1", second="2")
    released = shown(verdict_report(msgspec.structs.replace(same, changed_without_effect=(grid, image))))
    assert "a is equal: 443 fills" in released
    assert "another release, to the same effect: code engine_sidecar.strategies.grid, image" in " ".join(
        released.split()
    )
    redefined = shown(verdict_report(msgspec.structs.replace(same, figures_versions=(1, 2))))
    assert "a is equal: 443 fills" in redefined
    assert "definition of its figures has changed since (version 1, now 2)" in " ".join(redefined.split())
    assert "definition" in shown(verdict_report(msgspec.structs.replace(differs, figures_versions=(1, 2))))
    no_cause = msgspec.structs.replace(differs, differences=differs.differences[2:])
    assert "what it depends on has not changed" in shown(verdict_report(no_cause))
    only = msgspec.structs.replace(no_effect, comments_only=("my.module",))
    assert "only comments, docstrings or formatting changed in my.module" in shown(verdict_report(only))
    gone = Difference(where="status", first="completed", second="failed: no data")
    text = shown(verdict_report(msgspec.structs.replace(differs, differences=(gone,))))
    assert "does not run to its end any more" in text
    assert "now   failed: no data" in text
    assert "has not changed" not in text


def test_a_verdict_says_how_the_newest_version_of_a_package_differs_from_what_was_run() -> None:
    then, now = (PackageRef(name="mine", version=number, digest=number * 64) for number in "13")
    code = PackageChange(
        then=then,
        now=now,
        files={"mine.py": "code", "new.py": "added", "util.py": "comments"},
        is_same_code=False,
    )
    same = BacktestVerdict(backtest_id="a", verify_id="v", is_equal=True, newer=(code,))
    text = " ".join(shown(verdict_report(same)).split())
    assert (
        "mine@3 is newer than mine@1, which it ran and runs again: the code has changed: mine.py (changed), new.py (added)"
        in text
    )
    assert "util.py" not in text
    comments = msgspec.structs.replace(code, files={"mine.py": "comments"}, is_same_code=True)
    text = " ".join(shown(verdict_report(msgspec.structs.replace(same, newer=(comments,)))).split())
    assert "the code is the same, but for comments, docstrings or formatting" in text


def test_a_study_ranks_what_completed_by_its_metric() -> None:
    good = view("st-0001", metrics=metrics(0.9), parameters={"fast": 5})
    bad = view("st-0002", metrics=metrics(0.1), parameters={"fast": 10})
    none = view("st-0003", metrics=metrics(None), parameters={"fast": 7})
    failed = view("st-0004", "failed", reason=TrialFailure.OOM, error="too much memory")
    config = study().config
    assert ranking((bad, none, failed, good), config) == [good, bad]
    lowest = msgspec.structs.replace(config, lowest=True)
    assert ranking((good, bad), lowest) == [bad, good]
    newer = view("st-0005", metrics=metrics(0.5), summary=summary())
    assert ranking((bad, good, newer), config) == [newer, good, bad]
    text = shown(study_report(study(best=good), (bad, none, failed, good)))
    assert "3 of 4 done: 2 completed, 1 failed, 1 running" in text
    assert "best by Sharpe ratio: st-0001, fast=5" in text
    assert "st-0004 failed: too much memory" in text


def test_results_of_a_study_are_lines_for_people_and_objects_for_programs() -> None:
    one = view("st-0001", parameters={"fast": 5})
    assert result_line(one, study()).plain == "st-0001  completed  Sharpe ratio 1.27  fast=5"
    told = msgspec.json.decode(as_json(one, study()))
    assert (told["backtest_id"], told["parameters"], told["metrics"]["sharpe_ratio"]) == (
        "st-0001",
        {"fast": 5},
        1.27,
    )


def test_studies_show_how_many_are_done() -> None:
    assert "3/4" in shown(studies_table((study(),), NOW))
    assert "run one" in shown(studies_table((), NOW))


def test_findings_name_bad_values_and_gaps() -> None:
    found = Finding(
        data_type="bars",
        identifier="A.X-1-DAY-LAST-EXTERNAL",
        events=10,
        usual_s=86_400.0,
        gap_count=1,
        bad_count=1,
        gaps=(Gap(first_ns=0, last_ns=7 * DAY),),
        bad=(BadValue(at_ns=DAY, why="high is below low"),),
    )
    text = shown(findings_report((found,)))
    assert not found.is_sound
    assert "1970-01-02 00:00:00Z high is below low" in text
    assert "nothing from 1970-01-01 00:00:00Z" in text


def test_fills_are_the_same_up_to_the_first_that_differs() -> None:
    def fill(price: str, trade_id: str) -> Fill:
        return Fill(
            trade_id=trade_id,
            client_order_id=trade_id,
            instrument_id="A.X",
            strategy_id="s",
            side="BUY",
            last_qty="1",
            last_px=price,
            currency="USD",
            commission="0",
            liquidity_side="TAKER",
            ts_event=1,
        )

    one, other = [fill("1", "x"), fill("2", "y")], [fill("1", "z"), fill("3", "y")]
    assert count_equal(one, other) == 1
    assert count_equal(one, [*one, *other]) == 2


def test_each_strategy_of_several_has_a_row() -> None:
    some = {"orders": 12, "fills": 11, "trades": 5, "positions_open": 1, "fees": {}}
    one = StrategyFigures(strategy_id="EMACross-001", pnl={"USD": "12.50"}, **some)
    other = StrategyFigures(strategy_id="EMACross-002", pnl={}, **some)
    text = shown(result_report(view(summary=summary(strategies=(one, other))), Told()))
    assert "EMACross-002" in text
    assert "12.50 USD" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_warm_up_that_nothing_asked_for_is_told() -> None:
    run = view(summary=summary(answered_requests=0))
    warm = msgspec.structs.replace(run, config=msgspec.structs.replace(run.config, warm_up=True))
    assert "no strategy requested history" in shown(result_report(warm, Told()))
    assert "no strategy requested history" not in shown(result_report(run, Told()))


def test_of_a_venues_settings_those_that_are_not_the_default_are_shown() -> None:
    own = {"SIM": VenueSettings(book_type="L2_MBP"), "B": VenueSettings()}
    config = msgspec.structs.replace(view().config, venue_settings=own)
    assert venue_choices(config) == {"SIM": {"book_type": "L2_MBP"}, "B": {}}


def test_requests_that_nobody_answered_are_told_with_the_remedy() -> None:
    text = shown(result_report(view(summary=summary(unanswered_requests=2)), Told()))
    assert "2 requests for past data were not answered: --warm-up does" in text.splitlines()
    assert max(map(len, text.splitlines())) <= 80
    assert "--warm-up" not in shown(result_report(view(summary=summary()), Told()))


def test_an_account_in_bitcoin_has_bitcoins_decimals_and_says_that_nobody_chose_its_balance() -> None:
    small = metrics(average_win=0.00012345, largest_loss=-0.0004, final_equity=0.98577404)
    told = Told(balances={"BTC": "0.98577404"}, curve=curve(1.0, 0.98577404))
    text = shown(result_report(view(metrics=small, summary=summary(), currency="BTC"), told))
    for line in (r"average win +0\.00012345", r"worst trade +-0\.00040000", r"final equity +0\.98577404 BTC"):
        assert re.search(line, text), text
    assert re.search(r"initial balance +1,000,000\.00 BTC, the default \(--balance\)", text)


def test_a_balance_that_was_chosen_is_shown_as_it_is() -> None:
    chosen = msgspec.structs.replace(view().config, initial_balance=2.0)
    assert began_with(chosen, "BTC") == "2.0000000 BTC"
    two = msgspec.structs.replace(chosen, venues=("SIM", "B"))
    assert began_with(two, "USD") == "2.00 USD at each venue"
    own = {"SIM": VenueSettings(starting_balances=("1 BTC", "5 ETH"))}
    assert began_with(msgspec.structs.replace(chosen, venue_settings=own), "USD") == ""
