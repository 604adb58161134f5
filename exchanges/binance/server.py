"""The process: the exchange behind its ports, its ticking, its state file."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
from aiohttp import web

from exchanges.binance.core import settling
from exchanges.binance.core.events import Message
from exchanges.binance.core.exchange import Exchange
from exchanges.binance.core.state import State
from exchanges.binance.rest import Rest
from exchanges.binance.streams import Streams
from exchanges.core.faults import Faults
from exchanges.later import Later
from exchanges.listening import Port
from exchanges.state_file import write_whole


def machine_clock() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Server:
    """One exchange on one port. `say` is given a line for each thing that people want to see."""

    def __init__(
        self,
        state: State,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        interval_s: float = 0.25,
        file: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.clock = machine_clock
        self.exchange = Exchange(state, self.clock())
        self.faults = Faults()
        self.streams = Streams(state.accounts)
        self._interval_s = interval_s
        self._file = file
        self._say = say
        self._later = Later()
        self.port = Port(self._application(), host, port)

    def _application(self) -> web.Application:
        rest = Rest(self.exchange, self.faults, self.clock, self.pump)
        app = web.Application()
        for path in ("/stream", "/market/stream", "/public/stream"):
            app.router.add_get(path, self.streams.market)
        for path in ("/ws", "/ws/{name}", "/private/ws", "/private/ws/{name}"):
            app.router.add_get(path, self.streams.private)
        app.router.add_route("*", "/fapi/{tail:.*}", rest.handle)
        return app

    @property
    def number(self) -> int:
        """The port that it listens on."""
        return self.port.number

    async def close(self) -> None:
        """Listens no more."""
        await self.port.close()

    async def open(self) -> None:
        """Listens.

        Raises:
            OSError: if the port is taken.
        """
        await self.port.open()

    async def run(self) -> None:
        """Ticks until it is cancelled; then writes the state a last time and closes."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._later.tasks = tasks
                await self._tick()
        finally:
            self._later.tasks = None
            self._save()
            await self.port.close()

    async def _tick(self) -> None:
        marked_s = 0.0
        while True:
            self.exchange.tick(self.clock())
            self.pump(changed=False)
            self.streams.settle()
            self.streams.publish(self.exchange.feed.quotes())
            self.streams.publish(self.exchange.feed.bars(self.streams.wanted()))
            if time.monotonic() - marked_s >= 1:
                marked_s = time.monotonic()
                self.streams.publish(self.exchange.feed.marks())
            await asyncio.sleep(self._interval_s)

    def follow_up(self) -> None:
        """Lets follow what a verb brought about, and sends it."""
        settling.settle(self.exchange.venue)
        self.pump(changed=True)

    def pump(self, *, changed: bool) -> None:
        """Sends what the exchange has to say, and answers after it: nothing leaves before it is in the state file, if there is one. `changed` is whether something may be new though nothing is said of it."""
        messages = self.exchange.venue.drain()
        if changed or messages:
            self._save()
        for account, message in messages:
            if line := _line(account, message):
                self._say(line)
        self.streams.tell(messages)
        self.streams.publish(self.exchange.feed.news())

    def _save(self) -> None:
        if self._file is not None:
            write_whole(self._file, msgspec.json.encode(self.exchange.venue.state))

    # --- faults that last

    async def down(self, seconds: float) -> None:
        """Refuses connections, for some seconds or, if that is 0, until `up`."""
        await self.port.down()
        self._later.end("down", seconds, self.port.up)

    async def up(self) -> None:
        """Takes connections again."""
        await self.port.up()

    def maintain(self, seconds: float) -> None:
        """Refuses requests with 503 and cuts sockets, for some seconds or, if that is 0, until it is cleared."""
        self.exchange.maintenance = True
        for connection in self.streams.chosen("all"):
            connection.cut()
        self._later.end("maintenance", seconds, self._open_again)

    def _open_again(self) -> None:
        self.exchange.maintenance = False


def load_state(file: Path) -> State:
    """A state that an exchange has written.

    Raises:
        ValueError: if the file is none, with its path and the place in it.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{file}: {error}") from None


def _line(account: str, message: Message) -> str:
    """An event as people read it; empty for those that say nothing new."""
    order = message.get("o")
    if not isinstance(order, dict):
        return ""
    what = f"{order['S']} {order['q']} {order['s']} {order['o']}"
    if message["e"] == "ALGO_UPDATE":
        return f"{account}  conditional {order['caid']}  {what} at {order['tp']}  {order['X']}"
    price = f" at {order['p']}" if Decimal(str(order["p"])) else ""
    filled = f"  {order['l']} at {order['L']}" if order["x"] in ("TRADE", "CALCULATED") else ""
    return f"{account}  order {order['c']}  {what}{price}  {order['X']}{filled}"
