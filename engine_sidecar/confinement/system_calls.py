"""System calls that Python has no function for. Each raises OSError with what the kernel said."""

import ctypes
import os
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_DUMPABLE: Final = 4


def prctl(option: int, value: int = 0) -> int:
    """An operation on this process."""
    arguments = [ctypes.c_ulong(argument) for argument in (value, 0, 0, 0)]
    return _checked(_LIBC.prctl(option, *arguments), f"prctl {option}")


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """The call of this number; bytes are handed over by their address, and stay as they are."""
    given = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *given), f"system call {number}")


def hide_memory() -> None:
    """Closes this process's memory, environment and files to others of its account. A fork keeps that, a new program ends it.

    As an ordinary user it cannot read `io` and `environ` of its own in /proc either, and its limits there belong to root.
    """
    prctl(_DUMPABLE, 0)


def show_memory() -> None:
    """The opposite: the process belongs to its account again, and may write its own `oom_score_adj`."""
    prctl(_DUMPABLE, 1)


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return answer
