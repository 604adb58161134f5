"""Files that hold secrets: nobody sees half of one, and nobody but its owner any of it."""

import os
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Puts `data` into `path` in one step, readable and writable by its owner only."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
