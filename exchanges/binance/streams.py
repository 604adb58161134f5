"""The WebSockets: market streams by subscription, and the private stream of an account by its listen key."""

import asyncio
from collections.abc import Iterable

import msgspec
from aiohttp import web

from exchanges.binance.core.events import Message
from exchanges.binance.core.feed import Data
from exchanges.binance.core.state import Account
from exchanges.connections import Connection
from exchanges.core.faults import Delivery, Sender


class Request(msgspec.Struct):
    """What a market socket is asked."""

    method: str
    id: int | str | None = None
    params: list[str] = []


class Streams:
    """Who is connected, and what they hear."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self._accounts = accounts
        self._market: dict[Connection, set[str]] = {}
        self._private: dict[Connection, tuple[Account, str, Sender]] = {}
        self.delivery = Delivery()

    # --- connecting

    async def market(self, request: web.Request) -> web.StreamResponse:
        """`/stream?streams=a/b` and `/ws/a`: more by SUBSCRIBE, fewer by UNSUBSCRIBE."""
        named = request.query.get("streams", request.match_info.get("name", ""))
        streams = {name for name in named.split("/") if name}
        connection = Connection(request, "market")
        self._market[connection] = streams

        async def hear(text: str) -> None:
            self._hear(connection, streams, text)

        try:
            return await connection.serve(hear)
        finally:
            del self._market[connection]

    def _hear(self, connection: Connection, streams: set[str], text: str) -> None:
        try:
            asked = msgspec.json.decode(text, type=Request)
        except msgspec.DecodeError as error:
            connection.send(
                msgspec.json.encode({"error": {"code": 3, "msg": f"Invalid JSON: {error}"}}).decode()
            )
            return
        result: object = None
        match asked.method:
            case "SUBSCRIBE":
                streams.update(asked.params)
            case "UNSUBSCRIBE":
                streams.difference_update(asked.params)
            case "LIST_SUBSCRIPTIONS":
                result = sorted(streams)
            case other:
                reply: object = {
                    "error": {"code": 2, "msg": f"Invalid request: unknown method {other}"},
                    "id": asked.id,
                }
                connection.send(msgspec.json.encode(reply).decode())
                return
        connection.send(msgspec.json.encode({"result": result, "id": asked.id}).decode())

    async def private(self, request: web.Request) -> web.StreamResponse:
        """`/ws?listenKey=…` and `/ws/<listen key>`; anything else of that form is a market stream."""
        key = request.query.get("listenKey", request.match_info.get("name", ""))
        account = next((a for a in self._accounts.values() if key and a.listen_key == key), None)
        if account is None:
            if "@" in key:
                return await self.market(request)
            raise web.HTTPForbidden(text="no such listen key")
        connection = Connection(request, f"private stream of {account.name}")
        self._private[connection] = (account, key, Sender(self.delivery))
        try:
            return await connection.serve(_ignore)
        finally:
            del self._private[connection]

    # --- sending

    def tell(self, messages: Iterable[tuple[str, Message]]) -> None:
        """Sends events to the accounts they are of, as the faults of delivery let them."""
        for name, message in messages:
            text = msgspec.json.encode(message).decode()
            for connection, (account, _, sender) in self._private.items():
                if account.name == name:
                    sender.delivery = self.delivery
                    for event in sender.offer(text):
                        connection.send(event)

    def settle(self) -> None:
        """Sends what was held back, and closes streams whose listen key has ended."""
        for connection, (account, key, sender) in self._private.items():
            for event in sender.flush():
                connection.send(event)
            if account.listen_key != key:
                connection.close()

    def publish(self, news: Iterable[Data]) -> None:
        """Sends market data to those who subscribed."""
        for stream, message in news:
            heard = [connection for connection, streams in self._market.items() if stream in streams]
            if heard:
                text = msgspec.json.encode({"stream": stream, "data": message}).decode()
                for connection in heard:
                    connection.send(text)

    def wanted(self) -> set[str]:
        """Every stream that somebody subscribed."""
        return set().union(*self._market.values())

    # --- breaking

    def chosen(self, which: str) -> list[Connection]:
        """The connections that are meant: market, private or all.

        Raises:
            ValueError: if it is none of them.
        """
        groups = {
            "market": [*self._market],
            "private": [*self._private],
            "all": [*self._market, *self._private],
        }
        if which not in groups:
            raise ValueError(f"which: {which!r} is none of market, private, all")
        return groups[which]

    def counts(self) -> dict[str, int]:
        """How many connections there are."""
        return {"market": len(self._market), "private": len(self._private)}


async def _ignore(_: str) -> None:
    await asyncio.sleep(0)
