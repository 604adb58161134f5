"""The process: the gateway behind its port, its ticking, its state file."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from exchanges.core.faults import Delivery, Fault, Faults, Kind
from exchanges.interactive_brokers.core import account_read, messages
from exchanges.interactive_brokers.core.gateway import REQUESTS, Gateway, id_of
from exchanges.interactive_brokers.core.state import State
from exchanges.interactive_brokers.core.triggers import settle
from exchanges.interactive_brokers.core.venue import Out
from exchanges.interactive_brokers.core.wire import Message
from exchanges.interactive_brokers.lines import line_of
from exchanges.interactive_brokers.link import Link
from exchanges.state_file import write_whole

NOT_DONE = (Kind.REFUSE, Kind.REJECT, Kind.HANG)
NOT_TOLD = (Kind.LOST, Kind.SILENT, Kind.UNKNOWN)


def machine_clock() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Server:
    """One gateway on one port. `say` is given a line for each thing that people want to see."""

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
        self.gateway = Gateway(state, self.clock())
        self.faults = Faults()
        self.delivery = Delivery()
        self.links: list[Link] = []
        self.number = port
        self._host = host
        self._interval_s = interval_s
        self._file = file
        self._say = say
        self._listening: asyncio.Server | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._ends: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Listens no more, and ends what is connected."""
        self.down(0)

    async def open(self) -> None:
        """Listens; on a free port if the number is 0.

        Raises:
            OSError: if the port is taken.
        """
        if self._listening is None:
            self._listening = await asyncio.start_server(self._serve, self._host, self.number)
            self.number = self._listening.sockets[0].getsockname()[1]

    async def run(self) -> None:
        """Ticks until it is cancelled; then writes the state a last time and closes."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._tick()
        finally:
            self._tasks = None
            self._save()
            self.down(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer, self.delivery)
        self.links.append(link)
        try:
            await link.serve(messages.clock(self.clock()), self._hear)
        finally:
            self.links.remove(link)

    async def _tick(self) -> None:
        while True:
            self.gateway.tick(self.clock())
            self.pump(changed=False)
            for link in self.links:
                link.settle()
            self._publish()
            await asyncio.sleep(self._interval_s)

    def _publish(self) -> None:
        """Market data, and every three minutes the summaries that are followed."""
        prints = self.gateway.feed.see()
        now_ms = self.gateway.venue.now_ms
        if self.gateway.links.has_market:
            for link in self.links:
                for message in self.gateway.feed.news(link.session, prints):
                    link.send(message)
        if now_ms - self.gateway.summed_ms >= account_read.SUMMARY_MS:
            self.tell_summaries()

    def tell_summaries(self) -> None:
        """Tells the summaries that are followed, now."""
        self.gateway.summed_ms = self.gateway.venue.now_ms
        for link in self.links:
            for request in link.session.summaries:
                for message in account_read.summary(self.gateway.venue, link.session, request):
                    link.send(message)

    # --- requests

    def _hear(self, link: Link, fields: list[str]) -> None:
        name, at = REQUESTS.get(fields[0], (fields[0], 0))
        if name == "startApi":
            self._start(link, fields)
            return
        fault = self.faults.take("", name)
        if fault is None:
            self._do(link, fields)
        else:
            self._meet(link, fields, fault, id_of(fields, at))

    def _start(self, link: Link, fields: list[str]) -> None:
        client = id_of(fields, 2)
        taken = client < 0 or any(other.session.id == client for other in self.links)
        self.gateway.record(link.session, fields, self.clock(), 326 if taken else 0)
        if taken:
            link.send(messages.error(-1, 326))
            link.close()
            return
        for message in self.gateway.start(link.session, client):
            link.send(message)

    def _do(self, link: Link, fields: list[str], fault: str = "", *, told: bool = True) -> None:
        answers, code = self.gateway.answer(link.session, fields, self.clock())
        self.gateway.record(link.session, fields, self.clock(), code, fault)
        self.pump(changed=False, answers=(link, answers if told else []), deaf=None if told else link)

    def _meet(self, link: Link, fields: list[str], fault: Fault, id_: int) -> None:
        """Does a request as far as its fault lets it be done and answered."""
        kind = fault.kind
        if kind in NOT_DONE:
            self.gateway.record(link.session, fields, self.clock(), 0, kind)
        elif kind is Kind.LATE:
            self._later(fault.seconds, lambda: self._do(link, fields, kind))
        elif kind is Kind.SLOW:
            link.hold()
            self._do(link, fields, kind)
            self._later(fault.seconds, link.release)
        elif kind in NOT_TOLD:
            self._do(link, fields, kind, told=False)
        if kind in (Kind.REJECT, Kind.UNKNOWN):
            link.send(messages.error(id_, fault.code, fault.msg))
        elif kind in (Kind.REFUSE, Kind.LOST):
            link.cut()

    # --- what is to be sent

    def follow_up(self) -> None:
        """Lets follow what a verb brought about, and sends it."""
        settle(self.gateway.venue)
        self.pump(changed=True)

    def pump(
        self,
        *,
        changed: bool,
        answers: tuple[Link, list[Message]] | None = None,
        deaf: Link | None = None,
    ) -> None:
        """Sends what the gateway has to say: nothing leaves before it is in the state file, if there is one. `changed` is whether something may be new though nothing is said of it, `deaf` who is told nothing."""
        out = self.gateway.drain()
        if changed or out:
            self._save()
        if answers is not None:
            for message in answers[1]:
                answers[0].send(message)
        for one in out:
            if line := line_of(one.message):
                self._say(line)
            for link in self._those_who_hear(one):
                if link is not deaf:
                    link.push(one.message)

    def _those_who_hear(self, out: Out) -> list[Link]:
        if out.client is None:
            return [link for link in self.links if link.session.positions]
        return [link for link in self.links if link.session.id == out.client]

    def broadcast(self, code: int) -> None:
        """Tells every client a code about the gateway."""
        for link in self.links:
            if link.session.id is not None:
                link.send(messages.error(-1, code))

    def _save(self) -> None:
        if self._file is not None:
            write_whole(self._file, msgspec.json.encode(self.gateway.venue.state))

    # --- faults that last

    def chosen(self, client: int | None) -> list[Link]:
        """The links of a client, all if it is None."""
        return [link for link in self.links if client is None or link.session.id == client]

    def down(self, seconds: float) -> None:
        """Ends every connection and refuses new ones, for some seconds or, if that is 0, until `open`."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for link in list(self.links):
            link.cut()
        self.end_in("down", seconds, self.open)

    def end_in(self, fault: str, seconds: float, end: Callable[[], Awaitable[None]]) -> None:
        """Ends a fault later; an earlier end of the same one does not count any more."""
        self.not_later(fault)
        if seconds > 0 and self._tasks is not None:
            self._ends[fault] = self._tasks.create_task(_wait(seconds, end), name=f"end of {fault}")

    def not_later(self, fault: str) -> None:
        """Forgets the end of a fault that was to come."""
        if (before := self._ends.pop(fault, None)) is not None:
            before.cancel()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if self._tasks is not None:

            async def do() -> None:
                act()

            self._tasks.create_task(_wait(seconds, do), name="what is late")


async def _wait(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await act()


def load_state(file: Path) -> State:
    """A state that a gateway has written.

    Raises:
        ValueError: if the file is none, with its path and the place in it.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{file}: {error}") from None
