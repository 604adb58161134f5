"""The process: the exchange behind its ports, its ticking, its state file."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web

from exchanges.core.faults import Faults
from exchanges.later import Later
from exchanges.listening import Port
from exchanges.okx.core import settling
from exchanges.okx.core.exchange import Exchange
from exchanges.okx.core.pushes import Push, push_of
from exchanges.okx.core.state import State
from exchanges.okx.hearing import Hearing
from exchanges.okx.rest import Rest
from exchanges.okx.sockets import Sockets
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
        self.later = Later()
        hearing = Hearing(self.exchange, self.faults, self.clock, self, self.later.do)
        self.sockets = Sockets(self.exchange, hearing)
        self._interval_s = interval_s
        self._file = file
        self._say = say
        self.port = Port(self._application(), host, port)

    def _application(self) -> web.Application:
        rest = Rest(self.exchange, self.faults, self.clock, self.pump)
        app = web.Application()
        app.router.add_get("/ws/v5/{kind}", self.sockets.serve)
        app.router.add_route("*", "/api/v5/{tail:.*}", rest.handle)
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
                self.later.tasks = tasks
                await self._tick()
        finally:
            self.later.tasks = None
            self.keep()
            await self.port.close()

    async def _tick(self) -> None:
        marked_s = 0.0
        while True:
            self.exchange.tick(self.clock())
            self.pump(changed=False)
            self.sockets.settle()
            self.sockets.publish(self.exchange.feed.quotes())
            self.sockets.publish(self.exchange.feed.bars(self.sockets.bars()))
            if time.monotonic() - marked_s >= 1:
                marked_s = time.monotonic()
                self.sockets.publish(self.exchange.feed.marks())
            await asyncio.sleep(self._interval_s)

    def follow_up(self) -> None:
        """Lets follow what a verb brought about, and sends it."""
        settling.settle(self.exchange.venue)
        self.pump(changed=True)

    def pump(self, *, changed: bool) -> None:
        """Keeps and sends what the exchange has to say. `changed` is whether something may be new though nothing is said of it."""
        if changed or self.exchange.venue.said:
            self.keep()
        self.send()

    def keep(self) -> None:
        """Writes the state file, if there is one: before anything leaves that it would have to explain."""
        if self._file is not None:
            write_whole(self._file, msgspec.json.encode(self.exchange.venue.state))

    def send(self) -> None:
        """Sends what the exchange has to say."""
        venue = self.exchange.venue
        pushes = [push_of(venue, news) for news in venue.drain()]
        for push in pushes:
            if line := _line(push):
                self._say(line)
        self.sockets.tell(pushes)
        self.sockets.publish(self.exchange.feed.news())

    # --- faults that last

    async def down(self, seconds: float) -> None:
        """Refuses connections, for some seconds or, if that is 0, until `up`."""
        await self.port.down()
        self.later.end("down", seconds, self.port.up)

    async def up(self) -> None:
        """Takes connections again."""
        await self.port.up()

    def maintain(self, seconds: float) -> None:
        """Refuses requests with 503 and cuts sockets, for some seconds or, if that is 0, until it is cleared."""
        self.exchange.maintenance = True
        for connection in self.sockets.chosen("all"):
            connection.cut()
        self.later.end("maintenance", seconds, self.end_maintenance)

    def end_maintenance(self) -> None:
        """Takes requests again."""
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


def _line(push: Push) -> str:
    """An event as people read it; empty for those that say nothing new."""
    body = push.body
    if push.channel not in ("orders", "orders-algo", "algo-advance"):
        return ""
    what = f"{body['side']} {body['sz']} {body['instId']} {body['ordType']}"
    if push.channel != "orders":
        return f"{push.account}  conditional {body['algoClOrdId'] or body['algoId']}  {what}  {body['state']}"
    price = f" at {body['px']}" if body["px"] else ""
    filled = f"  {body['fillSz']} at {body['fillPx']}" if body["tradeId"] else ""
    return f"{push.account}  order {body['clOrdId'] or body['ordId']}  {what}{price}  {body['state']}{filled}"
