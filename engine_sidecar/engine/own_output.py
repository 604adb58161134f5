"""Keeps the engine's stdout and stderr writable after the sidecar that read them is gone.

NautilusTrader's log thread panics on a broken pipe and takes the process with it by SIGABRT, just when the engine has orders
to cancel because it lost its sidecar.
"""

import fcntl
import os
import stat
import termios
import threading
import time
from typing import Final

_CHUNK: Final = 65536
_MUCH: Final = 32768
"""Half of what a pipe holds: a sidecar that lives, and whose link alone is lost, is left what was said last."""
_LOOK_S: Final = 0.01


class OwnOutput:
    """Holds a reading end of each of the two pipes, so that they never break; reads from it only once told to."""

    def __init__(self) -> None:
        self._ends = [
            os.open(f"/proc/self/fd/{number}", os.O_RDONLY)
            for number in (1, 2)
            if stat.S_ISFIFO(os.fstat(number).st_mode)
        ]

    def swallow(self) -> None:
        """Reads in the sidecar's place what it leaves there, so that nobody who prints is held up by a full pipe for long."""
        for end in self._ends:
            threading.Thread(target=_drain, args=(end,), name="own output", daemon=True).start()


def _drain(end: int) -> None:
    while True:
        if _waiting(end) >= _MUCH:
            os.read(end, _CHUNK)
        time.sleep(_LOOK_S)


def _waiting(end: int) -> int:
    """Bytes in the pipe."""
    return int.from_bytes(fcntl.ioctl(end, termios.FIONREAD, bytes(4)), "little")
