"""Figures of real runs: those of a public library of the equity that the account really had, and what stands beside them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from flotilla.schemas.performance import Relative, Sample, relative
from tests import marked_catalog
from tests.engine_processes import ROOT, ema_cross, from_template
from tests.integration.test_trial_equals_backtest import ENGINE, FOREVER, VENUE, trial
from tests.library_figures import FIGURES, library_figures

BALANCE = 1_000_000
QUOTED = VENUE | {"base_currency": None, "starting_balances": [f"{BALANCE} <quote>"]}
RATIOS = {"sharpe_ratio", "sortino_ratio", "calmar_ratio"}
OF_A_YEAR = {"annualized_return", "calmar_ratio"}
KINDS = tuple(marked_catalog.moments())
"""Of which the hours are 62 days."""


class Trials:
    """A process that runs plans, each once."""

    def __init__(self, folder: Path) -> None:
        self._known: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.direct_runs", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def run(self, instrument: str, strategy: dict[str, Any], **over: Any) -> Any:
        plan = plan_of(instrument, strategy, **over) | {"chunk": 500, "alone": True}
        line = json.dumps(plan)
        if line not in self._known:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(line, file=self._process.stdin, flush=True)
            self._known[line] = json.loads(self._process.stdout.readline())[0]
        assert self._known[line] is not None
        return self._known[line]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def plan_of(instrument: str, strategy: dict[str, Any], **over: Any) -> dict[str, Any]:
    data = [{"kind": "bars", "identifier": strategy["config"]["bar_type"]}]
    plan = {"engine": ENGINE, "venues": [VENUE], "data": data, "instruments": [instrument]}
    return plan | {"strategies": [strategy], "start_ns": 0, "end_ns": FOREVER} | over


def buys(instrument: str, units: object, bar_type: str | None = None, **config: Any) -> dict[str, Any]:
    return {
        "strategy_path": "tests.trial_strategies:Buys",
        "config_path": "tests.trial_strategies:BuysConfig",
        "config": {"bar_type": bar_type or marked_catalog.bar_type(instrument), "units": str(units)} | config,
    }


def strategies(instrument: str) -> dict[str, dict[str, Any]]:
    of = {"instrument_id": instrument, "bar_type": marked_catalog.bar_type(instrument)}
    crossing = ema_cross(**of, fast_ema_period=5, slow_ema_period=12, trade_size="3000")
    return {
        "buy and hold": from_template("buy_and_hold", **of),
        "grid": grid(instrument, 1.0),
        "ema_cross": crossing,
        "flat": ema_cross(**of, fast_ema_period=4_000, slow_ema_period=5_000),
    }


def loses_all(instrument: str, closes: list[float]) -> dict[str, Any]:
    """Buys with credit what loses the whole balance at the lowest close."""
    return buys(instrument, int(BALANCE / (closes[0] - min(closes))) + 1)


def grid(instrument: str, spacing: float) -> dict[str, Any]:
    of = {"instrument_id": instrument, "bar_type": marked_catalog.bar_type(instrument)}
    return from_template("grid", **of, spacing_percent=spacing, trade_size="1000", max_inventory="6000")


@pytest.fixture(scope="module")
def closes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[float]]]:
    folder = tmp_path_factory.mktemp("marked")
    return folder, marked_catalog.write(folder)


@pytest.fixture(scope="module")
def trials(closes: tuple[Path, dict[str, list[float]]]) -> Iterator[Trials]:
    with closing(Trials(closes[0])) as made:
        yield made


@pytest.mark.parametrize("instrument", KINDS)
@pytest.mark.parametrize("name", ["buy and hold", "grid", "ema_cross", "flat", "loses all"])
def test_figures_are_those_of_a_public_library(
    trials: Trials, closes: tuple[Path, dict[str, list[float]]], instrument: str, name: str
) -> None:
    ruin = loses_all(instrument, closes[1][instrument])
    result = trials.run(instrument, {**strategies(instrument), "loses all": ruin}[name])
    curve, metrics = result["equity_curve"], result["metrics"]
    theirs = library_figures([point["at_ns"] for point in curve], [point["equity"] for point in curve])
    undefined = {figure for figure in FIGURES if metrics[figure] is None}
    short = OF_A_YEAR if instrument == "HOURLY.SIM" else set()
    for figure in set(FIGURES) - undefined:
        assert metrics[figure] == pytest.approx(theirs[figure], rel=1e-9, abs=1e-12), figure
    if name == "flat":
        assert undefined == RATIOS | short
        assert (metrics["total_return"], metrics["max_drawdown"], result["summary"]["orders"]["total"]) == (
            0,
            0,
            0,
        )
    elif name == "loses all":
        assert min(point["equity"] for point in curve) <= 0
        assert undefined == RATIOS | {"annualized_return", "volatility"}
    else:
        assert undefined == short
        assert len(result["fills"]) == 1 or len(result["fills"]) > 20


@pytest.mark.parametrize("instrument", KINDS)
def test_the_equity_of_buy_and_hold_is_what_it_holds_at_each_close(
    trials: Trials, closes: tuple[Path, dict[str, list[float]]], instrument: str
) -> None:
    result = trials.run(instrument, strategies(instrument)["buy and hold"], benchmark=instrument)
    prices = dict(zip(marked_catalog.moments()[instrument], closes[1][instrument], strict=True))
    (fill,) = result["fills"]
    units, entry = int(fill["last_qty"]), closes[1][instrument][0]
    assert units == BALANCE // entry
    opening, *points = result["equity_curve"]
    assert opening["equity"] == BALANCE
    for point in points:
        assert point["equity"] == pytest.approx(BALANCE + units * (prices[point["at_ns"]] - entry), rel=1e-12)
    whole = BALANCE + units * (closes[1][instrument][-1] - entry)
    assert result["metrics"]["total_return"] == pytest.approx(whole / BALANCE - 1)
    (held,) = result["open_positions"]
    assert float(held["unrealized_pnl"]) == pytest.approx(whole - BALANCE)
    days = {(point["at_ns"] - 1) // marked_catalog.DAY for point in points}
    assert days == {(at - 1) // marked_catalog.DAY for at in prices}, "each day has its end"
    samples = [Sample(point["at_ns"], point["equity"]) for point in result["equity_curve"]]
    beside = relative(samples, prices, UTC)
    assert beside.beta is not None
    assert {name: result["metrics"][name] for name in Relative._fields} == pytest.approx(beside._asdict())


def test_grids_rank_as_their_equity_does(trials: Trials) -> None:
    runs = [trials.run("BUSINESS.SIM", grid("BUSINESS.SIM", spacing)) for spacing in (1.0, 2.0, 5.0)]
    final = [run["equity_curve"][-1]["equity"] for run in runs]
    assert len(set(final)) == 3
    by_return = sorted(range(3), key=lambda index: runs[index]["metrics"]["total_return"])
    assert by_return == sorted(range(3), key=lambda index: final[index])


def test_a_days_end_is_where_the_run_says(trials: Trials) -> None:
    strategy = strategies("HOURLY.SIM")["buy and hold"]
    utc = trials.run("HOURLY.SIM", strategy)
    tokyo = trials.run("HOURLY.SIM", strategy, timezone="Asia/Tokyo")
    assert tokyo["fills"] == utc["fills"]
    curve = tokyo["equity_curve"]
    at, equities = [point["at_ns"] for point in curve], [point["equity"] for point in curve]
    theirs = library_figures(at, equities, "Asia/Tokyo")
    assert tokyo["metrics"]["sharpe_ratio"] == pytest.approx(theirs["sharpe_ratio"], rel=1e-9)
    assert tokyo["metrics"]["sharpe_ratio"] != pytest.approx(utc["metrics"]["sharpe_ratio"], rel=1e-3)


def test_the_equity_of_a_cash_account_counts_what_its_balance_has_paid_for(trials: Trials) -> None:
    strategy = strategies("BUSINESS.SIM")["buy and hold"]
    cash = trials.run("BUSINESS.SIM", strategy, venues=[VENUE | {"account_type": "CASH"}])
    margin = trials.run("BUSINESS.SIM", strategy)
    assert cash["fills"] == margin["fills"]
    assert cash["metrics"] == pytest.approx(margin["metrics"])
    assert float(cash["balances"]["USD"]) < 1_000


# Currencies.


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    marked_catalog.write_pairs(folder)
    return folder


BTC, COIN, EUR = "BTC/USDT.SIM", "COIN.SIM", "EUR/USDT.SIM"


def hours(instrument: str) -> str:
    return f"{instrument}-1-HOUR-LAST-EXTERNAL"


@pytest.mark.parametrize("instrument", [BTC, COIN])
def test_without_a_base_currency_a_run_counts_in_what_its_instrument_is_quoted_in(
    pairs: Path, instrument: str
) -> None:
    fees = {"fee_model_path": "nautilus_trader.backtest.models:FixedFeeModel"}
    fees |= {"config_path": "nautilus_trader.backtest.config:FixedFeeModelConfig"}
    venue = QUOTED | {"fee_model": fees | {"config": {"commission": "2.5 <quote>"}}}
    said = trial(pairs, plan_of(instrument, buys(instrument, 10, hours(instrument)), venues=[venue]))
    result = said[-1]["result"]
    assert result["currency"] == "USDT"
    assert result["fees"] == {"USDT": "2.50000000"}
    # The first close is 101, the last 105.
    assert result["metrics"]["final_equity"] == pytest.approx(BALANCE - 2.5 + 10 * (105 - 101))


@pytest.mark.parametrize("instrument", [BTC, COIN])
def test_a_base_currency_without_a_rate_is_refused_at_the_first_fill(pairs: Path, instrument: str) -> None:
    said = trial(pairs, plan_of(instrument, buys(instrument, 10, hours(instrument))), code=78)
    assert "base_currency USD: the run's data have no rate from USDT" in said[-1]["refused"]


def test_a_base_currency_with_a_rate_among_the_data_is_converted_into(pairs: Path) -> None:
    plan = plan_of(BTC, buys(BTC, 10, hours(BTC)), instruments=[BTC, EUR])
    plan["data"] = [*plan["data"], {"kind": "quotes", "identifier": EUR}]
    plan["venues"] = [VENUE | {"base_currency": "EUR", "starting_balances": [f"{BALANCE} EUR"]}]
    result = trial(pairs, plan)[-1]["result"]
    assert result["currency"] == "EUR"
    assert result["metrics"]["final_equity"] == pytest.approx(BALANCE + 10 * (105 - 101) / 1.25)
    (held,) = result["open_positions"]
    assert (held["unrealized_pnl"], held["currency"]) == ("40.00000000", "USDT")


def test_instruments_of_several_currencies_need_a_base_currency(
    pairs: Path, closes: tuple[Path, dict[str, list[float]]]
) -> None:
    other = "ODD.SIM"
    marked_catalog.copy_instrument(closes[0], pairs, other)
    plan = plan_of(COIN, buys(COIN, 10, hours(COIN)), instruments=[COIN, other], venues=[QUOTED])
    said = trial(pairs, plan, code=78)
    assert "base_currency must be given" in said[-1]["refused"]
    assert "COIN.SIM in USDT" in said[-1]["refused"]


# Orders that go nowhere.


def counted(result: Any) -> tuple[dict[str, int], list[tuple[str, int, str]]]:
    told = dict(result["summary"]["orders"])
    reasons = [(one["status"], one["count"], one["reason"]) for one in told.pop("reasons")]
    return {name: count for name, count in told.items() if count}, reasons


def test_an_order_for_an_algorithm_that_is_not_there_is_unsent(trials: Trials) -> None:
    counts, ((status, count, reason),) = counted(trials.run("ODD.SIM", buys("ODD.SIM", 10, algorithm="TWAP")))
    assert counts == {"total": 1, "unsent": 1}
    assert (status, count) == ("unsent", 1)
    assert reason == "there is no execution algorithm TWAP in this run"


def test_an_order_that_is_made_and_never_sent_is_unsent(trials: Trials) -> None:
    counts, reasons = counted(trials.run("ODD.SIM", buys("ODD.SIM", 10, is_sent=False)))
    assert counts == {"total": 1, "unsent": 1}
    assert reasons == [("unsent", 1, "the strategy made it and never sent it")]


def test_a_denied_order_is_counted_with_its_reason(trials: Trials) -> None:
    cash = [VENUE | {"account_type": "CASH"}]
    too_much = buys("ODD.SIM", 400_000, limit=200.0)
    counts, ((status, count, reason),) = counted(trials.run("ODD.SIM", too_much, venues=cash))
    assert counts == {"total": 1, "denied": 1}
    assert (status, count) == ("denied", 1)
    assert "EXCEEDS_FREE_BALANCE" in reason


def test_rejected_orders_are_counted_by_their_reason_whatever_its_numbers_are(tmp_path: Path) -> None:
    # Bars of bids alone make no market.
    marked_catalog.write_one_sided(tmp_path)
    of = {"instrument_id": "BIDS.SIM", "bar_type": "BIDS.SIM-1-HOUR-BID-EXTERNAL"}
    strategy = ema_cross(**of, fast_ema_period=2, slow_ema_period=3)
    result = trial(tmp_path, plan_of("BIDS.SIM", strategy))[-1]["result"]
    counts, reasons = counted(result)
    assert counts["rejected"] == counts["submitted"] == counts["total"] > 20
    assert sum(count for _, count, _ in reasons) == counts["rejected"]
    assert reasons[0][0] == "rejected"
    assert result["metrics"]["total_trades"] == 0


def test_orders_and_positions_that_are_open_at_the_end_are_named(trials: Trials) -> None:
    resting = trials.run("ODD.SIM", buys("ODD.SIM", 10, limit=0.5))["summary"]
    assert resting["orders"] == counts_with(open=1, submitted=1, total=1)
    (order,) = resting["open_orders"]
    assert (order["side"], order["quantity"], order["price"], order["status"]) == (
        "BUY",
        "10",
        "0.50",
        "ACCEPTED",
    )
    held = trials.run("ODD.SIM", buys("ODD.SIM", 10))
    assert held["summary"]["positions_open"] == 1
    assert held["summary"]["open_positions"] == held["open_positions"]
    assert held["open_positions"][0]["side"] == "LONG"


def counts_with(**counts: int) -> dict[str, Any]:
    names = ("total", "submitted", "filled", "open", "rejected", "denied", "unsent", "expired", "canceled")
    return dict.fromkeys(names, 0) | counts | {"reasons": []}
