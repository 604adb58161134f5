"""What an engine logged last is written before it says that it has ended, and nobody who does not read holds it up."""

import contextlib
import os
import select
import stat
import sys
import time
from typing import Any, Final

from nautilus_trader.common.component import flush_logger

_LOG_S: Final = 0.2
"""NautilusTrader writes its log from a thread that flush_logger does not wait for; without this half of the last lines are lost."""
_READ_S: Final = 2.0
"""For a sidecar that reads slowly."""
_CHUNK: Final = select.PIPE_BUF


class LastLines:
    """What NautilusTrader has logged and not written yet. `kernel` is known once a node was built."""

    kernel: Any = None

    def write(self) -> None:
        """Returns when all of it is written, as far as that can be known, or nobody reads it."""
        aside = [_Aside(number) for number in (1, 2) if stat.S_ISFIFO(os.fstat(number).st_mode)]
        until = time.monotonic() + _READ_S
        # The last guard waits for the log's thread, and holds the interpreter meanwhile, those who drain a pipe included: only where
        # the thread can write. Its lines go into memory by now; one line may be on its way into the pipe still.
        if self.kernel is not None and all(one.has_room(until) for one in aside):
            self.kernel._log_guard = None
        else:
            flush_logger()
            time.sleep(_LOG_S)
        sys.stdout.flush()
        sys.stderr.flush()
        for one in aside:
            one.hand_over(until)


class _Aside:
    """Standard output or error, held in memory instead of being written into its pipe."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._held = os.memfd_create("last lines")
        self._own = os.dup(number)
        self._pipe: int | None = None
        with contextlib.suppress(OSError):  # nobody holds an end to read from
            self._pipe = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
        os.dup2(self._held, number)

    def has_room(self, until: float) -> bool:
        """Whether one line more can be written into the pipe before `until` (monotonic s)."""
        if self._pipe is None:
            return False
        poll = select.poll()
        poll.register(self._pipe, select.POLLOUT)
        left_ms = max(0.0, until - time.monotonic()) * 1000
        return any(events & select.POLLOUT for _, events in poll.poll(left_ms))

    def hand_over(self, until: float) -> None:
        """Writes into the pipe what is held, as long as somebody reads it, but not after `until`."""
        os.dup2(self._own, self._number)
        said = os.pread(self._held, os.fstat(self._held).st_size, 0)
        with contextlib.suppress(BrokenPipeError):
            while said and self._pipe is not None and self.has_room(until):
                said = said[os.write(self._pipe, said[:_CHUNK]) :]
