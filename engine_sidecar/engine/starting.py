"""Tells how far a node's start has come: NautilusTrader itself says it only in its log, and waits for ever when it fails."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.engine_sidecar.engine.venues.fitness import hear_permission
from flotilla.engine_sidecar.engine.venues.gate import Reconcile
from flotilla.engine_sidecar.engine.venues.reach import hear_gateway, heard_of
from flotilla.engine_sidecar.engine.venues.reports import fault_words

_FAULT: Final = "flotilla_connect_fault"


type OnFault = Callable[[Any, Exception], Awaitable[None]]


def watch_connecting(kernel: Any, hidden: Callable[[str], str], on_fault: OnFault) -> None:
    """Calls `on_fault` with a client that could not connect, and why: NautilusTrader does not try again. Call it before the start.

    `hidden` takes secrets out of a text.
    """
    for client in (*kernel.data_engine._clients.values(), *kernel.exec_engine._clients.values()):
        if hasattr(client, "_connect"):
            _watch(client, hidden, on_fault)


def not_connected(client: Any) -> str:
    """The client, what its connecting came to, and where it looked."""
    return f"{type(client).__name__} {client.id}{why_not_connected(client)}"


def why_not_connected(client: Any) -> str:
    """What the client's connecting came to, and where it looked, as far as it is known; begins with a space or is empty."""
    gateway = getattr(client, "_client", None)
    host, port = getattr(gateway, "_host", None), getattr(gateway, "_port", None)
    place = f" at {host}:{port}" if host and port else ""
    fault = getattr(client, _FAULT, "")
    known = "; ".join(filter(None, (heard_of(client), fault)))
    return f"{place} ({known})" if known else place


def _watch(client: Any, hidden: Callable[[str], str], on_fault: OnFault) -> None:
    connect = client._connect
    hear_gateway(getattr(client, "_client", None), hidden)
    hear_permission(client)

    async def told() -> None:
        try:
            await connect()
        except Exception as error:
            setattr(client, _FAULT, fault_words(error, hidden))
            await on_fault(client, error)
            raise

    client._connect = told


def watch_start(
    kernel: Any,
    on_connected: Callable[[], Awaitable[bool]],
    reconciled: Callable[[Reconcile], Awaitable[bool]],
    on_started: Callable[[], None],
) -> None:
    """Calls `on_connected` when all clients are connected, and breaks the start off where it answers False; then `reconciled` with
    NautilusTrader's own comparison of orders and positions, with the same effect; `on_started` when the start is over, well or not.
    """
    start, reconcile = kernel.start_async, kernel._await_execution_reconciliation

    async def reconcile_and_tell() -> bool:
        return await on_connected() and await reconciled(reconcile)

    async def start_and_tell() -> None:
        await start()
        on_started()

    kernel._await_execution_reconciliation, kernel.start_async = reconcile_and_tell, start_and_tell


def why_not_trading(kernel: Any) -> str:
    """What the start of a node that does not trade broke off at."""
    clients = [*kernel.data_engine._clients.values(), *kernel.exec_engine._clients.values()]
    missing = [not_connected(client) for client in clients if not client.is_connected]
    if missing:
        return f"did not connect in time: {', '.join(missing)}"
    if not kernel.portfolio.initialized:
        return "orders and positions were not reconciled with the venue in time"
    return "the start broke off"
