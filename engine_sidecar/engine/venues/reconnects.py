"""Sees when the private stream of an execution client was connected anew: what happened meanwhile nobody was told of.

No adapter but Binance's does anything then (it asks for its orders and trades); the others go on with what they hear from there on.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

POLL_S: Final = 0.05
"""How long a connection may be lost without being seen, where its client says nothing: a new one to a venue takes longer."""


class Reconnects:
    """Counts them by execution client.

    Binance's adapter says so itself, and Interactive Brokers' when its gateway, or what is behind it, is lost. Of the clients that are
    Rust throughout (OKX, Bybit, BitMEX, Deribit, Hyperliquid, Kraken, AX) it is looked at whether they are connected. Of Betfair, dYdX and
    Polymarket nothing is seen.
    """

    def __init__(self, clients: Iterable[Any]) -> None:
        self.counts: dict[str, int] = {}
        self._clients = tuple(clients)
        self._were_up: set[tuple[str, int]] = set()
        self._lost: set[tuple[str, int]] = set()
        self._is_new = False
        for client in self._clients:
            self.counts[str(client.id)] = 0
            self._hear(client)

    async def within(self, seconds: float) -> bool:
        """Waits so long, or until a stream was connected anew since it last said so."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        self._look()
        while not self._is_new and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(POLL_S, left))
            self._look()
        is_new, self._is_new = self._is_new, False
        return is_new

    def _look(self) -> None:
        for client in self._clients:
            for number, is_up in enumerate(_connections(client)):
                key = str(client.id), number
                if not is_up():
                    self._lost.add(key)
                elif key in self._lost or key not in self._were_up:
                    # The first connection is none anew.
                    if key in self._were_up:
                        self._count(client)
                    self._were_up.add(key)
                    self._lost.discard(key)

    def _count(self, client: Any) -> None:
        self.counts[str(client.id)] += 1
        self._is_new = True

    def _hear(self, client: Any) -> None:
        if (gateway := _gateway(client)) is not None:
            self._hear_gateway(client, gateway)
        stream = getattr(client, "_ws_client", None)
        if getattr(stream, "_on_resubscribe", None) is not None:
            self._hear_binance(client, stream)

    def _hear_gateway(self, client: Any, gateway: Any) -> None:
        """It may be back before anybody looks."""
        clear = gateway.clear

        def clear_and_note() -> None:
            self._lost.add((str(client.id), 0))
            clear()

        gateway.clear = clear_and_note

    def _hear_binance(self, client: Any, stream: Any) -> None:
        """Calls this once its stream is there again, before anything that came over it is passed on."""
        reconcile = stream._on_resubscribe

        async def reconcile_and_count() -> None:
            try:
                await reconcile()
            finally:
                self._count(client)

        stream._on_resubscribe = reconcile_and_count


def _gateway(client: Any) -> Any:
    """Whether Interactive Brokers is connected, as an event; null for others."""
    return getattr(getattr(client, "_client", None), "_is_ib_connected", None)


def _connections(client: Any) -> Iterator[Callable[[], bool]]:
    if (gateway := _gateway(client)) is not None:
        yield gateway.is_set
        return
    for name, each in vars(client).items():
        if name.startswith("_ws_") and hasattr(each, "is_active"):
            yield each.is_active
