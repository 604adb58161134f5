"""Repeats the engine's lines on our own stdout, for `docker logs`, without ever waiting for whoever reads it."""

import asyncio
import os
import select
from collections import deque
from typing import Final

_ATOMIC: Final = select.PIPE_BUF
"""poll() calls a pipe writable when this much fits in."""
_RETRY_S: Final = 0.02
_MAX_LINES: Final = 10_000


class Echo:
    """A bounded backlog of lines for `fd`; when the reader is too slow the oldest are lost (they are on the bus)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._backlog: deque[bytes] = deque(maxlen=_MAX_LINES)
        self._wake = asyncio.Event()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def add(self, line: str) -> None:
        """Queues a line."""
        self._backlog.append(line.encode(errors="replace") + b"\n")
        self._wake.set()

    async def run(self) -> None:
        """Writes until it is cancelled, or until nobody can read any more."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._backlog:
                if not self._write_some():
                    await asyncio.sleep(_RETRY_S)
                await asyncio.sleep(0)

    def finish(self) -> None:
        """Writes what can be written at once."""
        while self._backlog and self._write_some():
            pass

    def _write_some(self) -> bool:
        if not self._poll.poll(0):
            return False
        chunk = self._backlog.popleft()
        while self._backlog and len(chunk) + len(self._backlog[0]) <= _ATOMIC:
            chunk += self._backlog.popleft()
        try:
            os.write(self._fd, chunk[:_ATOMIC])
        except OSError:
            # Nobody reads: the lines are on the bus all the same.
            self._backlog.clear()
            return False
        if len(chunk) > _ATOMIC:
            self._backlog.appendleft(chunk[_ATOMIC:])
        return True
