"""The OKX exchange as seen from outside, by a client that speaks its protocol without NautilusTrader."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp

from exchanges.listening import Port
from exchanges.okx.core.exchange import new_state
from exchanges.okx.server import Server, machine_clock
from exchanges.okx.verbs import control_of
from tests.integration.exchanges.running import DEADLINE_S, Trade, Venue, beside, session

SWAP = "BTC-USDT-SWAP"


def signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


class Socket:
    """A WebSocket of the exchange with all that was heard on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def send(self, **message: object) -> None:
        await self.socket.send_json(message)

    async def next(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next message that is wanted."""
        while True:
            message = await self.socket.receive(DEADLINE_S)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            self.heard.append(message.json())
            if wanted(self.heard[-1]):
                return self.heard[-1]

    async def ask(self, **message: object) -> dict[str, Any]:
        """What a login or a subscription is answered."""
        await self.send(**message)
        return await self.next(lambda m: "event" in m)

    async def login(self, secret: str = "test-secret", passphrase: str = "test-phrase") -> dict[str, Any]:
        moment = str(int(time.time()))
        sign = signature(secret, f"{moment}GET/users/self/verify")
        args = [{"apiKey": "test-key", "passphrase": passphrase, "timestamp": moment, "sign": sign}]
        return await self.ask(op="login", args=args)

    async def subscribe(self, channel: str, **arg: str) -> dict[str, Any]:
        return await self.ask(op="subscribe", args=[{"channel": channel, **arg}])

    async def order(self, client_id: str, state: str) -> dict[str, Any]:
        """The next push of an order in a state."""

        def wanted(message: dict[str, Any]) -> bool:
            rows = message["data"] if message.get("arg", {}).get("channel") == "orders" else []
            return any((row["clOrdId"], row["state"]) == (client_id, state) for row in rows)

        return (await self.next(wanted))["data"][0]

    async def operate(self, op: str, *args: dict[str, object]) -> dict[str, Any]:
        """What an operation is answered."""
        await self.send(id=f"{op}1", op=op, args=list(args))
        return await self.next(lambda m: m.get("op") == op)

    async def place(self, client_id: str, **order: object) -> dict[str, Any]:
        """The row that an order is answered with."""
        common = {"instIdCode": 10459, "tdMode": "cross", "clOrdId": client_id, "side": "buy", "sz": "1"}
        return (await self.operate("order", {**common, **order}))["data"][0]

    async def ended(self) -> bool:
        """Whether the connection ends; what is heard until then is kept."""
        while True:
            message = await self.socket.receive(DEADLINE_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return True
            self.heard.append(message.json())


class OkxVenue(Venue):
    """The exchange: control, signed REST, sockets."""

    async def trades(self) -> list[Trade]:
        """The ledger, trade by trade. A triggered order has its conditional one's id."""
        account = await self.account()
        ids = {each["ordId"]: each["clOrdId"] or each["algoClOrdId"] for each in account["orders"]}
        return sorted(
            (
                each["tradeId"],
                Decimal(each["fillSz"]),
                Decimal(each["fillPx"]),
                -Decimal(each["fee"]),
                ids[each["ordId"]],
            )
            for each in account["fills"]
        )

    async def order(self, client_id: str) -> dict[str, Any] | None:
        """The newest order of that client id in the ledger."""
        orders = (await self.account())["orders"]
        return next((o for o in reversed(orders) if o["clOrdId"] == client_id), None)

    async def request(
        self,
        method: str,
        path: str,
        *,
        key: str = "test-key",
        secret: str = "test-secret",
        ago_ms: int = 0,
        **params: object,
    ) -> tuple[int, Any]:
        """A signed request: HTTP status and body."""
        body = json.dumps(params) if method == "POST" else ""
        target = f"/api/v5{path}" + (f"?{urlencode(params)}" if method == "GET" and params else "")
        at = datetime.fromtimestamp(time.time() - ago_ms / 1000, UTC)
        moment = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "OK-ACCESS-KEY": key,
            "OK-ACCESS-PASSPHRASE": "test-phrase",
            "OK-ACCESS-TIMESTAMP": moment,
            "OK-ACCESS-SIGN": signature(secret, f"{moment}{method}{target}{body}"),
        }
        async with self.session.request(
            method, f"{self.http}{target}", data=body or None, headers=headers
        ) as response:
            return response.status, await response.json()

    async def ask(self, method: str, path: str, **params: object) -> Any:
        """The data of a signed request that is not refused."""
        status, body = await self.request(method, path, **params)
        assert (status, body["code"]) == (200, "0"), body
        return body["data"]

    @asynccontextmanager
    async def socket(self, kind: str) -> AsyncIterator[Socket]:
        """A WebSocket."""
        async with self.session.ws_connect(f"{self.ws}/ws/v5/{kind}") as socket:
            yield Socket(socket)

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[Socket]:
        """The private WebSocket, logged in, with its orders."""
        async with self.socket("private") as socket:
            assert (await socket.login())["code"] == "0"
            await socket.subscribe("orders", instType="SWAP")
            yield socket


@asynccontextmanager
async def exchange_here() -> AsyncIterator[OkxVenue]:
    """The exchange on free ports of this process, for tests that need many; its market stands still."""
    accounts = [("main", "test-key", "test-secret", "test-phrase")]
    server = Server(new_state(1, machine_clock(), accounts, Decimal(100_000)), interval_s=0.05)
    control = Port(control_of(server).application(), "127.0.0.1", 0)
    await server.open()
    await control.open()
    async with beside(server.run()), session() as client:
        venue = OkxVenue(server.port.number, control.number, client)
        await venue.control("touch", instrument=SWAP, bid="50000", ask="50000.1", size="50")
        try:
            yield venue
        finally:
            await control.close()
