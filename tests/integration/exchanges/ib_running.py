"""The Interactive Brokers gateway as a process of its own, and a client that speaks its protocol without NautilusTrader."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
from ibapi.client import EClient
from ibapi.decoder import Decoder
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel

from exchanges.interactive_brokers.core.gateway import new_state
from exchanges.interactive_brokers.core.wire import frame
from exchanges.interactive_brokers.server import Server, machine_clock
from exchanges.interactive_brokers.verbs import control_of
from exchanges.listening import Port
from tests.integration.exchanges.running import CHECKOUT, DEADLINE_S, Trade, until
from tests.unit.exchanges.interactive_brokers.desk import MAIN, Heard, contract


class Gateway:
    """The gateway as seen from outside."""

    def __init__(
        self, port: int, control: int, session: aiohttp.ClientSession, host: str = "127.0.0.1"
    ) -> None:
        self.host, self.port, self.control_port, self.session = host, port, control, session
        self.process: asyncio.subprocess.Process | None = None  # None if it is this one

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

    async def account(self) -> dict[str, Any]:
        """The main account in the ledger."""
        return (await self.control("ledger"))["accounts"][MAIN]

    async def trades(self) -> list[Trade]:
        """The ledger, trade by trade. A reference is the client order id and the order's."""
        return sorted(
            (
                each["exec_id"],
                *(Decimal(each[field]) for field in ("qty", "price", "fee")),
                each["ref"].partition(":")[0],
            )
            for each in (await self.account())["fills"]
        )

    async def order(self, ref: str) -> dict[str, Any]:
        """The newest order of a reference in the ledger; empty if there is none."""
        orders = (await self.account())["orders"]
        return next((o for o in reversed(orders) if o["ref"].partition(":")[0] == ref), {})

    async def held(self, symbol: str = "AAPL") -> Decimal:
        """The position in the ledger."""
        return Decimal((await self.account())["positions"].get(symbol, {"amount": "0"})["amount"])

    @asynccontextmanager
    async def client(self, client_id: int) -> AsyncIterator["Client"]:
        """A client that has said its id."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        client = Client(writer)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.read(reader), name=f"client {client_id}")
            try:
                writer.write(b"API\0" + frame(["v100..203"]))
                await until(lambda: client.version, "the version")
                client.api.clientId, client.api.optCapab = client_id, ""
                client.api.startApi()
                yield client
            finally:
                writer.close()


class Client:
    """A client: ibapi's encoder and decoder on a socket of its own."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.heard = Heard()
        self.version = 0
        self.ended = False
        self.api = EClient(self.heard)
        self.api.isConnected = lambda: True
        self.api.sendMsg = lambda kind, fields: writer.write(frame([kind, *fields.split("\0")[:-1]]))

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Reads until the connection ends."""
        try:
            while True:
                body = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
                first, *fields = body.split(b"\0")[:-1]
                if not self.version:
                    self.version = self.api.serverVersion_ = int(first)
                    decoder = Decoder(self.heard, self.version)
                else:
                    decoder.interpret(tuple(fields), int(first))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended = True

    async def hears(
        self, name: str, wanted: Callable[[tuple[Any, ...]], bool] = lambda _: True, count: int = 1
    ) -> tuple[Any, ...]:
        """The `count`-th call of a name that is wanted."""

        def found() -> list[tuple[Any, ...]]:
            calls = [given for kind, given in self.heard.calls if kind == name and wanted(given)]
            return calls[count - 1 : count]

        what = f"{name}, heard {[kind for kind, _ in self.heard.calls]}"
        calls: list[tuple[Any, ...]] = await until(found, what)
        return calls[0]

    async def error(self, code: int) -> tuple[Any, ...]:
        """The next error of a code."""
        return await self.hears("error", lambda given: given[2] == code)

    async def status(self, order_id: int, status: str) -> tuple[Any, ...]:
        """A status of an order."""
        return await self.hears("orderStatus", lambda given: given[:2] == (order_id, status))

    def count(self, name: str) -> int:
        """How often a name was called."""
        return sum(kind == name for kind, _ in self.heard.calls)

    async def in_step(self) -> None:
        """Waits until all that was asked before is answered."""
        before = self.count("currentTime")
        self.api.reqCurrentTime()
        await self.hears("currentTime", count=before + 1)

    def place(self, order_id: int, side: str, qty: str, limit: float | None = None) -> None:
        """An order of AAPL whose reference is its id."""
        order = Order()
        order.account, order.tif, order.orderRef = MAIN, "GTC", str(order_id)
        order.action, order.totalQuantity = side, Decimal(qty)
        order.orderType = "MKT" if limit is None else "LMT"
        if limit is not None:
            order.lmtPrice = limit
        self.api.placeOrder(order_id, contract("AAPL"), order)

    def cancel(self, order_id: int) -> None:
        self.api.cancelOrder(order_id, OrderCancel())


@asynccontextmanager
async def gateway_process(*options: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Gateway]:
    """A gateway, on free ports unless one is named, as a process of its own; it is ended in good form."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exchanges.interactive_brokers", "--host", host, "--port", str(port), "--control-port", "0",
        "--quiet", *options, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)).decode()
        found = re.search(r"on port (\d+), control on port (\d+)", line)
        assert found, line
        async with _session() as session:
            gateway = Gateway(int(found[1]), int(found[2]), session, host)
            gateway.process = process
            yield gateway
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), DEADLINE_S)


@asynccontextmanager
async def gateway_here() -> AsyncIterator[Gateway]:
    """The same gateway on free ports of this process, for tests that need many; AAPL at 189.90 / 190.10."""
    server = Server(new_state(1, machine_clock(), [MAIN], Decimal(1_000_000)), interval_s=0.05)
    control = Port(control_of(server).application(), "127.0.0.1", 0)
    await server.open()
    await control.open()
    async with asyncio.TaskGroup() as tasks, _session() as session:
        running = tasks.create_task(server.run(), name="gateway")
        try:
            gateway = Gateway(server.number, control.number, session)
            await gateway.control("touch", symbol="AAPL", bid="189.90", ask="190.10")
            yield gateway
        finally:
            running.cancel()
            await control.close()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE_S))
