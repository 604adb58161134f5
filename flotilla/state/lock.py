"""Who runs a state folder: two file locks that the kernel lets go of when their holders end, however they end."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from flotilla.state.errors import StackRunsError
from flotilla.state.folder import StateFolder

_PROBE_S: Final = 0.5
_REMAINS_S: Final = 30.0
_PAUSE_S: Final = 0.05


class StackLock:
    """Held by `flotilla up`. `children_fd` is to be kept open by its children, which makes them hold the second lock."""

    def __init__(self, own_fd: int, children_fd: int) -> None:
        self._own_fd = own_fd
        self.children_fd = children_fd

    @classmethod
    def acquire(cls, folder: StateFolder, *, on_wait: Callable[[], None]) -> Self:
        """Takes the folder. Raises StackRunsError when another stack has it.

        Children of a killed stack end with it, but take their time: `on_wait` is called once when they are waited for.
        """
        own = _open(folder.lock_file)
        if not _taken(own, _PROBE_S):
            os.close(own)
            raise StackRunsError(folder.root, holder(folder))
        children = _open(folder.remains_file)
        if not _taken(children, 0):
            on_wait()
            if not _taken(children, _REMAINS_S):
                os.close(own)
                os.close(children)
                raise StackRunsError(folder.root, None)
        os.truncate(own, 0)
        os.write(own, f"{os.getpid()}\n".encode())
        return cls(own, children)

    def release(self) -> None:
        """Lets go. Children that still run keep theirs."""
        os.close(self.children_fd)
        os.close(self._own_fd)


def holder(folder: StateFolder) -> int | None:
    """The process id of the `flotilla up` that runs on this folder, or None."""
    try:
        fd = os.open(folder.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _taken(fd, 0, fcntl.LOCK_SH):
            return None
        return int(os.read(fd, 32) or b"0") or None
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _taken(fd: int, wait_s: float, kind: int = fcntl.LOCK_EX) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True
