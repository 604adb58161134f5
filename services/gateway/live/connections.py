"""The door of the gateway: how many connections one address may hold, and how long a request may take to come, or an answer to go.

aiohttp limits the time between two requests; a client that sends half of one, or reads half of an answer, it waits for without end.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger

log = get_logger(__name__)

_FULL: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class DoorStats(msgspec.Struct):
    """Counters since the start: connections that were too many for their address, and those that were cut for being slow."""

    refused: int = 0
    cut: int = 0


class Door:
    """Every open connection, by the address of its client."""

    def __init__(self, *, per_address: int, request_s: float, answer_s: float) -> None:
        self._per_address = per_address
        self.request_s = request_s
        self.answer_s = answer_s
        self._counts: dict[str, int] = {}
        self._open: dict[asyncio.BaseTransport, Connection] = {}
        self.stats = DoorStats()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def handling(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """While a request of this connection is being answered, its head has come."""
        connection = self._open.get(transport) if transport is not None else None
        if connection is not None:
            connection.begin()
        try:
            yield
        finally:
            if connection is not None:
                connection.end()

    def enter(self, connection: "Connection", transport: asyncio.Transport, address: str) -> bool:
        """False when the address has as many connections as it may have."""
        count = self._counts.get(address, 0)
        if count >= self._per_address:
            if not self.stats.refused % 1_000:  # a flood is worth a line, not one for each
                log.warning("too many connections", peer=address, open=count)
            self.stats.refused += 1
            return False
        self._counts[address] = count + 1
        self._open[transport] = connection
        return True

    def leave(self, transport: asyncio.BaseTransport, address: str) -> None:
        """It is closed."""
        del self._open[transport]
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]


class Connection(asyncio.Protocol):
    """One connection: hands all of it on to aiohttp's protocol, and cuts it when it is too slow."""

    def __init__(self, door: Door, make: Callable[[], asyncio.Protocol]) -> None:
        self._door = door
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._handled = 0
        self._coming: asyncio.TimerHandle | None = None
        self._coming_by: float | None = None
        self._going: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Opened: a request is expected from now on."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{type(transport).__name__} is no stream")
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        if not self._door.enter(self, transport, self._address):
            transport.write(_FULL)
            transport.close()
            return
        self._transport = transport
        self._inner = self._make()
        self._inner.connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Part of a request, or of several."""
        if self._inner is None:
            return
        if not self._handled and self._coming_by is None:
            self._expect()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._inner.eof_received() if self._inner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whichever side."""
        self._coming = _cancelled(self._coming)
        self._going = _cancelled(self._going)
        if self._inner is not None and self._transport is not None:
            self._door.leave(self._transport, self._address)
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what we send as fast as we do."""
        if self._inner is not None:
            self._going = self._loop.call_later(self._door.answer_s, self._cut, "answer")
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It has read on."""
        if self._inner is not None:
            self._going = _cancelled(self._going)
            self._inner.resume_writing()

    def begin(self) -> None:
        """The head of a request has come whole."""
        self._handled += 1
        self._coming_by = None

    def end(self) -> None:
        """It is answered."""
        self._handled -= 1

    def _expect(self) -> None:
        """From now on. A timer that runs already is left to run, and looks when it goes off: requests come by the thousand."""
        self._coming_by = self._loop.time() + self._door.request_s
        if self._coming is None:
            self._coming = self._loop.call_at(self._coming_by, self._look)

    def _look(self) -> None:
        self._coming = None
        if self._coming_by is None:
            return
        if self._coming_by <= self._loop.time():
            self._cut("request")
        else:
            self._coming = self._loop.call_at(self._coming_by, self._look)

    def _cut(self, what: str) -> None:
        self._door.stats.cut += 1
        log.debug("connection cut", peer=self._address, slow=what)
        if self._transport is not None:
            self._transport.abort()


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Nothing, in place of a timer that does not go off any more."""
    if timer is not None:
        timer.cancel()
    return None
