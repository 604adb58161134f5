"""Small files of the state folder that survive a loss of power: every write is whole or did not happen."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Returns when the content is on disk, readable by its owner only. Raises OSError, and then the old content stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.new")
    with open(new, "wb", opener=_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
