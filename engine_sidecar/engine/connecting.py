"""Remembers why a venue's client did not connect: NautilusTrader tells it to the log only, and then waits."""

from collections.abc import Callable
from typing import Any, Final

_FAULT: Final = "flotilla_connect_fault"


def watch_connecting(kernel: Any, hidden: Callable[[str], str]) -> None:
    """Call it before the start. `hidden` takes secrets out of a text."""
    for client in (*kernel.data_engine._clients.values(), *kernel.exec_engine._clients.values()):
        if hasattr(client, "_connect"):
            _watch(client, hidden)


def why_not_connected(client: Any) -> str:
    """What the client's connecting came to, and where it looked, as far as it is known; begins with a space or is empty."""
    gateway = getattr(client, "_client", None)
    host, port = getattr(gateway, "_host", None), getattr(gateway, "_port", None)
    place = f" at {host}:{port}" if host and port else ""
    fault = getattr(client, _FAULT, "")
    return f"{place} ({fault})" if fault else place


def _watch(client: Any, hidden: Callable[[str], str]) -> None:
    connect = client._connect

    async def told() -> None:
        try:
            await connect()
        except Exception as error:
            setattr(client, _FAULT, hidden(str(error) or type(error).__name__))
            raise

    client._connect = told
