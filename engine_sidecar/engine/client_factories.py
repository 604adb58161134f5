"""The factories of data and execution clients: NautilusTrader can import none for execution, and takes a wrong one for data in silence."""

from collections.abc import Mapping
from typing import Any

from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory

from flotilla.engine_sidecar.engine.client_configs import imported


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
