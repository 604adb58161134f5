"""Keeps the engine's stdout and stderr writable after the sidecar that read them is gone.

NautilusTrader's log thread panics on a broken pipe and takes the process with it by SIGABRT, just when the engine has orders
to cancel because it lost its sidecar.
"""

import os
import stat
import threading
from typing import Final

_CHUNK: Final = 65536


class OwnOutput:
    """Holds a reading end of each of the two pipes, so that they never break; reads from it only once told to."""

    def __init__(self) -> None:
        self._ends = [
            os.open(f"/proc/self/fd/{number}", os.O_RDONLY)
            for number in (1, 2)
            if stat.S_ISFIFO(os.fstat(number).st_mode)
        ]

    def swallow(self) -> None:
        """Reads in the sidecar's place, so that nobody who prints is held up by a full pipe."""
        for end in self._ends:
            threading.Thread(target=_drain, args=(end,), name="own output", daemon=True).start()


def _drain(end: int) -> None:
    while os.read(end, _CHUNK):
        pass
