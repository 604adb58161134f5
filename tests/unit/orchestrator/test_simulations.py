"""Several strategies, what runs beside them, and the settings of venues: what plans say of them, and what is refused by its field."""

from typing import Any

import pytest

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultError
from flotilla.schemas.simulation import PLAIN, VenueSettings
from tests.unit.orchestrator.test_backtest_plans import IXIC, SPX, config, of_class, pairs, planned, wrong

CROSS = {"template": "ema_cross"}
OWN = {
    "strategy_path": "nautilus_trader.examples.strategies.x:Y",
    "config_path": "nautilus_trader.examples.strategies.x:YConfig",
}
TWAP = "nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithm"


def read(**chosen: Any) -> BacktestConfig:
    """As it comes from outside."""
    base = {"start_date": "2000-01-01", "end_date": "2001-12-31", "instruments": ["SPX.SIM"]}
    made: BacktestConfig = convert(base | chosen, BacktestConfig, "config")
    return made


def several(*strategies: dict[str, Any], **chosen: Any) -> dict[str, Any]:
    return {"strategy": None, "strategies": read(strategies=list(strategies)).strategies, **chosen}


def set_to(**settings: Any) -> dict[str, Any]:
    """Settings of SIM."""
    return {"venue_settings": read(strategy="ema_cross", venue_settings={"SIM": settings}).venue_settings}


def venue(**settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = planned(**set_to(**settings)).venues[0]
    return found


def test_several_strategies_get_order_id_tags_of_their_own() -> None:
    ours = {**OWN, "config": {"order_id_tag": "001"}}
    plan = planned(**several(CROSS, CROSS | {"parameters": {"fast": 5}}, ours))
    assert [one["config"]["order_id_tag"] for one in plan.strategies] == ["002", "003", "001"]
    assert [one["config"].get("fast") for one in plan.strategies] == [10, 5, None]


def test_each_strategy_trades_its_own_instrument_and_all_of_their_data_is_read() -> None:
    other = {"template": "ema_cross", "parameters": {"instrument_id": "IXIC.SIM", "bar_type": IXIC}}
    plan = planned(**several(CROSS, other, instruments=("SPX.SIM", "IXIC.SIM")))
    assert [one.identifier for one in plan.data] == [IXIC, SPX]


def test_what_is_wrong_with_one_of_several_names_its_place() -> None:
    found = wrong(
        **several(
            CROSS | {"parameters": {"fast": 50}},
            {"template": "nothing"},
            {"strategy_path": "os:system", "config_path": "os:path"},
        )
    )
    assert set(found) == {
        "config.strategies[0].parameters.fast",
        "config.strategies[1].template",
        "config.strategies[2].strategy_path",
        "config.strategies[2].config_path",
    }
    stray = several(CROSS | {"parameters": {"bar_type": IXIC}})
    assert "IXIC.SIM" in wrong(**stray)["config.strategies[0]"]
    tag = {**OWN, "config": {"order_id_tag": "A"}}
    assert "taken" in wrong(**several(tag, tag))["config.strategies[1].config.order_id_tag"]


def test_an_instrument_that_nobody_holds_is_one_mistake_of_several_strategies_too() -> None:
    assert list(wrong(**several(CROSS, CROSS, instruments=("NO.SIM",)))) == ["config.instruments"]


@pytest.mark.parametrize(
    "more",
    [
        {"strategy": "ema_cross"},
        {"strategy_class": "EMACross"},
        {"strategy_config": {"fast": 1}},
        {"config_class": "m:C"},
    ],
)
def test_one_strategy_and_several_are_not_given_at_once(more: dict[str, Any]) -> None:
    with pytest.raises(FaultError) as caught:
        read(strategies=[CROSS], **more)
    assert [one.field for one in caught.value.fault.errors] == ["config.strategies"]
    assert next(iter(more)) in caught.value.fault.message


def test_actors_and_algorithms_stand_in_the_engines_config() -> None:
    beside = {
        "actors": [{"path": "nautilus_trader.examples.strategies.x:A"}],
        "exec_algorithms": [{"path": TWAP}],
    }
    chosen = read(strategy="ema_cross", **beside)
    plan = planned(actors=chosen.actors, exec_algorithms=chosen.exec_algorithms)
    assert plan.engine["actors"] == [
        {
            "actor_path": "nautilus_trader.examples.strategies.x:A",
            "config_path": "nautilus_trader.examples.strategies.x:AConfig",
            "config": {},
        }
    ]
    assert plan.engine["exec_algorithms"][0]["config_path"] == f"{TWAP}Config"
    assert not planned().engine.keys() & {"actors", "exec_algorithms"}


@pytest.mark.parametrize("field", ["actors", "exec_algorithms"])
def test_what_runs_beside_comes_from_where_strategies_may(field: str) -> None:
    choices = getattr(read(strategy="ema_cross", **{field: [{"path": "os:system"}]}), field)
    assert "outside the modules" in wrong(**{field: choices})[f"config.{field}[0].path"]
    choices = getattr(
        read(strategy="ema_cross", **{field: [{"path": TWAP, "config_path": "os:path"}]}), field
    )
    assert "outside the modules" in wrong(**{field: choices})[f"config.{field}[0].config_path"]


def test_a_bar_type_that_an_actor_names_is_read() -> None:
    actor = {"path": "nautilus_trader.examples.strategies.x:A", "config": {"bar_type": IXIC}}
    actors = read(strategy="ema_cross", actors=[actor]).actors
    plan = planned(instruments=("SPX.SIM", "IXIC.SIM"), actors=actors)
    assert [one.identifier for one in plan.data] == [IXIC, SPX]
    assert "IXIC.SIM" in wrong(actors=actors)["config.actors[0]"]


def test_settings_that_say_what_is_so_anyhow_change_nothing() -> None:
    assert planned(**set_to()) == planned()
    assert venue(account_type="MARGIN", oms_type="NETTING") == planned().venues[0]


def test_a_venues_own_settings_stand_over_those_of_the_run() -> None:
    found = venue(
        oms_type="HEDGING",
        starting_balances=["500 EUR"],
        default_leverage=5,
        leverages={"SPX.SIM": 20},
        margin_model="standard",
        latency={"base_ms": 1, "cancel_ms": 2.5},
        fees={"kind": "fixed", "commission": "1.5 USD", "charge_once": False},
        fill_model={"name": "TwoTierFillModel", "prob_slippage": 0.25},
        modules=[{"path": "nautilus_trader.backtest.modules:M", "config": {"a": 1}}],
        use_random_ids=True,
        price_protection_points=3,
    )
    models = {name: found.pop(name) for name in ("fill_model", "latency_model", "fee_model")}
    assert found == {
        "name": "SIM",
        "oms_type": "HEDGING",
        "account_type": "MARGIN",
        "base_currency": "EUR",
        "starting_balances": ["500 EUR"],
        "default_leverage": 5.0,
        "leverages": {"SPX.SIM": 20.0},
        "margin_model": {"model_type": "standard"},
        "modules": [
            {
                "actor_path": "nautilus_trader.backtest.modules:M",
                "config_path": "nautilus_trader.backtest.modules:MConfig",
                "config": {"a": 1},
            }
        ],
        "use_random_ids": True,
        "price_protection_points": 3,
    }
    assert models["fill_model"]["fill_model_path"].endswith(":TwoTierFillModel")
    assert models["fill_model"]["config"]["prob_slippage"] == 0.25
    assert models["latency_model"]["config"] == {
        "base_latency_nanos": 1_000_000,
        "cancel_latency_nanos": 2_500_000,
    }
    assert models["fee_model"]["config"] == {"commission": "1.5 USD", "charge_commission_once": False}


@pytest.mark.parametrize(
    ("settings", "base", "balances"),
    [
        ({}, None, ["1000000.0 <quote>"]),
        ({"base_currency": "EUR"}, "EUR", ["1000000.0 EUR"]),
        ({"starting_balances": ["1 BTC"]}, "BTC", ["1 BTC"]),
        ({"starting_balances": ["1 BTC", "5 USDT"]}, None, ["1 BTC", "5 USDT"]),
        ({"starting_balances": ["5 USDT"], "base_currency": "none"}, None, ["5 USDT"]),
        ({"starting_balances": ["5 USDT"], "base_currency": "USDT"}, "USDT", ["5 USDT"]),
    ],
)
def test_what_an_account_is_kept_in_follows_from_what_it_begins_with(
    settings: dict[str, Any], base: str | None, balances: list[str]
) -> None:
    found = venue(**settings)
    assert (found["base_currency"], found["starting_balances"]) == (base, balances)


def test_one_venue_pays_cash_and_the_other_has_leverage() -> None:
    settings = read(strategy="ema_cross", venue_settings={"X": {"account_type": "CASH"}}).venue_settings
    plan = planned(
        **of_class(instruments=("SPX.SIM", "BTC.X")),
        venues=("SIM", "X"),
        leverage=4.0,
        venue_settings=settings,
    )
    assert [one.get("default_leverage") for one in plan.venues] == [4.0, None]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"account_type": "CASH", "default_leverage": 2}, "default_leverage"),
        ({"account_type": "CASH", "leverages": {"SPX.SIM": 2}}, "leverages"),
        ({"account_type": "CASH", "margin_model": "standard"}, "margin_model"),
        ({"allow_cash_borrowing": True}, "allow_cash_borrowing"),
        ({"leverages": {"IXIC.SIM": 2}}, "leverages"),
        ({"settlement_prices": {"IXIC.SIM": 2}}, "settlement_prices"),
        ({"base_currency": "none"}, "starting_balances"),
        ({"base_currency": "USD", "starting_balances": ["1 EUR"]}, "starting_balances"),
        ({"base_currency": "USD", "starting_balances": ["1 USD", "1 EUR"]}, "starting_balances"),
        ({"starting_balances": ["1 USD", "2 USD"]}, "starting_balances"),
        ({"starting_balances": ["0 USD"]}, "starting_balances"),
        ({"book_type": "L2_MBP"}, "book_type"),
        ({"queue_position": True, "trade_execution": False}, "queue_position"),
        ({"bar_adaptive_high_low_ordering": True, "bar_execution": False}, "bar_adaptive_high_low_ordering"),
        ({"fees": {"kind": "fixed", "commission": "0 USD"}}, "fees.commission"),
        ({"modules": [{"path": "os:system"}]}, "modules[0].path"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], field: str) -> None:
    assert list(wrong(**set_to(**settings))) == [f"config.venue_settings.SIM.{field}"]


def test_a_pair_needs_a_cash_account_of_both_its_currencies() -> None:
    cash = pairs("BTC/USDT", account_type="CASH")
    assert "cannot trade BTC/USDT.X" in wrong(**cash)["config.account_type"]
    both = {"X": {"starting_balances": ["1 BTC", "9 USDT"]}}
    settings = read(strategy="ema_cross", venue_settings=both).venue_settings
    assert planned(**cash, venue_settings=settings).venues[0]["base_currency"] is None
    one = {"X": {"account_type": "CASH", "starting_balances": ["9 USDT"]}}
    settings = read(strategy="ema_cross", venue_settings=one).venue_settings
    found = wrong(**pairs("BTC/USDT"), venue_settings=settings)
    assert list(found) == ["config.venue_settings.X.starting_balances"]


def test_an_instrument_of_another_venue_is_not_leveraged_here() -> None:
    settings = read(strategy="ema_cross", venue_settings={"SIM": {"leverages": {"BTC.X": 2}}}).venue_settings
    found = wrong(**of_class(instruments=("SPX.SIM", "BTC.X")), venues=("SIM", "X"), venue_settings=settings)
    assert "does not trade at SIM" in found["config.venue_settings.SIM.leverages"]


def test_settings_of_a_venue_that_there_is_not_are_refused() -> None:
    settings = read(strategy="ema_cross", venue_settings={"OTHER": {}}).venue_settings
    assert list(wrong(venue_settings=settings)) == ["config.venue_settings.OTHER"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"leverage": 2}, "config.venue_settings.SIM.leverage"),
        ({"oms_type": "BOTH"}, "config.venue_settings.SIM.oms_type"),
        ({"starting_balances": ["-1 USD"]}, "config.venue_settings.SIM.starting_balances[0]"),
        ({"starting_balances": ["1e9 USD"]}, "config.venue_settings.SIM.starting_balances[0]"),
        ({"default_leverage": 0.5}, "config.venue_settings.SIM.default_leverage"),
        ({"fill_model": {"name": "Mine"}}, "config.venue_settings.SIM.fill_model.name"),
        ({"fill_model": {"prob_slippage": 2}}, "config.venue_settings.SIM.fill_model.prob_slippage"),
        ({"fees": {"kind": "fixed"}}, "config.venue_settings.SIM.fees.commission"),
        ({"fees": {"commission": "1 USD"}}, "config.venue_settings.SIM.fees.commission"),
        ({"fees": {"charge_once": False}}, "config.venue_settings.SIM.fees.charge_once"),
        ({"latency": {"base_ms": -1}}, "config.venue_settings.SIM.latency.base_ms"),
    ],
)
def test_a_setting_that_is_none_is_refused_by_its_field(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(FaultError) as caught:
        read(strategy="ema_cross", venue_settings={"SIM": settings})
    assert [one.field for one in caught.value.fault.errors] == [field]


def test_what_is_plain_is_documented() -> None:
    text = VenueSettings.__doc__ or ""
    assert [name for name in VenueSettings.__struct_fields__ if f"`{name}`" not in text] == []
    assert {*PLAIN} < {*VenueSettings.__struct_fields__}


def test_results_are_counted_in_the_base_currency_of_the_run() -> None:
    assert planned().currency is None
    both = read(strategy="ema_cross", venue_settings={"X": {"starting_balances": ["1 BTC", "9 USDT"]}})
    plan = planned(**pairs("BTC/USDT", base_currency="USDT", venue_settings=both.venue_settings))
    assert (plan.currency, plan.venues[0]["base_currency"]) == ("USDT", None)


def test_warming_up_is_asked_for() -> None:
    assert (config().warm_up, planned().warm_up, planned(warm_up=True).warm_up) == (False, False, True)
