"""A shelf with an engine template of each kind and venues of made-up adapters."""

from typing import Any

import msgspec

from flotilla.schemas.config import EngineConfig, VenueChoice
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.templates.core.loading import load
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.templates import (
    EngineTemplate,
    StrategyTemplate,
    TemplateSet,
)
from flotilla.services.orchestrator.templates.core.venues import VenueTemplate

STAND_IN = {
    "path": "sim.config:Config",
    "factory": "sim.factory:SandboxLiveExecClientFactory",
    "config": {"venue": "{venue}", "starting_balances": ["{balance} USD"]},
}
ENGINES: tuple[dict[str, Any], ...] = (
    {
        "name": "live_engine",
        "engine_type": "live",
        "trading_mode": "live",
        "defaults": {"restart": {"max_restarts": 1}},
        "venues": {"required": True, "uses_cache": True},
        "node": {"risk_engine": {"bypass": False, "max_order_submit_rate": "100/00:01:00"}},
    },
    {
        "name": "paper_trading",
        "engine_type": "paper",
        "trading_mode": "paper",
        "parameters": {
            "speed": {"type": "number", "help": "h", "default": 0},
            "balance": {"type": "decimal", "help": "h", "default": "1000"},
            "patience": {"type": "number", "help": "h", "default": 60},
        },
        "defaults": {"restart": {"max_restarts": 3}, "strategies": [{"template": "holds"}]},
        "exec_factories": {"SIM": "sim.factory:SandboxLiveExecClientFactory"},
        "venues": {
            "simulated": STAND_IN,
            "uses_cache": True,
            "node": {"timeout_connection": "{patience}", "risk_engine": {"debug": True}},
        },
        "node": {
            "timeout_connection": 10.0,
            "risk_engine": {"bypass": False},
            "data_clients": {"SIM": {"config": {"speed": "{speed}"}}},
            "exec_clients": {"SIM": {"config": {"starting_balances": ["{balance} USD"]}}},
        },
    },
    {"name": "sandbox_engine", "engine_type": "sandbox", "trading_mode": "paper", "node": {}},
    {"name": "backtest_engine", "engine_type": "backtest", "trading_mode": "paper", "node": {}},
)
STRATEGY: dict[str, Any] = {
    "name": "holds",
    "description": "d",
    "strategy_class": "Holds",
    "strategy_path": "some.module:Holds",
    "config_path": "some.module:HoldsConfig",
    "parameters": {"instrument_id": {"type": "instrument", "help": "h", "default": "SPX.SIM"}},
    "config": {"instrument_id": "{instrument_id}"},
}
VENUES: tuple[dict[str, Any], ...] = (
    {
        "name": "bazaar",
        "data": {"path": "bazaar:DataConfig", "factory": "bazaar:DataFactory"},
        "execution": {"path": "bazaar:ExecConfig", "factory": "bazaar:ExecFactory"},
        "defaults": {"data": {"retries": 3, "deep": {"a": 1, "b": 2}}, "execution": {"retries": 3}},
        "paper": {"data": {"net": "TEST"}, "execution": {"net": "TEST"}},
        "live": {"data": {"net": "MAIN"}, "execution": {"net": "MAIN"}},
        "paper_choices": {"net": ["DEMO"]},
        "credentials": ["api_key", "api_secret"],
        "needs_secret": True,
    },
    {
        "name": "broker",
        "data": {"path": "broker:DataConfig", "factory": "broker:DataFactory"},
        "execution": {"path": "broker:ExecConfig", "factory": "broker:ExecFactory"},
        "needs_account": True,
        "account_field": "account_id",
    },
    {
        "name": "ticker",
        "data": {"path": "ticker:DataConfig", "factory": "ticker:DataFactory"},
        "credentials": ["api_key"],
        "needs_secret": True,
    },
    {
        "name": "tape",
        "data": {"path": "tape:DataConfig", "factory": "tape:DataFactory"},
        "has_egress": False,
    },
)


def sound(kind: type[Any], body: dict[str, Any]) -> Any:
    return load(msgspec.json.encode({"description": "d", **body}), kind, body["name"])


SHELF = TemplateSet(
    engines={body["name"]: sound(EngineTemplate, body) for body in ENGINES},
    strategies={"holds": sound(StrategyTemplate, STRATEGY)},
    venues={body["name"]: sound(VenueTemplate, body) for body in VENUES},
)
KNOWN = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset())


def live(*venues: VenueChoice, **chosen: Any) -> EngineConfig:
    """An engine that trades money at these venues."""
    return EngineConfig(**{"engine_type": "live", "trading_mode": "live", "venues": venues, **chosen})


def paper(*venues: VenueChoice, **chosen: Any) -> EngineConfig:
    """An engine with simulated fills on the data of these venues."""
    return EngineConfig(**{"engine_type": "paper", "venues": venues, **chosen})


def rendered(config: EngineConfig) -> SessionSpec:
    return render(config, SHELF, KNOWN, session_id="s1")


def refused(config: EngineConfig) -> dict[str, str]:
    """What is wrong with a configuration that must be refused, by field."""
    try:
        rendered(config)
    except FaultError as error:
        return {each.field: each.message for each in error.fault.errors}
    raise AssertionError("it was not refused")
