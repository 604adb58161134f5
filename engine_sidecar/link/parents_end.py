"""Has a process end, or told to, when the one that started it dies."""

import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int) -> None:
    """Has the kernel SIGKILL this process when its parent dies, even by SIGKILL; `parent` is the one it should have."""
    signal_at_parents_end(parent, signal.SIGKILL)


def signal_at_parents_end(parent: int, number: signal.Signals) -> None:
    """Has the kernel send this process `number` when its parent dies; ends it when that has happened already."""
    import ctypes  # noqa: PLC0415  only here, after the fork, where it delays nobody

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)
