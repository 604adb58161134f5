"""A process that the zygote forked, as the sidecar has it: a link to it, what it prints, how it ends."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import Frames, frame
from flotilla.engine_sidecar.link.messages import LinkClosed
from flotilla.engine_sidecar.outbox.log_book import LineCutter
from flotilla.engine_sidecar.process.children import kill

LAST_OUTPUT_S: Final = 1.0
"""For what a dead process left in its pipes; one that it started may hold them open for ever."""
_LINK_CHUNK: Final = 64 << 10
_OUTPUT_CHUNK: Final = 64 << 10


class ForkedProcess:
    """`pid` is known once it runs, `exit_code` once it was reaped.

    Both raise ZygoteLostError where nobody will tell any more.
    """

    def __init__(self, link: "Link", *, is_trial: bool) -> None:
        loop = asyncio.get_running_loop()
        self.link, self.is_trial = link, is_trial
        self.pid: asyncio.Future[int] = loop.create_future()
        self.exit_code: asyncio.Future[int] = loop.create_future()
        self.readers: list[asyncio.Task[None]] = []

    @property
    def running_pid(self) -> int | None:
        """Its pid from its start to its end."""
        return self.pid.result() if self.pid.done() and not self.exit_code.done() else None

    def kill(self) -> None:
        """SIGKILL, if it was started and has not ended."""
        if (pid := self.running_pid) is not None:
            kill(pid)

    async def drain(self, timeout_s: float) -> None:
        """Waits until everything that it left in its link and pipes was handed on."""
        if self.readers:
            await asyncio.wait(self.readers, timeout=timeout_s)

    async def ended(self) -> int:
        """Its exit code, after everything that it left was handed on."""
        code = await asyncio.shield(self.exit_code)
        await self.drain(LAST_OUTPUT_S)
        return code

    def lose(self, error: Exception) -> None:
        """Kills it: nobody will tell how it ends. Whoever waits for that gets `error`."""
        self.kill()
        for future in (self.pid, self.exit_code):
            if not future.done():
                future.set_exception(error)
                future.exception()  # somebody may wait for only one of the two


class Link:
    """Frames in both directions. Writing never waits: a process that was stopped must not stop the sidecar."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._unsent = bytearray()
        self._is_closed = False

    async def run[M](self, messages: object, on_message: Callable[[M | LinkClosed], None]) -> None:
        """Hands on every frame, which is one of `messages`, and LinkClosed at the end."""
        error = ""
        try:
            await self._read(Frames[M](messages), on_message)
        except (OSError, ValueError, RecursionError, msgspec.DecodeError) as problem:
            error = repr(problem)
        if error:
            self._shut()  # no more: the process may live on, and would take a closed socket for the end of the sidecar
        else:
            self.close()
        on_message(LinkClosed(error))

    async def _read[M](self, frames: Frames[M], on_message: Callable[[M | LinkClosed], None]) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._socket, _LINK_CHUNK):
            for message in frames.feed(data):
                on_message(message)
            # There may be more at once, for ever: the sidecar has other things to do.
            await asyncio.sleep(0)

    def send(self, message: object) -> None:
        """Queues a frame; dropped when the link is closed."""
        if not self._is_closed:
            self._unsent += frame(message)
            self._push()

    def _push(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = self._socket.send(self._unsent)
            del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._shut()
            return
        if self._unsent:
            loop.add_writer(self._socket, self._push)
        else:
            loop.remove_writer(self._socket)

    def close(self) -> None:
        """Nothing comes or goes any more."""
        self._shut()
        self._socket.close()

    def _shut(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            asyncio.get_running_loop().remove_writer(self._socket)
            self._unsent.clear()


async def read_lines(fd: int, on_line: Callable[[str], None]) -> None:
    """Hands on every line until the last writer has closed the pipe; closes `fd`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_OUTPUT_CHUNK)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    cutter = LineCutter()
    try:
        while data := await reader.read(_OUTPUT_CHUNK):
            for line in cutter.feed(data):
                on_line(line)
        for line in cutter.finish():
            on_line(line)
    finally:
        transport.close()
