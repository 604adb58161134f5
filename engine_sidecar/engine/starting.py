"""Tells how far a node's start has come: NautilusTrader itself says it only in its log, and waits for ever when it fails."""

from collections.abc import Callable
from typing import Any

from flotilla.engine_sidecar.engine.connecting import why_not_connected


def watch_start(
    kernel: Any,
    on_connected: Callable[[], bool],
    on_reconciled: Callable[[], None],
    on_started: Callable[[], None],
) -> None:
    """Calls `on_connected` when all clients are connected, and breaks the start off where it answers False; `on_reconciled` when
    orders and positions were compared with the venues, `on_started` when the start is over, well or not.
    """
    start, reconcile = kernel.start_async, kernel._await_execution_reconciliation

    async def reconcile_and_tell() -> bool:
        if not on_connected():
            return False
        done: bool = await reconcile()
        if done:
            on_reconciled()
        return done

    async def start_and_tell() -> None:
        await start()
        on_started()

    kernel._await_execution_reconciliation, kernel.start_async = reconcile_and_tell, start_and_tell


def why_not_trading(kernel: Any) -> str:
    """What the start of a node that does not trade broke off at."""
    clients = [*kernel.data_engine._clients.values(), *kernel.exec_engine._clients.values()]
    missing = [
        f"{type(client).__name__} {client.id}{why_not_connected(client)}"
        for client in clients
        if not client.is_connected
    ]
    if missing:
        return f"did not connect in time: {', '.join(missing)}"
    if not kernel.portfolio.initialized:
        return "orders and positions were not reconciled with the venue in time"
    return "the start broke off"
