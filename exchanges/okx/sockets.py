"""The WebSockets, public, private and business ones: who is connected, and what they hear."""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from exchanges.connections import Connection
from exchanges.core.faults import Delivery
from exchanges.okx.core.exchange import Exchange
from exchanges.okx.core.feed import Said
from exchanges.okx.core.pushes import Push
from exchanges.okx.hearing import Hearing
from exchanges.okx.socket import Arg, Socket

KINDS = ("public", "private", "business")


class Sockets:
    """Who is connected."""

    def __init__(self, exchange: Exchange, hearing: Hearing) -> None:
        self._exchange = exchange
        self._hearing = hearing
        self._sockets: list[Socket] = []
        self._count = 0
        self.delivery = Delivery()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`/ws/v5/public`, `/ws/v5/private`, `/ws/v5/business`."""
        kind = request.match_info["kind"]
        if kind not in KINDS or self._exchange.maintenance:
            raise web.HTTPServiceUnavailable if self._exchange.maintenance else web.HTTPNotFound
        self._count += 1
        socket = Socket(Connection(request, kind), kind, self._count, self.delivery)
        self._sockets.append(socket)

        async def hear(text: str) -> None:
            self._hearing.hear(socket, text)

        try:
            return await socket.connection.serve(hear)
        finally:
            self._sockets.remove(socket)

    # --- sending

    def tell(self, pushes: Iterable[Push]) -> None:
        """Sends to accounts what is of them, as the faults of delivery let it."""
        for push in pushes:
            for socket in self._sockets:
                if socket.account is None or socket.account.name != push.account:
                    continue
                for arg in (one for one in socket.subscribed if _wants(one, push)):
                    message = {"arg": {**arg, "uid": push.account}, "data": [push.body]}
                    socket.sender.delivery = self.delivery
                    for text in socket.sender.offer(msgspec.json.encode(message).decode()):
                        socket.connection.send(text)

    def settle(self) -> None:
        """Sends what was held back."""
        for socket in self._sockets:
            for text in socket.sender.flush():
                socket.connection.send(text)

    def publish(self, news: Iterable[Said]) -> None:
        """Sends market data to those who subscribed."""
        for said in news:
            for socket in self._sockets:
                for arg in socket.subscribed:
                    by_type = said.channel == "instruments" and "instId" not in arg
                    if arg["channel"] == said.channel and (by_type or arg.get("instId") == said.name):
                        socket.show(arg, said)

    def bars(self) -> set[tuple[str, str]]:
        """The channels of bars that somebody subscribed, with their instruments."""
        args = [arg for socket in self._sockets for arg in socket.subscribed]
        return {(a["channel"], a.get("instId", "")) for a in args if a["channel"].startswith("candle")}

    # --- breaking

    def chosen(self, which: str) -> list[Connection]:
        """The connections that are meant: public, private, business or all."""
        return [socket.connection for socket in self._sockets if which in ("all", socket.kind)]

    def counts(self) -> dict[str, int]:
        """How many connections there are of each kind, and how many channels they have subscribed together."""
        kinds = {kind: sum(socket.kind == kind for socket in self._sockets) for kind in KINDS}
        return {**kinds, "channels": sum(len(socket.subscribed) for socket in self._sockets)}


def _wants(arg: Arg, push: Push) -> bool:
    if arg["channel"] != push.channel:
        return False
    if push.channel == "account":
        return arg.get("ccy", "USDT") == "USDT"
    named = arg.get("instId", "") in ("", push.instrument)
    family = arg.get("instFamily", "") in ("", push.instrument.removesuffix("-SWAP"))
    return arg.get("instType", "ANY") in ("ANY", "SWAP") and named and family
