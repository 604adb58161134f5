"""Files of which nobody sees half: those for anybody, and those that hold secrets, which only their owner may read."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write into, which takes its place when the block ends well and is deleted otherwise.

    Raises OSError.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield made
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Puts `data` into `path` in one step, readable and writable by its owner only."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
