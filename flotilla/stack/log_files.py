"""The logs of the stack's processes stay small: what is older goes into `NAME.log.1`, and what is older still away."""

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from flotilla.bus.logs import get_logger

log = get_logger(__name__)

MOST_BYTES: Final = 16 << 20
"""Of each file; there are two of each at most."""
_LOOK_S: Final = 30.0


async def keep_small(files: Iterable[Path]) -> None:
    """Looks now and then, until cancelled."""
    watched = tuple(files)
    while True:
        for file in watched:
            try:
                await asyncio.to_thread(turn_over, file)
            except OSError as error:
                log.warning("log file not turned over", file=str(file), error=str(error))
        await asyncio.sleep(_LOOK_S)


def turn_over(file: Path, most: int = MOST_BYTES) -> bool:
    """Moves what is in a file that is larger than `most` bytes into `FILE.1`, in place of what is there; false where it is not.

    The process that writes has it open to append, and goes on at its beginning. A line that it writes in the moment between the last look
    and the cut is lost, as with logrotate's copytruncate: it cannot be told to open another file. Raises OSError, and leaves the file as it is.
    """
    if not file.exists() or file.stat().st_size <= most:
        return False
    older = file.with_name(f"{file.name}.1")
    with file.open("rb") as source, older.open("wb") as kept:
        os.fchmod(kept.fileno(), file.stat().st_mode & 0o777)
        while kept.tell() < os.fstat(source.fileno()).st_size:
            shutil.copyfileobj(source, kept)
        os.truncate(file, 0)
    return True
