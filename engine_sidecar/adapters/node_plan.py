"""Turns a plan into a TradingNodeConfig, refusing in words what NautilusTrader would take in silence or panic on."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.common.config import resolve_path
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.live.factories import LiveExecClientFactory

from engine_sidecar.link import Run
from schemas.catalog import folder_name

_LOG_LEVELS: Final = ("OFF", "TRACE", "DEBUG", "INFO", "WARN", "WARNING", "ERROR")
_TRADER_ID: Final = re.compile(r"\A[A-Z0-9][A-Z0-9-]{0,62}-[A-Z0-9]{1,30}\Z")
_ENGINES: Final = ("data_engine", "risk_engine", "exec_engine")
_REPLAY_CONFIG: Final = "engine_sidecar.replay.config:ReplayDataClientConfig"
_CONTROLLER: Final = {
    "controller_path": "nautilus_trader.trading.controller:Controller",
    "config_path": "nautilus_trader.config:ActorConfig",
    "config": {"component_id": "Controller"},
}


class PlanRefusedError(Exception):
    """The plan cannot be run as it is; trying again would change nothing."""


def node_config(run: Run) -> TradingNodeConfig:
    """The node's config, with what every engine of ours needs added; raises PlanRefusedError."""
    try:
        node = _completed(run)
        config = TradingNodeConfig.parse(msgspec.json.encode(node))
        _check(config, node)
    except (msgspec.ValidationError, msgspec.DecodeError, AttributeError, TypeError, ValueError) as error:
        raise PlanRefusedError(f"plan.node: {error}") from error
    check_instruments(run)
    return config


def exec_factories(run: Run, config: TradingNodeConfig) -> dict[str, type[LiveExecClientFactory]]:
    """The factory of each execution client, which NautilusTrader cannot import itself; raises PlanRefusedError."""
    found = {}
    for name in {name.partition("-")[0] for name in config.exec_clients}:
        path = run.plan.exec_factories.get(name)
        if path is None or path.count(":") != 1:
            raise PlanRefusedError(
                f"plan.exec_factories: {name} needs a factory as `module:Class`, not {path!r}"
            )
        try:
            factory = resolve_path(path)
        except (ImportError, AttributeError) as error:
            raise PlanRefusedError(f"plan.exec_factories: {path!r}: {error}") from error
        if not isinstance(factory, type) or not issubclass(factory, LiveExecClientFactory):
            raise PlanRefusedError(f"plan.exec_factories: {path!r} is no LiveExecClientFactory")
        found[name] = factory
    return found


def check_instruments(run: Run) -> None:
    """Raises PlanRefusedError when an instrument that the plan counts on is not in the catalog."""
    data = Path(run.catalog_path) / "data"
    for instrument in run.plan.instruments:
        if not any(data.glob(f"*/{_literal(folder_name(instrument))}")):
            raise PlanRefusedError(f"plan.instruments: the catalog has no {instrument}")


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _completed(run: Run) -> dict[str, Any]:
    node = deepcopy(run.plan.node)
    if node.setdefault("trader_id", run.plan.trader_id) != run.plan.trader_id or not _TRADER_ID.match(
        run.plan.trader_id
    ):
        raise ValueError(f"`trader_id` must be {run.plan.trader_id!r}, such as ENGINE-001")
    if node.get("strategies"):
        raise ValueError("`strategies` stand beside `node`, not in it")
    for engine in _ENGINES:
        node.setdefault(engine, {})["graceful_shutdown_on_exception"] = True
    node.setdefault("logging", {}).setdefault("log_level", run.log_level)
    node["logging"].setdefault("log_colors", False)
    node.setdefault("controller", _CONTROLLER)
    for client in node.get("data_clients", {}).values():
        if client.get("path") == _REPLAY_CONFIG:
            client.setdefault("config", {})["catalog_path"] = run.catalog_path
    return node


def _check(config: TradingNodeConfig, node: dict[str, Any]) -> None:
    for field in ("log_level", "log_level_file"):
        level = getattr(config.logging, field)
        if level is not None and level not in _LOG_LEVELS:
            raise ValueError(f"`logging.{field}` must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")
    for kind in ("data_clients", "exec_clients"):
        if not node.get(kind):
            raise ValueError(f"`{kind}` is empty: nothing could be traded")
    for name, client in node["data_clients"].items():
        if not client.get("factory"):
            raise ValueError(f"`data_clients.{name}` has no `factory`")
    for name, client in node["exec_clients"].items():
        if client.get("factory"):
            raise ValueError(f"`exec_clients.{name}` has a `factory`: it belongs into `exec_factories`")
