"""The time since boot, and the file by which a container's health check tells from it that a process still turns."""

import os
import time
from pathlib import Path


def since_boot() -> float:
    """Seconds since the machine was started, those included that it was suspended: a monotonic clock that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say_alive(file: Path) -> None:
    """Writes the whole seconds since boot, as /proc/uptime has them, over what was there. Raises OSError."""
    # In one write and always as long as before, so that nobody reads half of it.
    text = f"{int(since_boot()):20d}\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, text.encode(), 0)
    finally:
        os.close(descriptor)
