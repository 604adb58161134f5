"""Folders that a forked process makes for itself, by names that whoever outlives it knows."""

import os
import shutil
import tempfile
from pathlib import Path


def make_folder() -> Path:
    """A new folder of this process; nobody of another account may look into it."""
    return Path(tempfile.mkdtemp(prefix=_prefix(os.getpid())))


def remove_folders(pid: int) -> None:
    """Removes what a process that is gone left of its own."""
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix(pid)}*"):
        shutil.rmtree(path, ignore_errors=True)


def _prefix(pid: int) -> str:
    return f"flotilla-{pid}-"
