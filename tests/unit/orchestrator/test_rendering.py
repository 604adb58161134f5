"""From configuration and templates to the spec of a session."""

import math
from typing import Any

import msgspec
import pytest

from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from flotilla.schemas.dead_man import DeadManChoice
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.simulation import ComponentChoice
from flotilla.schemas.states import StopPolicy
from flotilla.services.orchestrator.templates.core.loading import load
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.placeholders import substitute
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.strategies import render_strategy, trader_id
from flotilla.services.orchestrator.templates.core.templates import (
    EngineTemplate,
    StrategyTemplate,
    TemplateSet,
    view,
)
from tests.unit.orchestrator.makers import config

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
KNOWN = Known(instruments=frozenset({"SPX.SIM", "IXIC.SIM"}), bar_types=frozenset({BARS}))
ENGINE: dict[str, Any] = {
    "name": "sandbox_engine",
    "description": "d",
    "engine_type": "sandbox",
    "trading_mode": "paper",
    "parameters": {"speed": {"type": "number", "help": "h", "default": 0.0, "min": 0}},
    "defaults": {"stop_policy": "flatten", "strategies": [{"template": "ema_cross"}]},
    "exec_factories": {"SIM": "some.module:Factory"},
    "node": {
        "trader_id": "{trader_id}",
        "logging": {"log_level": "{log_level}"},
        "data_clients": {"SIM": {"config": {"speed": "{speed}", "note": "at {speed} for {instance_id}"}}},
        "risk_engine": {"graceful_shutdown_on_exception": True},
    },
}
STRATEGY: dict[str, Any] = {
    "name": "ema_cross",
    "description": "d",
    "strategy_class": "EMACross",
    "strategy_path": "some.module:EMACross",
    "config_path": "some.module:EMACrossConfig",
    "parameters": {
        "instrument_id": {"type": "instrument", "help": "h", "default": "SPX.SIM"},
        "bar_type": {"type": "bar_type", "help": "h", "default": BARS},
        "trade_size": {"type": "decimal", "help": "h", "default": "100", "min": 1},
        "fast": {"type": "integer", "help": "h", "default": 10, "min": 1},
    },
    "risk_parameters": {"trade_size": "h"},
    "config": {
        "instrument_id": "{instrument_id}",
        "bar_type": "{bar_type}",
        "trade_size": "{trade_size}",
        "fast_ema_period": "{fast}",
    },
}


def template_set(**changes: Any) -> TemplateSet:
    template = load(msgspec.json.encode({**ENGINE, **changes}), EngineTemplate, "sandbox_engine")
    strategy = load(msgspec.json.encode(STRATEGY), StrategyTemplate, "ema_cross")
    return TemplateSet(
        engines={"sandbox_engine": template}, strategies={"ema_cross": strategy}, modules=("my.module",)
    )


def rendered(chosen: EngineConfig, on: TemplateSet | None = None) -> SessionSpec:
    return render(chosen, on or template_set(), KNOWN, session_id="s1")


def refused(chosen: EngineConfig) -> dict[str, str]:
    with pytest.raises(FaultError) as raised:
        rendered(chosen)
    assert raised.value.fault.code == FaultCode.INVALID
    assert all(error.field in raised.value.fault.message for error in raised.value.fault.errors)
    return {error.field: error.message for error in raised.value.fault.errors}


def own(**settings: Any) -> StrategyChoice:
    return StrategyChoice(strategy_path="my.module:Mine", config_path="my.module:MineConfig", config=settings)


@pytest.mark.parametrize(
    ("strategy_path", "config_path", "fields"),
    [
        ("os:system", "os:path", ["strategy_path", "config_path"]),
        ("my.module_of_hers:Mine", "my.module:MineConfig", ["strategy_path"]),
        ("my.module.deeper:Mine", "subprocess:Popen", ["config_path"]),
    ],
)
def test_a_class_from_elsewhere_is_refused_at_a_start_and_when_it_joins(
    strategy_path: str, config_path: str, fields: list[str]
) -> None:
    choice = StrategyChoice(strategy_path=strategy_path, config_path=config_path)
    with pytest.raises(FaultError) as starting:
        rendered(config(strategies=(choice,)))
    assert [error.field for error in starting.value.fault.errors] == [
        f"config.strategies[0].{field}" for field in fields
    ]
    assert all("outside the modules" in error.message for error in starting.value.fault.errors)
    with pytest.raises(FaultError) as joining:
        render_strategy(choice, template_set(), KNOWN, spec=rendered(config()))
    assert [error.field for error in joining.value.fault.errors] == [f"strategy.{field}" for field in fields]


def test_a_configuration_becomes_a_spec() -> None:
    spec = rendered(config(instance_id="desk-7", log_level="debug", max_memory="1g", max_cpu="0.5"))
    assert (spec.instance_id, spec.session_id, spec.log_level) == ("desk-7", "s1", "DEBUG")
    assert (spec.memory_bytes, spec.cpus, spec.stop_policy) == (1 << 30, 0.5, StopPolicy.FLATTEN)
    assert spec.plan.trader_id == "DESK-7-001"
    assert spec.plan.node["logging"] == {"log_level": "DEBUG"}
    assert spec.plan.exec_factories == {"SIM": "some.module:Factory"}
    assert spec.plan.instruments == ("SPX.SIM",)


def test_a_placeholder_takes_the_typed_value_and_is_written_out_within_text() -> None:
    spec = rendered(config(parameters={"speed": 2}))
    assert spec.plan.node["data_clients"]["SIM"]["config"] == {"speed": 2, "note": "at 2 for e1"}


def test_the_templates_strategies_are_taken_when_none_are_named() -> None:
    (strategy,) = rendered(config()).plan.strategies
    assert strategy == {
        "strategy_path": "some.module:EMACross",
        "config_path": "some.module:EMACrossConfig",
        "config": {
            "instrument_id": "SPX.SIM",
            "bar_type": BARS,
            "trade_size": "100",
            "fast_ema_period": 10,
            "order_id_tag": "001",
        },
    }


def test_an_empty_list_of_strategies_means_none() -> None:
    assert rendered(config(strategies=())).plan.strategies == ()


def test_a_strategy_of_ones_own_is_passed_on_and_nothing_in_it_is_replaced() -> None:
    spec = rendered(config(strategies=(own(note="{trader_id} {__class__}", order_id_tag="X"),)))
    assert spec.plan.strategies[0]["config"] == {"note": "{trader_id} {__class__}", "order_id_tag": "X"}
    assert spec.plan.instruments == ()


def test_a_value_is_not_searched_for_placeholders() -> None:
    assert substitute({"a": "{x}-{y}", "{y}": ["{x}"]}, {"x": "{y}", "y": "Y"}) == {
        "a": "{y}-Y",
        "Y": ["{y}"],
    }


def test_order_id_tags_are_unique() -> None:
    chosen = (own(order_id_tag="002"), own(), own(order_id_tag=None), StrategyChoice(template="ema_cross"))
    tags = [each["config"]["order_id_tag"] for each in rendered(config(strategies=chosen)).plan.strategies]
    assert tags == ["002", "001", "003", "004"]


def test_a_tag_given_twice_is_refused() -> None:
    wrong = refused(config(strategies=(own(order_id_tag="A"), own(order_id_tag="A"))))
    assert list(wrong) == ["config.strategies[1].config.order_id_tag"]


def test_risk_limits_reach_nautilustraders_risk_engine_under_its_own_names() -> None:
    chosen = config(max_order_rate=120, max_position_size=2500.9, strategies=(own(),))
    assert rendered(chosen).plan.node["risk_engine"] == {
        "graceful_shutdown_on_exception": True,
        "max_order_submit_rate": "120/00:01:00",
        "max_notional_per_order": {"*": 2500.9},
    }


def test_without_limits_the_templates_risk_settings_stay() -> None:
    assert rendered(config()).plan.node["risk_engine"] == {"graceful_shutdown_on_exception": True}


def test_the_risk_engine_can_be_switched_off_for_paper() -> None:
    assert rendered(config(risk_engine_enabled=False)).plan.node["risk_engine"]["bypass"] is True


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        (config(engine_type="backtest"), "config.template"),
        (config(engine_type="live", trading_mode="live"), "config.template"),
        (config(template="sandbox"), "config.template"),
        (config(engine_type="live", trading_mode="live", template="sandbox_engine"), "config.template"),
        (config(template="none_such"), "config.template"),
        (config(strategies=(StrategyChoice(template="none_such"),)), "config.strategies[0].template"),
        (config(venues=(VenueChoice(name="X", adapter="x"),)), "config.venues"),
        (config(parameters={"speed": -1}), "config.parameters.speed"),
        (config(parameters={"speed": math.nan}), "config.parameters.speed"),
        (config(parameters={"sped": 1}), "config.parameters.sped"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(chosen: EngineConfig, field: str) -> None:
    assert list(refused(chosen)) == [field]


def test_all_that_is_wrong_with_the_strategies_is_told_at_once() -> None:
    chosen = (
        StrategyChoice(template="ema_cross", parameters={"trade_size": -5, "fast": "ten"}),
        own(),
        StrategyChoice(template="ema_cross", parameters={"instrument_id": "AAPL.XNAS", "slow": 1}),
    )
    at = "config.strategies[{}].parameters.{}".format
    assert set(refused(config(strategies=chosen))) == {
        at(0, "trade_size"),
        at(0, "fast"),
        at(2, "instrument_id"),
        at(2, "slow"),
    }


def test_a_default_that_the_catalog_does_not_hold_is_refused() -> None:
    nothing = Known(instruments=frozenset(), bar_types=frozenset())
    with pytest.raises(FaultError, match=r"SPX\.SIM is not in the data catalog"):
        render(config(), template_set(), nothing, session_id="s1")


PAIR = "BTC/USDT.SIM"
CURRENCY = {"parameters": {"base_currency": {"type": "string", "help": "h"}}, "node": {}}


@pytest.mark.parametrize(
    ("base_currency", "instruments", "error"),
    [
        (None, (PAIR,), None),
        ("USDT", (PAIR,), None),
        ("USD", (PAIR,), "USD has no rate to USDT"),
        ("EUR", (PAIR, "EUR/USDT.SIM"), None),
        (None, (PAIR, "BTC/EUR.SIM"), "must be given"),
        ("USD", ("COIN.SIM",), None),  # its symbol does not tell: the engine asks the catalog
    ],
)
def test_an_account_that_what_is_replayed_cannot_be_converted_into_is_refused_by_name(
    base_currency: str | None, instruments: tuple[str, ...], error: str | None
) -> None:
    known = Known(instruments=frozenset(instruments), bar_types=frozenset())
    holds = {
        "parameters": {"instrument_id": {"type": "instrument", "help": "h"}},
        "config": {"instrument_id": "{instrument_id}"},
    }
    strategy = load(msgspec.json.encode(STRATEGY | holds), StrategyTemplate, "ema_cross")
    on = msgspec.structs.replace(template_set(**CURRENCY), strategies={"ema_cross": strategy})
    trades = tuple(
        StrategyChoice(template="ema_cross", parameters={"instrument_id": name}) for name in instruments
    )
    chosen = config(strategies=trades, parameters={"base_currency": base_currency})
    if error is None:
        assert render(chosen, on, known, session_id="s1").plan.instruments == tuple(sorted(instruments))
        return
    with pytest.raises(FaultError) as raised:
        render(chosen, on, known, session_id="s1")
    (wrong,) = raised.value.fault.errors
    assert wrong.field == "config.parameters.base_currency"
    assert error in wrong.message


def test_a_missing_value_within_text_is_refused_and_names_it() -> None:
    node = {"note": "at most {max_order_rate}"}
    with pytest.raises(FaultError, match="max_order_rate has no value"):
        rendered(config(), template_set(node=node))
    assert rendered(config(max_order_rate=5), template_set(node=node)).plan.node["note"] == "at most 5"


def test_the_templates_strategies_may_use_its_parameters() -> None:
    parameters = {"size": {"type": "decimal", "help": "h", "default": "7"}}
    defaults = {"strategies": [{"template": "ema_cross", "parameters": {"trade_size": "{size}"}}]}
    changed = template_set(parameters=parameters, defaults=defaults, node={})
    assert rendered(config(), changed).plan.strategies[0]["config"]["trade_size"] == "7"


@pytest.mark.parametrize(
    ("instance_id", "expected"),
    [
        ("nautilus", "NAUTILUS-001"),
        ("nautilus-001", "NAUTILUS-001-001"),
        ("a", "A-001"),
        ("a-", "A--001"),
        ("a--b", "A--B-001"),
        ("x" * 63, "X" * 63 + "-001"),
    ],
)
def test_a_trader_id_has_the_form_that_nautilustrader_wants(instance_id: str, expected: str) -> None:
    assert trader_id(instance_id) == expected
    assert rendered(config(instance_id=instance_id)).plan.trader_id == expected


def test_a_template_is_shown_with_its_config_and_the_kind_of_engine_it_makes() -> None:
    shown = view(template_set().strategies["ema_cross"], is_checked=True)
    assert (shown.name, shown.kind, shown.file) == ("ema_cross", "strategy", "ema_cross.json")
    assert shown.strategy_class == "EMACross"
    assert shown.risk_parameters == {"trade_size": "h"}
    assert shown.config == STRATEGY["config"]
    engine = view(template_set().engines["sandbox_engine"], is_checked=True)
    assert (engine.kind, engine.engine_type, engine.trading_mode) == ("engine", "sandbox", "paper")
    assert engine.config == ENGINE["node"]


def test_the_spec_says_what_the_operator_chose() -> None:
    chosen = config(use_cache_database=True, stale_feed_after_s=4.0)
    spec = rendered(chosen)
    assert (spec.config, spec.uses_cache, spec.stale_feed_after_s) == (chosen, True, 4.0)
    assert (spec.has_egress, rendered(config()).uses_cache) == (False, False)


def test_a_default_of_the_template_is_taken_for_what_the_operator_leaves_open() -> None:
    assert rendered(config(), template_set(defaults={"stale_feed_after_s": 9})).stale_feed_after_s == 9


REDUCES = {"dead_man": {"policy": "reduce", "after_s": 30}}


@pytest.mark.parametrize(
    ("defaults", "chosen", "expected"),
    [
        ({}, {}, ("continue", 60.0)),
        ({}, {"policy": "flatten"}, ("flatten", 60.0)),
        (REDUCES, {}, ("reduce", 30.0)),
        (REDUCES, {"after_s": 10}, ("reduce", 10.0)),
        (REDUCES, {"policy": "flatten"}, ("flatten", 30.0)),
        (REDUCES, {"policy": "continue"}, ("continue", 30.0)),
    ],
)
def test_the_dead_man_is_the_operators_and_what_he_leaves_open_the_templates(
    defaults: dict[str, Any], chosen: dict[str, Any], expected: tuple[str, float]
) -> None:
    spec = rendered(config(dead_man=msgspec.convert(chosen, DeadManChoice)), template_set(defaults=defaults))
    assert (spec.dead_man.policy, spec.dead_man.after_s) == expected
    assert rendered(config(), template_set(defaults=REDUCES)).dead_man.after_s == 30


def test_a_time_that_nobody_waits_for_is_refused_by_its_name() -> None:
    with pytest.raises(FaultError, match=r"config\.dead_man\.after_s: changes nothing") as refused:
        rendered(config(dead_man=DeadManChoice(after_s=30.0)))
    assert [each.field for each in refused.value.fault.errors] == ["config.dead_man.after_s"]


def test_an_engine_has_time_to_boot_for_as_long_as_its_node_waits() -> None:
    node = {"timeout_connection": "{speed}", "timeout_portfolio": 100}
    assert rendered(config(parameters={"speed": 600})).boot_timeout_s == 60
    assert rendered(config(parameters={"speed": 600}), template_set(node=node)).boot_timeout_s == 730


def added(choice: StrategyChoice, **chosen: Any) -> dict[str, Any]:
    return render_strategy(choice, template_set(), KNOWN, spec=rendered(config(**chosen))).config


def test_a_strategy_for_a_running_engine_leaves_its_tag_to_the_engine() -> None:
    added_config = added(StrategyChoice(template="ema_cross", parameters={"fast": 3}))["config"]
    assert (added_config["fast_ema_period"], "order_id_tag" in added_config) == (3, False)
    assert added(own(order_id_tag="X"))["config"] == {"order_id_tag": "X"}


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (StrategyChoice(template="none"), "strategy.template"),
        (StrategyChoice(template="ema_cross", parameters={"fast": 0}), "strategy.parameters.fast"),
        (
            StrategyChoice(template="ema_cross", parameters={"instrument_id": "DAX.SIM"}),
            "strategy.parameters.instrument_id",
        ),
    ],
)
def test_a_strategy_that_cannot_join_is_refused(choice: StrategyChoice, field: str) -> None:
    with pytest.raises(FaultError) as raised:
        added(choice)
    assert [error.field for error in raised.value.fault.errors] == [field]


RULES = [{"less": ["fast", "trade_size"], "message": "must be less than trade_size"}]


def test_a_rule_between_parameters_is_kept() -> None:
    ruled = load(msgspec.json.encode({**STRATEGY, "rules": RULES}), StrategyTemplate, "ema_cross")
    on = msgspec.structs.replace(template_set(), strategies={"ema_cross": ruled})
    for fast, is_sound in ((99, True), (100, False), (101, False)):
        chosen = config(strategies=(StrategyChoice(template="ema_cross", parameters={"fast": fast}),))
        if is_sound:
            rendered(chosen, on)
            continue
        with pytest.raises(FaultError, match="fast: must be less than trade_size"):
            rendered(chosen, on)


def test_what_runs_beside_strategies_stands_in_the_node_and_comes_from_where_they_may() -> None:
    chosen = {
        "actors": (ComponentChoice(path="my.module:Watch", config={"every": 5}),),
        "exec_algorithms": (
            ComponentChoice(path="nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithm"),
        ),
    }
    node = rendered(config(**chosen)).plan.node
    assert node["actors"] == [
        {"actor_path": "my.module:Watch", "config_path": "my.module:WatchConfig", "config": {"every": 5}}
    ]
    assert [one["exec_algorithm_path"] for one in node["exec_algorithms"]] == [
        "nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithm"
    ]
    assert not {"actors", "exec_algorithms"} & rendered(config()).plan.node.keys()
    foreign = {name: (ComponentChoice(path="os:system"),) for name in chosen}
    assert set(refused(config(**foreign))) == {"config.actors[0].path", "config.exec_algorithms[0].path"}
