"""Turns a plan into a TradingNodeConfig, refusing in words what NautilusTrader would take in silence or panic on."""

import re
import zlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.live.config import LiveDataClientConfig, LiveExecClientConfig, TradingNodeConfig
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory

from flotilla.engine_sidecar.engine.client_configs import config_class, decoded, imported, with_secret
from flotilla.engine_sidecar.engine.secrets import Secrets
from flotilla.engine_sidecar.link.frames import Run
from flotilla.engine_sidecar.replay.currencies import name_currencies
from flotilla.schemas.catalog import folder_name
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.states import FailureReason

BAND: Final = 16
"""Client ids per engine: the data client has the first half, the execution client the second."""
_BANDS: Final = 1 << 22
_MODULE: Final = "nautilus_trader.adapters.interactive_brokers."
_ID: Final = "ibg_client_id"


def first_client_id(instance_id: str) -> int:
    """The first client id of an engine's band."""
    return (1 + zlib.crc32(instance_id.encode()) % _BANDS) * BAND


def with_client_ids(instance_id: str, node: dict[str, Any]) -> dict[str, Any]:
    """`node` with a client id for each IB client that has none; raises ValueError for what an engine cannot have."""
    given = deepcopy(node)
    first = first_client_id(instance_id)
    data = [config.setdefault(_ID, first) for config in _configs(given.get("data_clients"))]
    execution = [config.setdefault(_ID, first + BAND // 2) for config in _configs(given.get("exec_clients"))]
    if shared := set(data) & set(execution):
        raise ValueError(
            f"`{_ID}` {shared.pop()} is given to data and execution: each needs its own, so that neither holds up the other"
        )
    return given


def _configs(clients: Any) -> Iterator[dict[str, Any]]:
    for name, client in (clients or {}).items():
        if str(client.get("path")).startswith(_MODULE):
            config = client.setdefault("config", {})
            if config.get("dockerized_gateway") is not None:
                raise ValueError(
                    f"`dockerized_gateway` of {name}: an engine starts no containers; run the gateway beside it "
                    "and give `ibg_host` and `ibg_port`"
                )
            yield config


def data_client_factories(clients: Mapping[str, Any]) -> dict[str, type[LiveDataClientFactory]]:
    """By the name that NautilusTrader asks for: the client's, up to its hyphen. Raises ValueError."""
    found = {}
    for name, client in clients.items():
        path = (client.get("factory") or {}).get("path")
        if path is None:
            raise ValueError(f"plan.node: `data_clients.{name}` has no `factory`")
        place = f"plan.node: `data_clients.{name}`"
        found[_asked_for(name)] = _factory(place, path, LiveDataClientFactory)
    return found


def exec_client_factories(
    clients: Mapping[str, Any], paths: Mapping[str, str]
) -> dict[str, type[LiveExecClientFactory]]:
    """Likewise; `paths` gives an import path for each. Raises ValueError."""
    for name, client in clients.items():
        if client.get("factory"):
            raise ValueError(
                f"plan.node: `exec_clients.{name}` has a `factory`: it belongs into `exec_factories`"
            )
    names = {_asked_for(name) for name in clients}
    return {
        name: _factory(f"plan.exec_factories.{name}", paths.get(name), LiveExecClientFactory)
        for name in names
    }


def _asked_for(client: str) -> str:
    return client.partition("-")[0]


def _factory(place: str, path: object, parent: type) -> Any:
    try:
        found = imported(path)
    except ValueError as error:
        raise ValueError(f"{place}: the factory {error}") from error
    if not isinstance(found, type) or not issubclass(found, parent):
        raise ValueError(f"{place}: {path!r} is no {parent.__name__}")  # noqa: TRY004 - it is the plan's text that is wrong
    return found


_LOG_LEVELS: Final = ("OFF", "TRACE", "DEBUG", "INFO", "WARN", "WARNING", "ERROR")
_TRADER_ID: Final = re.compile(r"\A[A-Z0-9][A-Z0-9-]{0,62}-[A-Z0-9]{1,30}\Z")
_SANDBOX: Final = "engine_sidecar.replay.sandbox:"
_ENGINES: Final = ("data_engine", "risk_engine", "exec_engine")
_REPLAY_CONFIG: Final = "engine_sidecar.replay.config:ReplayDataClientConfig"
_CONTROLLER: Final = {
    "controller_path": "nautilus_trader.trading.controller:Controller",
    "config_path": "nautilus_trader.config:ActorConfig",
    "config": {"component_id": "Controller"},
}
_FAULTS: Final = (msgspec.ValidationError, msgspec.DecodeError, AttributeError, TypeError, ValueError)


class PlanRefusedError(Exception):
    """The plan cannot be run as it is. With the reason `config` trying again would change nothing."""

    def __init__(self, text: str, reason: FailureReason = FailureReason.CONFIG) -> None:
        super().__init__(text)
        self.reason = reason


class NodePlan(msgspec.Struct, frozen=True):
    """A node's config with its clients' own configs in it, and the factories that make the clients, by client name."""

    config: TradingNodeConfig
    data_factories: dict[str, type[LiveDataClientFactory]]
    exec_factories: dict[str, type[LiveExecClientFactory]]


def node_plan(run: Run) -> NodePlan:
    """The plan of `run`, with what every engine of ours needs added; raises PlanRefusedError, never with a secret in it."""
    secrets = Secrets(run)
    try:
        node = _completed(run)
        clients = {kind: node.pop(kind, None) or {} for kind in ("data_clients", "exec_clients")}
        config = TradingNodeConfig.parse(msgspec.json.encode(node))
        _check_logging(config)
        _check_clients(clients, secrets)
        if _is_replay(clients["data_clients"]):
            _check_instruments(run)
        name_currencies(clients["exec_clients"], run.plan.strategies, Path(run.catalog_path))
        config = msgspec.structs.replace(config, **_client_configs(clients, secrets))
    except _FAULTS as error:
        raise PlanRefusedError(secrets.hidden(f"plan.node: {error}")) from None
    try:
        data_factories = data_client_factories(clients["data_clients"])
        exec_factories = exec_client_factories(clients["exec_clients"], run.plan.exec_factories)
    except ValueError as error:
        raise PlanRefusedError(str(error)) from error
    return NodePlan(config, data_factories, exec_factories)


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
    if node["exec_engine"].get("reconciliation") is False and not _is_simulated(run.plan.exec_factories):
        raise ValueError(
            "`exec_engine.reconciliation` must be on: an engine compares orders and positions with its venue"
        )
    node.setdefault("logging", {}).setdefault("log_level", run.log_level)
    node["logging"].setdefault("log_colors", False)
    node.setdefault("controller", _CONTROLLER)
    # Kept by order_limits, which NautilusTrader's own check would cut short; it takes no decimals and no `*` either.
    (node.get("risk_engine") or {}).pop("max_notional_per_order", None)
    _add_cache(node, run.cache)
    for client in (node.get("data_clients") or {}).values():
        if client.get("path") == _REPLAY_CONFIG:
            client.setdefault("config", {})["catalog_path"] = run.catalog_path
    return with_client_ids(run.instance_id, node)


def _is_simulated(factories: Mapping[str, str]) -> bool:
    return all(path.startswith(_SANDBOX) for path in factories.values())


def _add_cache(node: dict[str, Any], access: CacheAccess | None) -> None:
    """Puts the host's Redis into the node: a plan cannot name one, it would hold the password."""
    if (node.get("cache") or {}).get("database") is not None:
        raise ValueError("`cache.database` is the host's to give: ask for it by `use_cache_database`")
    if access is None:
        return
    # NautilusTrader's own patience, 100 tries, would hold an engine up for minutes.
    database = msgspec.to_builtins(access) | {
        "type": "redis",
        "connection_timeout": 5,
        "response_timeout": 5,
        "number_of_retries": 3,
    }
    node["cache"] = (node.get("cache") or {}) | {
        "database": database,
        "encoding": "msgpack",
        "buffer_interval_ms": 10,
        "flush_on_start": False,
        "use_trader_prefix": True,
        "use_instance_id": False,
    }
    node["load_state"] = node["save_state"] = True


def _check_logging(config: TradingNodeConfig) -> None:
    logging = config.logging
    levels = {"log_level": logging.log_level, "log_level_file": logging.log_level_file}
    levels |= {
        f"log_component_levels.{name}": level for name, level in (logging.log_component_levels or {}).items()
    }
    for field, level in levels.items():
        if level is not None and level not in _LOG_LEVELS:
            raise ValueError(f"`logging.{field}` must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")


def _check_clients(clients: Mapping[str, Any], secrets: Secrets) -> None:
    for kind, given in clients.items():
        if not given:
            raise ValueError(f"`{kind}` is empty: nothing could be traded")
    if strangers := secrets.clients - clients["data_clients"].keys() - clients["exec_clients"].keys():
        raise ValueError(f"`secrets` names a client {min(strangers)} that the plan does not have")


def _client_configs(clients: Mapping[str, Any], secrets: Secrets) -> dict[str, dict[str, Any]]:
    data, execution = clients["data_clients"], clients["exec_clients"]
    made: dict[str, dict[str, Any]] = {"data_clients": {}, "exec_clients": {}}
    for name in {**data, **execution}:
        added = with_secret(name, data, execution, secrets.of_client(name))
        for kind, given, parent, secret in (
            ("data_clients", data, LiveDataClientConfig, added[0]),
            ("exec_clients", execution, LiveExecClientConfig, added[1]),
        ):
            if name in given:
                made[kind][name] = _client_config(f"{kind}.{name}", given[name], parent, secret)
    return made


def _client_config(place: str, client: Mapping[str, Any], parent: type, secret: Mapping[str, Any]) -> Any:
    try:
        if unknown := client.keys() - {"path", "config", "factory"}:
            raise ValueError(f"Object contains unknown field `{min(unknown)}`")
        return decoded(config_class(client, parent), {**(client.get("config") or {}), **secret})
    except _FAULTS as error:
        raise ValueError(f"`{place}`: {error}") from None


def _is_replay(data_clients: Mapping[str, Any]) -> bool:
    return any(client.get("path") == _REPLAY_CONFIG for client in data_clients.values())


def _check_instruments(run: Run) -> None:
    """Refuses a replay that counts on an instrument that is not in the catalog."""
    missing = next(_not_in_catalog(run), None)
    if missing is not None:
        raise PlanRefusedError(f"plan.instruments: the catalog has no {missing}")


def _not_in_catalog(run: Run) -> Iterator[str]:
    data = Path(run.catalog_path) / "data"
    for instrument in run.plan.instruments:
        if not any(data.glob(f"*/{_literal(folder_name(instrument))}")):
            yield instrument


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
