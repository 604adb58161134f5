"""What backtests, comparisons and studies look like to people."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import RenderableType

from flotilla.backtest_tables import Told, backtests_table, details, result_report
from flotilla.comparison_tables import best_of, comparison_report
from flotilla.demo_backtest import count_equal
from flotilla.failure import failure_of
from flotilla.findings import findings_report
from flotilla.following import progress_text
from flotilla.output import console
from flotilla.problem import BacktestFailedError
from flotilla.study_figures import ranking
from flotilla.study_tables import as_json, result_line, studies_table, study_report
from flotilla.verdict_report import verdict_report
from schemas.backtest import (
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
    StudyConfig,
    StudyView,
    TrialFailure,
    TrialProgress,
)
from schemas.catalog import BadValue, Finding, Gap
from schemas.telemetry import Fill

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
        "421 / 800",
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
    assert line.split()[2] == "-"


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


def test_a_comparison_has_figures_what_differs_and_the_curves() -> None:
    found = Comparison(
        backtests=(view("first"), view("second", metrics=metrics(2.0))),
        parameters={"strategy_config.fast_ema_period": (5, 10)},
    )
    text = shown(comparison_report(found, {"first": curve(100, 120), "second": curve(100, 90)}, width=78))
    assert "2.00*" in text
    assert "fast_ema_period" in text
    assert "strategy_config" not in text
    assert "+20.0%" in text
    assert "-10.0%" in text


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
    assert "every fill and figure is the same" in shown(verdict_report(no_effect))
    no_cause = msgspec.structs.replace(differs, differences=differs.differences[2:])
    assert "what it depends on has not changed" in shown(verdict_report(no_cause))
    gone = Difference(where="status", first="completed", second="failed: no data")
    text = shown(verdict_report(msgspec.structs.replace(differs, differences=(gone,))))
    assert "does not run to its end any more" in text
    assert "now   failed: no data" in text
    assert "has not changed" not in text


def test_a_study_ranks_what_completed_by_its_metric() -> None:
    good = view("st-0001", metrics=metrics(0.9), parameters={"fast": 5})
    bad = view("st-0002", metrics=metrics(0.1), parameters={"fast": 10})
    none = view("st-0003", metrics=metrics(None), parameters={"fast": 7})
    failed = view("st-0004", "failed", reason=TrialFailure.OOM, error="too much memory")
    config = study().config
    assert ranking((bad, none, failed, good), config) == [good, bad]
    lowest = msgspec.structs.replace(config, lowest=True)
    assert ranking((good, bad), lowest) == [bad, good]
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
