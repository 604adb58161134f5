"""Small files of the state folder that survive a loss of power, and that a supervisor of another account can read."""

import os
from pathlib import Path

from flotilla.bus.files import give, opened_folder, write_whole


def write_durably(path: Path, content: bytes) -> None:
    """Returns when the content is on disk, readable by its owner only. Raises OSError, and then the old content stays.

    Written by root it belongs to whoever owns the folder, as a folder that is made for it belongs to the owner of the one above:
    the supervisor of another account has to read it.
    """
    make_folder(path.parent)
    write_whole(path, content, as_folder=True)


def make_folder(path: Path) -> None:
    """Makes a folder for its owner only, and those above it that are missing; root's gives it to the owner of the one above."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)
    give_as_above(path)


def give_as_above(path: Path) -> None:
    """As root, gives a folder to the owner of the one above it; a link, which that owner may have put there, is followed nowhere."""
    with opened_folder(path.parent) as above, opened_folder(path, os.O_NOFOLLOW) as folder:
        give(folder, os.fstat(above))
