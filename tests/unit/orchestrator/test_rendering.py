"""From configuration and templates to the spec of a session."""

import math
from typing import Any

import msgspec
import pytest

from schemas.config import EngineConfig, StrategyChoice, VenueChoice
from schemas.fault import FaultCode, FaultError
from schemas.session import SessionSpec
from schemas.states import StopPolicy
from services.orchestrator.core.parameters import Known
from services.orchestrator.core.rendering import render
from services.orchestrator.core.templates import (
    EngineTemplate,
    Shelf,
    StrategyTemplate,
    load,
    substitute,
    view,
)
from services.orchestrator.core.traders import trader_id
from tests.unit.orchestrator.makers import config

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
KNOWN = Known(instruments=frozenset({"SPX.SIM", "IXIC.SIM"}), bar_types=frozenset({BARS}))
ENGINE: dict[str, Any] = {
    "name": "sandbox",
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


def shelf(**changes: Any) -> Shelf:
    template = load(msgspec.json.encode({**ENGINE, **changes}), EngineTemplate, "sandbox")
    strategy = load(msgspec.json.encode(STRATEGY), StrategyTemplate, "ema_cross")
    return Shelf(engines={"sandbox": template}, strategies={"ema_cross": strategy})


def rendered(chosen: EngineConfig, on: Shelf | None = None) -> SessionSpec:
    return render(chosen, on or shelf(), KNOWN, session_id="s1")


def refused(chosen: EngineConfig) -> dict[str, str]:
    with pytest.raises(FaultError) as raised:
        rendered(chosen)
    assert raised.value.fault.code == FaultCode.INVALID
    assert all(error.field in raised.value.fault.message for error in raised.value.fault.errors)
    return {error.field: error.message for error in raised.value.fault.errors}


def own(**settings: Any) -> StrategyChoice:
    return StrategyChoice(strategy_path="my.module:Mine", config_path="my.module:MineConfig", config=settings)


def test_a_configuration_becomes_a_spec() -> None:
    spec = rendered(config(instance_id="desk-7", log_level="debug", max_memory="1g", max_cpu="0.5"))
    assert (spec.instance_id, spec.session_id, spec.log_level) == ("desk-7", "s1", "DEBUG")
    assert (spec.memory_bytes, spec.cpus, spec.stop_policy) == (1 << 30, 0.5, StopPolicy.FLATTEN)
    assert spec.plan.trader_id == "DESK-7"
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
    two = (
        StrategyChoice(template="ema_cross"),
        own(instrument_id="IXIC.SIM"),
        own(bar_type="DAX.SIM-1-DAY-LAST-EXTERNAL"),
        own(instrument_ids=["A.SIM", "B.SIM"]),
    )
    chosen = config(max_order_rate=120, max_position_size=2500.9, strategies=two)
    assert rendered(chosen).plan.node["risk_engine"] == {
        "graceful_shutdown_on_exception": True,
        "max_order_submit_rate": "120/00:01:00",
        "max_notional_per_order": dict.fromkeys(["A.SIM", "B.SIM", "DAX.SIM", "IXIC.SIM", "SPX.SIM"], 2500),
    }


def test_without_limits_the_templates_risk_settings_stay() -> None:
    assert rendered(config()).plan.node["risk_engine"] == {"graceful_shutdown_on_exception": True}


def test_the_risk_engine_can_be_switched_off_for_paper() -> None:
    assert rendered(config(risk_engine_enabled=False)).plan.node["risk_engine"]["bypass"] is True


@pytest.mark.parametrize("size", [0.5, 1e300])
def test_a_notional_limit_that_nautilustrader_cannot_keep_is_refused(size: float) -> None:
    assert list(refused(config(max_position_size=size))) == ["config.max_position_size"]


@pytest.mark.parametrize("chosen", [(), (own(fast=1),), (own(instrument_ids=7),)])
def test_a_notional_limit_on_nothing_that_is_named_is_refused(chosen: tuple[StrategyChoice, ...]) -> None:
    assert list(refused(config(max_position_size=10.0, strategies=chosen))) == ["config.max_position_size"]


@pytest.mark.parametrize(
    ("engine_type", "mode"),
    [("sandbox", "paper"), ("paper", "paper"), ("live", "paper"), ("paper", "live"), ("sandbox", "live")],
)
def test_what_trades_no_money_takes_the_sandbox_template(engine_type: str, mode: str) -> None:
    spec = rendered(config(engine_type=engine_type, trading_mode=mode))
    assert (spec.engine_type, spec.trading_mode) == (engine_type, mode)
    assert not spec.confirm_live_trading


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        (config(engine_type="backtest"), "config.engine_type"),
        (config(engine_type="live", trading_mode="live"), "config.template"),
        (config(engine_type="live", trading_mode="live", template="sandbox"), "config.template"),
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
        render(config(), shelf(), nothing, session_id="s1")


def test_a_missing_value_within_text_is_refused_and_names_it() -> None:
    node = {"note": "at most {max_order_rate}"}
    with pytest.raises(FaultError, match="max_order_rate has no value"):
        rendered(config(), shelf(node=node))
    assert rendered(config(max_order_rate=5), shelf(node=node)).plan.node["note"] == "at most 5"


def test_the_templates_strategies_may_use_its_parameters() -> None:
    parameters = {"size": {"type": "decimal", "help": "h", "default": "7"}}
    defaults = {"strategies": [{"template": "ema_cross", "parameters": {"trade_size": "{size}"}}]}
    changed = shelf(parameters=parameters, defaults=defaults, node={})
    assert rendered(config(), changed).plan.strategies[0]["config"]["trade_size"] == "7"


@pytest.mark.parametrize(
    ("instance_id", "expected"),
    [
        ("nautilus-001", "NAUTILUS-001"),
        ("alpha", "ALPHA-001"),
        ("a", "A-001"),
        ("a-", "A-001"),
        ("a--b", "A--B"),
        ("x" * 63, "X" * 63 + "-001"),
        ("x-" + "y" * 61, "X-" + "Y" * 61 + "-001"),
    ],
)
def test_a_trader_id_has_the_form_that_nautilustrader_wants(instance_id: str, expected: str) -> None:
    assert trader_id(instance_id) == expected
    assert rendered(config(instance_id=instance_id)).plan.trader_id == expected


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "other"}, "its name is other"),
        ({"nodes": {}}, "unknown field"),
        ({"node": {"a": "{sped}"}}, r"\{sped\} is no parameter"),
        ({"node": {"{sped}": 1}}, r"\{sped\} is no parameter"),
        ({"parameters": {"speed": {"type": "float", "help": "h"}}}, "regex"),
        ({"parameters": {"speed": {"type": "number", "help": "h", "default": "x"}}}, "default of speed"),
        ({"parameters": {"Speed!": {"type": "number", "help": "h"}}, "node": {}}, "cannot name a parameter"),
        ({"parameters": {"log_level": {"type": "string", "help": "h"}}, "node": {}}, "cannot name"),
        (
            {"parameters": {"speed": {"type": "number", "help": "h", "required": True, "default": 1}}},
            "required",
        ),
        ({"defaults": {"strategies": [{}]}}, "either"),
    ],
)
def test_a_template_that_is_not_sound_is_refused_when_it_is_loaded(
    changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        load(msgspec.json.encode({**ENGINE, **changes}), EngineTemplate, "sandbox")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_template_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        load(raw, StrategyTemplate, "x")


def test_templates_are_shown_without_how_they_are_made() -> None:
    shown = view(shelf().strategies["ema_cross"])
    assert (shown.name, shown.kind, shown.file) == ("ema_cross", "strategy", "ema_cross.json")
    assert shown.strategy_class == "EMACross"
    assert shown.risk_parameters == {"trade_size": "h"}
    assert view(shelf().engines["sandbox"]).kind == "engine"
