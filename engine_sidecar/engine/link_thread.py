"""The engine's end of the link: a thread of its own, so that ticks go on whatever the engine's loop does."""

import asyncio
import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import EndNow, Frames, GateShut, Stop, Tick, ToEngine, frame

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
TICK_S: Final = 0.25
# More than this is kept for a sidecar that does not read only of events, never of ticks and metrics.
_BACKLOG_BYTES: Final = 1 << 20


class LinkThread:
    """Owns the socket. `send` may be called from any thread; what comes in is given to the loop, in order.

    Who sends writes: waking the link's thread for it would cost the engine's loop the interpreter each time, and the message up to
    5 ms; and an engine that is killed has told what it did before. The thread writes only what the sidecar did not take at once.

    When the sidecar is gone the engine has `patience_s` to stop itself; then the process ends, because nobody is left to
    kill one whose loop never comes back.
    """

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._socket, self._loop = sock, loop
        self._incoming: asyncio.Queue[ToEngine | None] = asyncio.Queue()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._unsent = bytearray()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self.patience_s = 30.0
        self._answered = self._asked = time.monotonic()
        self._lag_s = 0.0
        self._beginning = threading.Lock()
        self._has_begun = self._is_called_off = False
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Begins to tick; call it from the loop."""
        self._socket.setblocking(False)
        self._thread.start()

    def begin(self) -> bool:
        """The engine is built and begins; False when it was told to end before: then nothing that opens or adds may leave it."""
        with self._beginning:
            self._has_begun = True
            return not self._is_called_off

    async def receive(self) -> ToEngine | None:
        """The next message of the sidecar; None when the link is closed, and from then on."""
        message = await self._incoming.get()
        if message is None:
            self._incoming.put_nowait(None)
        return message

    def send(self, message: object, *, is_lossy: bool = False) -> None:
        """Sends a message, or keeps what the sidecar does not take at once. A lossy one is left out while it is far behind."""
        if is_lossy and len(self._unsent) > _BACKLOG_BYTES:
            return
        if self._say(frame(message)):
            self._wake()

    def close(self, timeout_s: float) -> None:
        """Sends what is queued, as far as `timeout_s` allows, and ends the thread."""
        self._closing.set()
        self._wake()
        self._thread.join(timeout_s)

    def _say(self, data: bytes) -> bool:
        """Writes, behind what waits; true where something waits now."""
        with self._writing:
            sent = 0
            if not self._unsent:
                with suppress(OSError):  # it is full, or gone, which the thread finds out where it reads
                    sent = self._socket.send(data)
            self._unsent += data[sent:]
            return bool(self._unsent)

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # the pipe is full of wakes: one more adds nothing

    def _run(self) -> None:
        frames: Frames[ToEngine] = Frames(ToEngine)
        next_tick = 0.0
        with self._socket, selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, _READ)
            selector.register(self._socket, _READ)
            while not self._is_done:
                if (now := time.monotonic()) >= next_tick:
                    self._tick(now)
                    next_tick = now + TICK_S
                selector.modify(self._socket, _READ | (_WRITE if self._unsent else 0))
                for key, events in selector.select(max(0.0, next_tick - time.monotonic())):
                    if key.fileobj is not self._socket:
                        os.read(self._wake_read, 4096)
                    elif not self._exchange(frames, events):
                        self._lose()
                        return

    @property
    def _is_done(self) -> bool:
        return self._closing.is_set() and not self._unsent

    def _exchange(self, frames: Frames[ToEngine], events: int) -> bool:
        """Reads and writes what can be; False when the sidecar is gone or cannot be understood."""
        try:
            if events & _WRITE:
                with self._writing:
                    del self._unsent[: self._socket.send(self._unsent)]
            if events & _READ:
                data = self._socket.recv(65536)
                for message in frames.feed(data):
                    self._heed(message)
                    self._deliver(message)
                return bool(data)
        except BlockingIOError:
            return True
        except (OSError, ValueError, msgspec.DecodeError):
            return False
        return True

    def _heed(self, message: ToEngine) -> None:
        """Answers a stop for an engine that is still being built, however long that takes: `begin` keeps the promise."""
        with self._beginning:
            if isinstance(message, Stop | EndNow) and not self._has_begun:
                self._is_called_off = True
                self._say(frame(GateShut()))

    def _deliver(self, message: ToEngine | None) -> None:
        self._loop.call_soon_threadsafe(self._incoming.put_nowait, message)

    def _lose(self) -> None:
        self._deliver(None)
        if not self._closing.wait(self.patience_s):
            os._exit(1)

    def _tick(self, now: float) -> None:
        """Tells how long the loop has been silent, and asks it again once it has answered."""
        if len(self._unsent) < _BACKLOG_BYTES:
            self._say(frame(Tick(loop_age_s=now - self._answered, loop_lag_s=self._lag_s)))
        if self._answered >= self._asked:
            self._asked = now
            self._loop.call_soon_threadsafe(self._answer, now)

    def _answer(self, asked: float) -> None:
        self._answered = time.monotonic()
        self._lag_s = self._answered - asked
