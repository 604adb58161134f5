"""The time since boot, and the file by which a container's health check tells from it that a process still turns."""

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Neither through a link, nor waiting for whoever reads a pipe."""


def since_boot() -> float:
    """Seconds since the machine was started, those included that it was suspended: a monotonic clock that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say_alive(file: Path) -> None:
    """Writes the whole seconds since boot, as /proc/uptime has them, over what was there. Raises OSError.

    What is there and is no file of ours to write, such as a pipe, a folder or a link that somebody put there, is moved away.
    """
    try:
        _write(file, _FLAGS)
    except OSError:
        _move_away(file)
        _write(file, _FLAGS | os.O_EXCL)


def _write(file: Path, flags: int) -> None:
    # In one write and always as long as before, so that nobody reads half of it.
    text = f"{int(since_boot()):20d}\n"
    descriptor = os.open(file, flags, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileExistsError(f"{file} is no file")
        os.pwrite(descriptor, text.encode(), 0)
    finally:
        os.close(descriptor)


def _move_away(file: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(file.lstat().st_mode):
            file.rename(file.with_name(f"{file.name}-{secrets.token_hex(4)}"))
        else:
            file.unlink()
