"""Reads the launch line: the one secret a container is given, so it stands in no file, label or variable."""

import os
import select
import time
from typing import Final

import msgspec

from flotilla.schemas.session import Launch

MAX_BYTES: Final = 4 << 20


class BadLaunchError(Exception):
    """No usable launch line; its text says why and carries nothing of the line."""


def read_launch(fd: int, timeout_s: float) -> Launch:
    """The launch line from `fd`. Raises BadLaunchError when none comes in time, or one that does not fit."""
    line = _read_line(fd, time.monotonic() + timeout_s)
    if not line.strip():
        raise BadLaunchError("stdin was closed before the launch line came")
    try:
        return msgspec.json.decode(line, type=Launch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLaunchError(f"the launch line cannot be read: {error}") from None


def _read_line(fd: int, deadline: float) -> bytes:
    line = bytearray()
    while b"\n" not in line:
        left = deadline - time.monotonic()
        # Whoever was to write may have been killed in between, and a pipe that nobody closes never ends by itself.
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise BadLaunchError("no launch line came on stdin in time")
        data = os.read(fd, 65536)
        if not data:
            break
        line += data
        if len(line) > MAX_BYTES:
            raise BadLaunchError(f"the launch line is longer than {MAX_BYTES} bytes")
    return bytes(line.partition(b"\n")[0])
