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

    What is there and is no file of ours to write, such as a pipe, a folder or a link that somebody put there, is moved away, but no
    device: who named that, as /dev/null, meant it.
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
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise FileExistsError(f"{file} is a pipe")
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _move_away(file: Path) -> None:
    with suppress(FileNotFoundError):
        mode = file.lstat().st_mode
        if stat.S_ISDIR(mode):
            file.rename(file.with_name(f"{file.name}-{secrets.token_hex(4)}"))
        elif not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
            file.unlink()
