"""Several strategies, what runs beside them, and the settings of venues: a trial gives what NautilusTrader gives by hand."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.catalog import CatalogEntry
from flotilla.schemas.decoding import convert
from flotilla.services.orchestrator.backtests.core.plans import Sources, plan_of
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from tests import pair_catalog
from tests.integration.test_trials_equal_direct_runs import Pairs, assert_same
from tests.pair_catalog import BTC, EUR, HOURS, QUOTES

EXAMPLES = "nautilus_trader.examples"
MINUTES = f"{EUR}-1-MINUTE-BID-INTERNAL"
MODELS = "tests.trial_models"
TWAP = {"path": f"{EXAMPLES}.algorithms.twap:TWAPExecAlgorithm"}
ENTRIES = tuple(
    CatalogEntry(
        data_type=kind,  # type: ignore[arg-type]
        identifier=identifier,
        instrument_id=instrument,
        start=datetime(2020, 9, 14, tzinfo=UTC),
        end=datetime(2020, 9, 30, tzinfo=UTC),
        files=1,
        size_bytes=1,
    )
    for kind, identifier, instrument in (
        ("quotes", EUR, EUR),
        ("bars", HOURS, EUR),
        ("quotes", BTC, BTC),
        ("trades", BTC, BTC),
    )
)
SOURCES = Sources(
    template_set=TemplateSet(
        modules=(f"{EXAMPLES}.strategies", "tests.trial_strategies", "tests.trial_models")
    ),
    entries=ENTRIES,
)


def planned(**chosen: Any) -> dict[str, Any]:
    """The plan of a backtest of this configuration, as a request has it."""
    whole = {"start_date": "2020-09-14", "end_date": "2020-09-17", "instruments": [EUR], **chosen}
    whole.setdefault("venues", sorted({name.rpartition(".")[2] for name in whole["instruments"]}))
    whole.setdefault("base_currency", "USDT" if BTC in whole["instruments"] else "USD")
    plan, errors = plan_of(convert(whole, BacktestConfig, "config"), SOURCES)
    assert errors == []
    made: dict[str, Any] = json.loads(msgspec.json.encode(plan))
    made["engine"]["logging"]["log_level"] = "ERROR"
    return made | {"chunk": 200}


def example(module: str, name: str, **config: Any) -> dict[str, Any]:
    path = f"{EXAMPLES}.strategies.{module}:{name}"
    return {"strategy_path": path, "config_path": f"{path}Config", "config": config}


def cross(name: str = "EMACross", module: str = "ema_cross", **config: Any) -> dict[str, Any]:
    whole = {"instrument_id": EUR, "bar_type": MINUTES, "trade_size": "100000"} | config
    return example(module, name, **whole)


def trader(*instruments: str, **config: Any) -> dict[str, Any]:
    path = "tests.trial_strategies:TradesOnEverything"
    return {
        "strategy_path": path,
        "config_path": f"{path}Config",
        "config": {"instruments": instruments, **config},
    }


TWAPS = cross("EMACrossTWAP", "ema_cross_twap", twap_horizon_secs=300.0, twap_interval_secs=30.0)
SPOT = {"strategies": [trader(BTC, size=1)], "instruments": [BTC], "tick_data": True}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    folder = tmp_path_factory.mktemp("pairs")
    pair_catalog.write(folder)
    with closing(Pairs(folder)) as found:
        yield found


def test_several_strategies_trade_in_one_run_and_each_ones_figures_are_its_own(pairs: Pairs) -> None:
    strategies = [
        cross(),
        cross(fast_ema_period=5),
        cross("EMACrossLongOnly", "ema_cross_long_only", order_id_tag="LONG"),
    ]
    ours, theirs = pairs.run(planned(strategies=strategies))
    assert_same(ours, theirs)
    names = ["EMACross-001", "EMACross-002", "EMACrossLongOnly-LONG"]
    assert [one["strategy_id"] for one in ours["summary"]["strategies"]] == names
    for one in ours["summary"]["strategies"]:
        name = one["strategy_id"]
        assert one["fills"] == sum(fill["strategy_id"] == name for fill in ours["fills"]) > 20
        assert one["trades"] == sum(trade["strategy_id"] == name for trade in ours["trades"])
        pnl = sum(float(trade["pnl"]) for trade in ours["trades"] if trade["strategy_id"] == name)
        assert float(one["pnl"]["USD"]) == pytest.approx(pnl)


def test_twap_carries_out_what_its_strategy_sends_it(pairs: Pairs) -> None:
    ours, theirs = pairs.run(planned(strategies=[TWAPS], exec_algorithms=[TWAP]))
    assert_same(ours, theirs)
    counts = ours["summary"]["orders"]
    assert (counts["unsent"], counts["reasons"]) == (0, [])
    assert counts["filled"] > 500


def test_orders_for_an_algorithm_that_there_is_not_are_told_with_the_reason(pairs: Pairs) -> None:
    ours, _ = pairs.run(planned(strategies=[TWAPS]))
    counts = ours["summary"]["orders"]
    assert counts["unsent"] == counts["total"] > 50
    (reason,) = counts["reasons"]
    assert reason["reason"] == "there is no execution algorithm TWAP in this run"


def test_an_actor_works_beside_a_strategy(pairs: Pairs) -> None:
    actor = {"path": "tests.trial_strategies:Tells", "config": {"instrument_id": EUR, "every": 50}}
    listener = {
        "strategy_path": "tests.trial_strategies:BuysOnSignal",
        "config_path": "tests.trial_strategies:BuysOnSignalConfig",
        "config": {"instrument_id": EUR, "units": "1000"},
    }
    ours, theirs = pairs.run(planned(strategies=[listener], actors=[actor], tick_data=True))
    assert_same(ours, theirs)
    assert len(ours["fills"]) == QUOTES // 50


VENUES: dict[str, dict[str, Any]] = {
    "hedging with other ids": {"oms_type": "HEDGING", "use_position_ids": False},
    "a book of two levels": {"fill_model": {"name": "TwoTierFillModel"}},
    "a book by size": {"fill_model": {"name": "SizeAwareFillModel"}},
    "one tick worse": {"fill_model": {"name": "OneTickSlippageFillModel"}},
    "by chance": {"fill_model": {"name": "FillModel", "prob_slippage": 0.5, "prob_fill_on_limit": 0.3}},
    "a latency of each kind": {"latency": {"base_ms": 200, "insert_ms": 900, "cancel_ms": 60_000}},
    "fixed fees per fill": {"fees": {"kind": "fixed", "commission": "2 USD", "charge_once": False}},
    "fees per unit": {"fees": {"kind": "per_contract", "commission": "0.001 USD"}},
    "acknowledged, without GTD": {"use_market_order_acks": True, "support_gtd_orders": False},
    "liquidity is used up": {"liquidity_consumption": True, "price_protection_points": 1},
    "an account that never changes": {"frozen_account": True},
    "own fees": {"own_fees": {"path": f"{MODELS}:TieredFees", "config": {"rate": "0.0001"}}},
    "an own fill model": {
        "own_fill_model": {
            "path": f"{MODELS}:NeverSlips",
            "config_path": f"{MODELS}:FillModelConfig",
        }
    },
    "an own latency": {"own_latency": {"path": f"{MODELS}:Slow", "config": {"seconds": 90}}},
    "an own module": {"modules": [{"path": f"{MODELS}:Rent", "config": {"a_day": "12.5"}}]},
}


@pytest.mark.parametrize("name", VENUES)
def test_the_settings_of_a_venue_do_what_they_do_in_nautilustrader(pairs: Pairs, name: str) -> None:
    run = {"strategies": [trader(EUR, size=20_000)], "tick_data": True, "end_date": "2020-09-14"}
    ours, theirs = pairs.run(planned(**run, venue_settings={"SIM": VENUES[name]}))
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 50
    plain, _ = pairs.run(planned(**run))
    assert result_of(ours) != result_of(plain)


def test_leverage_says_what_a_position_holds_back_of_the_account(pairs: Pairs) -> None:
    path = "tests.trial_strategies:Spends"
    spends = {"strategy_path": path, "config_path": f"{path}Config", "config": {"instrument_id": EUR}}
    run = {"strategies": [spends], "tick_data": True, "end_date": "2020-09-14", "leverage": 2}
    found = {}
    for name, chosen in {
        "the run's": {},
        "the venue's": {"default_leverage": 3.5},
        "the instrument's": {"default_leverage": 3.5, "leverages": {EUR: 20}},
        "none": {"default_leverage": 20, "margin_model": "standard"},
        "an own model's": {"own_margin_model": {"path": f"{MODELS}:FlatMargin", "config": {"each": 0.25}}},
    }.items():
        ours, theirs = pairs.run(planned(**run, venue_settings={"SIM": chosen}))
        assert_same(ours, theirs)
        found[name] = ours["fills"][-1]["last_qty"]
    assert len({*found.values()}) == len(found)


def result_of(ours: Any) -> Any:
    return [ours[part] for part in ("fills", "orders", "balances")]


def test_bars_and_trades_move_the_market_as_the_venue_says(pairs: Pairs) -> None:
    on_bars = {"strategies": [trader(EUR, bar_types=[HOURS], size=1_000)], "bar_types": [HOURS]}
    for chosen in ({"bar_execution": False}, {"bar_adaptive_high_low_ordering": True}):
        assert_same(*pairs.run(planned(**on_bars, venue_settings={"SIM": chosen})))
    chosen = {"queue_position": True, "liquidity_consumption": True}
    ours, theirs = pairs.run(planned(**SPOT, venue_settings={"BINANCE": chosen}))
    assert_same(ours, theirs)
    assert result_of(ours) != result_of(pairs.run(planned(**SPOT))[0])
    still, _ = pairs.run(planned(**SPOT, venue_settings={"BINANCE": {"trade_execution": False}}))
    assert result_of(still) != result_of(pairs.run(planned(**SPOT))[0])


def test_a_cash_account_holds_both_sides_of_a_pair(pairs: Pairs) -> None:
    both = {"account_type": "CASH", "starting_balances": ["10 BTC", "100000 USDT"]}
    ours, theirs = pairs.run(planned(**SPOT, venue_settings={"BINANCE": both}))
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 100
    assert ours["currency"] == "USDT"
    assert set(ours["balances"]) == {"BTC", "USDT"}
    first, last = ours["equity_curve"][0], ours["equity_curve"][-1]
    # Ten bitcoins at about 10,000, valued at the first price that came, and the money.
    assert first["equity"] == pytest.approx(200_000, rel=0.01)
    worth = float(ours["balances"]["USDT"]) + float(ours["balances"]["BTC"]) * 10_000
    assert last["equity"] == pytest.approx(worth, rel=0.05)
    assert ours["metrics"]["final_equity"] == last["equity"]


def test_nautilustrader_takes_the_other_settings_too(pairs: Pairs) -> None:
    others = {
        "settlement_prices": {EUR: 1.2},
        "oto_trigger_mode": "FULL",
        "reject_stop_orders": False,
        "support_contingent_orders": False,
        "use_reduce_only": False,
        "routing": True,
    }
    run = {"strategies": [trader(EUR, size=20_000)], "tick_data": True, "end_date": "2020-09-14"}
    assert_same(*pairs.run(planned(**run, venue_settings={"SIM": others})))
    poor = {
        "account_type": "CASH",
        "starting_balances": ["0.1 BTC", "100 USDT"],
        "allow_cash_borrowing": True,
    }
    ours, theirs = pairs.run(planned(**SPOT, venue_settings={"BINANCE": poor}))
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 100
    ours, _ = pairs.run(planned(**run, venue_settings={"SIM": {"use_random_ids": True}}))
    again, _ = pairs.run(planned(**run, venue_settings={"SIM": {"use_random_ids": True}}) | {"chunk": 99})
    assert ours["fills"][0]["venue_order_id"] != again["fills"][0]["venue_order_id"]
    assert ours["balances"] == again["balances"]


def test_a_margin_account_may_keep_every_currency_for_itself(pairs: Pairs) -> None:
    chosen = {"base_currency": "none", "starting_balances": ["1 BTC", "50000 USDT"], "default_leverage": 10}
    ours, theirs = pairs.run(planned(**SPOT, venue_settings={"BINANCE": chosen}))
    assert_same(ours, theirs)
    assert ours["equity_curve"][0]["equity"] == pytest.approx(60_000, rel=0.01)


def test_venues_differ_and_are_counted_together(pairs: Pairs) -> None:
    run = {
        "strategies": [trader(EUR, size=1_000), trader(BTC, size=1)],
        "instruments": [EUR, BTC],
        "tick_data": True,
        "base_currency": "USDT",
        "venue_settings": {
            "SIM": {"starting_balances": ["1000000 USD"]},
            "BINANCE": {"account_type": "CASH", "starting_balances": ["10 BTC", "100000 USDT"]},
        },
    }
    plan, errors = plan_of(
        convert(
            {"start_date": "2020-09-14", "end_date": "2020-09-14", "venues": ["BINANCE", "SIM"], **run},
            BacktestConfig,
            "config",
        ),
        SOURCES,
    )
    # Nothing of the run tells what a dollar is worth in tether.
    assert plan is None
    assert [error.field for error in errors] == ["config.base_currency"]


RATES = {
    "LOCATION": {"0": "EA19", "1": "USA"},
    "TIME": {"0": "2020-09", "1": "2020-09"},
    "Value": {"0": -0.54, "1": 5.25},
}


def test_a_simulation_module_pays_interest_over_night(pairs: Pairs) -> None:
    module = {
        "path": "nautilus_trader.backtest.modules:FXRolloverInterestModule",
        "config_path": "nautilus_trader.backtest.config:FXRolloverInterestConfig",
        "config": {"rate_data": json.dumps(RATES)},
    }
    run = {"strategies": [cross(trade_size="1000000")]}
    ours, theirs = pairs.run(planned(**run, venue_settings={"SIM": {"modules": [module]}}))
    assert_same(ours, theirs)
    plain, _ = pairs.run(planned(**run))
    assert ours["fills"] == plain["fills"]
    assert ours["balances"] != plain["balances"]


def test_a_request_for_bars_is_answered_from_the_catalog(pairs: Pairs) -> None:
    path = "tests.trial_strategies:Warms"
    strategy = {"strategy_path": path, "config_path": f"{path}Config", "config": {"bar_type": HOURS}}
    run = {"strategies": [strategy], "start_date": "2020-09-15"}
    ours, theirs = pairs.run(planned(**run, warm_up=True))
    assert_same(ours, theirs)
    # A day of hours with the one that ends it, which is the first that comes live too. The strategy buys a thousand for each.
    assert ours["orders"][0]["quantity"] == "24000"
    assert (ours["summary"]["unanswered_requests"], ours["summary"]["answered_requests"]) == (0, 1)
    cold, theirs = pairs.run(planned(**run))
    assert_same(cold, theirs)
    assert cold["orders"] == []
    assert (cold["summary"]["unanswered_requests"], cold["summary"]["answered_requests"]) == (1, 0)


def test_what_a_strategy_subscribes_to_comes_from_the_runs_data_alone(pairs: Pairs) -> None:
    run = {"strategies": [trader(EUR, bar_types=[HOURS], size=1_000)], "bar_types": [HOURS]}
    warm, _ = pairs.run(planned(**run, warm_up=True))
    cold, theirs = pairs.run(planned(**run))
    # NautilusTrader's engine would take the quotes of the catalog too.
    assert warm["events"] == cold["events"] == theirs["events"] < 100
    assert warm["fills"] == cold["fills"] == theirs["fills"] != []


def test_the_seed_is_that_of_every_chance_also_where_no_fill_model_was_chosen(pairs: Pairs) -> None:
    path = "tests.trial_strategies:TossesCoins"
    tosses = {"strategy_path": path, "config_path": "tests.trial_strategies:SpendsConfig"}
    run = {"strategies": [tosses | {"config": {"instrument_id": EUR}}], "tick_data": True}
    plan = planned(**run, end_date="2020-09-14")
    one, other, third = (
        pairs.run(plan | {"seed": seed, "chunk": chunk})[0] for seed, chunk in ((1, 200), (1, 300), (2, 200))
    )
    assert one["fills"] == other["fills"] != third["fills"]
    assert len(one["fills"]) > 30
