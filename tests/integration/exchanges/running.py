"""An exchange as a process of its own, and a client that speaks its protocol without NautilusTrader."""

import asyncio
import hashlib
import hmac
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from exchanges.binance.core.exchange import new_state
from exchanges.binance.server import Server, machine_clock
from exchanges.binance.verbs import control_of
from exchanges.listening import Port

CHECKOUT = Path(__file__).parents[3]
DEADLINE_S = 30.0

type Trade = tuple[str, Decimal, Decimal, Decimal, str]
"""The venue's id, quantity, price, commission, the client's id of the order."""


async def until[T](
    ask: Callable[[], T | None] | Callable[[], Any], what: str, deadline_s: float = DEADLINE_S
) -> Any:
    """What `ask` finds as soon as it finds something; it may be a coroutine function."""
    ends = time.monotonic() + deadline_s
    while True:
        found = ask()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < ends, f"{what}: not within {deadline_s} s"
        await asyncio.sleep(0.02)


class Venue:
    """The exchange as seen from outside: control, signed REST, sockets."""

    def __init__(
        self, port: int, control: int, session: aiohttp.ClientSession, host: str = "127.0.0.1"
    ) -> None:
        self.host, self.port, self.control_port, self.session = host, port, control, session
        self.process: asyncio.subprocess.Process | None = None  # None if it is this one
        self.http, self.ws = f"http://{host}:{port}", f"ws://{host}:{port}"

    async def control(self, verb: str, **body: object) -> Any:
        async with self.session.post(f"http://{self.host}:{self.control_port}/{verb}", json=body) as response:
            found = await response.json()
            assert response.status == 200, found
            return found

    async def refused(self, verb: str, **body: object) -> str:
        """Why the control does not do a verb."""
        async with self.session.post(f"http://{self.host}:{self.control_port}/{verb}", json=body) as response:
            assert response.status == 400, await response.text()
            return (await response.json())["error"]

    async def account(self, name: str = "main") -> dict[str, Any]:
        """An account in the ledger."""
        return (await self.control("ledger"))["accounts"][name]

    async def trades(self, name: str = "main") -> list[Trade]:
        """The ledger of an account, trade by trade."""
        account = await self.account(name)
        ids = {each["orderId"]: each["clientOrderId"] for each in account["orders"]}
        return sorted(
            (
                str(each["id"]),
                *(Decimal(each[field]) for field in ("qty", "price", "commission")),
                ids[each["orderId"]],
            )
            for each in account["fills"]
        )

    async def order(self, client_id: str) -> dict[str, Any] | None:
        """The newest order of that client id in the ledger."""
        orders = (await self.account())["orders"]
        return next((o for o in reversed(orders) if o["clientOrderId"] == client_id), None)

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
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000 - ago_ms})
        signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        async with self.session.request(
            method, f"{self.http}{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": key}
        ) as response:
            return response.status, await response.json()

    async def ask(self, method: str, path: str, **params: object) -> Any:
        """A signed request that is not refused."""
        status, body = await self.request(method, path, **params)
        assert status == 200, body
        return body

    async def place(self, **params: object) -> Any:
        """An order of BTCUSDT, one-way."""
        return await self.ask(
            "POST", "/fapi/v1/order", **{"symbol": "BTCUSDT", "positionSide": "BOTH", **params}
        )

    async def code(self, method: str, path: str, **params: object) -> int:
        """The venue's code of a refusal."""
        status, body = await self.request(method, path, **params)
        assert status >= 400, body
        return body["code"]

    @asynccontextmanager
    async def private(self) -> AsyncIterator["Heard"]:
        """The account's private stream."""
        key = (await self.ask("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with self.session.ws_connect(f"{self.ws}/ws?listenKey={key}") as socket:
            yield Heard(socket)

    @asynccontextmanager
    async def market(self, *streams: str) -> AsyncIterator["Heard"]:
        """Market streams."""
        async with self.session.ws_connect(f"{self.ws}/stream?streams={'/'.join(streams)}") as socket:
            yield Heard(socket)


class Heard:
    """A socket with all that was heard on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def next(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next event that is wanted."""
        while True:
            message = await self.socket.receive(DEADLINE_S)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            self.events.append(message.json())
            if wanted(self.events[-1]):
                return self.events[-1]

    async def order(self, execution: str, client_id: str) -> dict[str, Any]:
        """The next report of an execution of an order."""
        event = await self.next(
            lambda e: e["e"] == "ORDER_TRADE_UPDATE" and (e["o"]["x"], e["o"]["c"]) == (execution, client_id)
        )
        return event["o"]

    async def ended(self) -> bool:
        """Whether the connection ends; what is heard until then is kept."""
        while True:
            message = await self.socket.receive(DEADLINE_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return True
            self.events.append(message.json())


@asynccontextmanager
async def exchange[V: Venue](
    *options: str,
    module: str = "exchanges.binance",
    venue: type[V] = Venue,
    host: str = "127.0.0.1",
    deadline_s: float = DEADLINE_S,
) -> AsyncIterator[V]:
    """An exchange on free ports, as a process of its own; it is ended in good form."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, "--host", host, "--port", "0", "--control-port", "0", *options,
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), deadline_s)).decode()
        found = re.search(r"on port (\d+), control on port (\d+)", line)
        assert found, line
        async with asyncio.TaskGroup() as tasks, session() as client:
            reading = tasks.create_task(_drain(process.stdout), name="output of the exchange")
            running = venue(int(found[1]), int(found[2]), client, host)
            running.process = process
            yield running
            await _end(process)
            await reading
    finally:
        await _end(process)


@asynccontextmanager
async def exchange_here(*others: tuple[str, str, str]) -> AsyncIterator[Venue]:
    """The same exchange on free ports of this process, for tests that need many; `others` are accounts (name, key, secret) beside the main one."""
    accounts = [("main", "test-key", "test-secret"), *others]
    state = new_state(1, machine_clock(), accounts, Decimal(100_000))
    server = Server(state, interval_s=0.05)
    control = Port(control_of(server).application(), "127.0.0.1", 0)
    await server.open()
    await control.open()
    async with beside(server.run()), session() as client:
        try:
            yield Venue(server.port.number, control.number, client)
        finally:
            await control.close()


@asynccontextmanager
async def beside(running: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs something beside what is done, and ends it then."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(running, name="exchange")
        try:
            yield
        finally:
            task.cancel()


def session() -> aiohttp.ClientSession:
    """A client that does not wait for ever."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE_S))


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.readline():
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the exchange in good form."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), DEADLINE_S)
