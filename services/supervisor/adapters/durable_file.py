"""Small files of the state folder that survive a loss of power: every write is whole or did not happen."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Returns when the content is on disk, readable by its owner only. Raises OSError, and then the old content stays.

    Written by root it belongs to whoever owns the folder, as a folder that is made for it belongs to the owner of the one above:
    the supervisor of another account has to read it.
    """
    make_folder(path.parent)
    new = f"{path.name}.new"
    with _opened(path.parent) as folder:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as file:
            _give(file.fileno(), os.fstat(folder))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def make_folder(path: Path) -> None:
    """Makes a folder for its owner only, and those above it that are missing; root's gives it to the owner of the one above."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)
    give_as_above(path)


def give_as_above(path: Path) -> None:
    """As root, gives a folder to the owner of the one above it; a link, which that owner may have put there, is followed nowhere."""
    with _opened(path.parent) as above, _opened(path, os.O_NOFOLLOW) as folder:
        _give(folder, os.fstat(above))


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags)
    try:
        yield folder
    finally:
        os.close(folder)


def _give(file: int, owner: os.stat_result) -> None:
    if os.geteuid() == 0 and os.fstat(file).st_uid != owner.st_uid:
        os.fchown(file, owner.st_uid, owner.st_gid)
