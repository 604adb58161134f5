"""Our end of the socketpair to the engine process."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import Frames, FromEngine, ToEngine, frame
from flotilla.engine_sidecar.link.messages import LinkClosed

_CHUNK: Final = 256 << 10


class EngineLink:
    """Frames in both directions. Writing never waits: a stopped engine must not stop the sidecar."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._unsent = bytearray()
        self._is_closed = False
        self._sent = asyncio.Event()
        self._sent.set()

    async def run(self, on_message: Callable[[FromEngine | LinkClosed], None]) -> None:
        """Hands on every frame, and LinkClosed at the end."""
        error = ""
        try:
            await self._read(on_message)
        except (OSError, ValueError, msgspec.DecodeError) as problem:
            error = repr(problem)
        self._close()
        on_message(LinkClosed(error))

    async def _read(self, on_message: Callable[[FromEngine | LinkClosed], None]) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames[FromEngine](FromEngine)
        while data := await loop.sock_recv(self._socket, _CHUNK):
            for message in frames.feed(data):
                on_message(message)

    def send(self, message: ToEngine) -> None:
        """Queues a frame; dropped when the link is closed."""
        if not self._is_closed:
            self._unsent += frame(message)
            self._sent.clear()
            self._push()

    async def has_sent(self, timeout_s: float) -> bool:
        """True as soon as all frames are out of our hands; False when they are not in time, or can no longer be."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._sent.wait()
        except TimeoutError:
            return False
        return not self._is_closed

    def _push(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = self._socket.send(self._unsent)
            del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        if self._unsent:
            loop.add_writer(self._socket, self._push)
        else:
            loop.remove_writer(self._socket)
            self._sent.set()

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            asyncio.get_running_loop().remove_writer(self._socket)
            self._unsent.clear()
            self._sent.set()
