"""Where an engine may connect to, from what it runs. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from flotilla.schemas.session import CacheAccess, EnginePlan

_REPLAY: Final = "engine_sidecar.replay.client:ReplayDataClientFactory"
_SANDBOX: Final = "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"


def tcp_ports(plan: EnginePlan, cache: CacheAccess | None) -> tuple[int, ...] | None:
    """The only TCP ports that the engine needs: that of its Redis, if it has one. None being all, where a venue is reached.

    What a venue's client connects to stands in its code (443, 9443, 8443, 13000, …), so nothing is forbidden there.
    """
    if any(client not in (_REPLAY, _SANDBOX) for client in _factories(plan)) or _has_message_bus(plan):
        return None
    return () if cache is None else (cache.port,)


def _factories(plan: EnginePlan) -> Iterator[Any]:
    """What makes the clients, where it can be told; what is not shaped like a client is none of ours."""
    for kind in ("data_clients", "exec_clients"):
        clients = plan.node.get(kind) or {}
        if not isinstance(clients, dict):
            yield None
            continue
        for name, client in clients.items():
            factory = client.get("factory") if isinstance(client, dict) else None
            made_by = factory.get("path") if isinstance(factory, dict) else None
            # NautilusTrader takes the factory of `NAME` for `NAME-001` too.
            yield made_by if kind == "data_clients" else plan.exec_factories.get(name.partition("-")[0])


def _has_message_bus(plan: EnginePlan) -> bool:
    """Whether NautilusTrader publishes its messages to a server of their own."""
    message_bus = plan.node.get("message_bus")
    return message_bus is not None and (not isinstance(message_bus, dict) or "database" in message_bus)
