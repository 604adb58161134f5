"""Reads the output of a process, without ever making it wait."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from flotilla.engine_sidecar.outbox.log_book import LineCutter

_CHUNK: Final = 64 << 10


async def read_lines(fd: int, on_line: Callable[[str], None]) -> None:
    """Hands on every line until the last writer has closed the pipe; closes `fd`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    cutter = LineCutter()
    try:
        while data := await reader.read(_CHUNK):
            for line in cutter.feed(data):
                on_line(line)
        for line in cutter.finish():
            on_line(line)
    finally:
        transport.close()
