"""Files that are whole or as they were: written beside their place, and on disk before they take it.

Unless a function says otherwise this holds after a loss of power too, as far as the file system does what fsync promises.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(
    path: Path, data: bytes, *, mode: int = 0o600, is_durable: bool = True, as_folder: bool = False
) -> None:
    """Puts `data` into `path` in one step and returns when it is on disk. Raises OSError, and then what was there stays.

    The new file has `mode`, less the umask. Not `is_durable`, it is in place at once and after a loss of power may be empty: for what is
    worth nothing then. Written by root `as_folder`, it belongs to whoever owns the folder, who may be another account that has to read it.
    """
    with opened_folder(path.parent) as folder:
        new = f".{path.name}.{secrets.token_hex(4)}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(new, flags, mode, dir_fd=folder), "wb") as file:
                if as_folder:
                    give(file.fileno(), os.fstat(folder))
                file.write(data)
                file.flush()
                if is_durable:
                    os.fsync(file.fileno())
            os.replace(new, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)
            raise
        if is_durable:
            os.fsync(folder)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write into, which takes its place, on disk, when the block ends well and is deleted otherwise.

    Raises OSError.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield made
        move_whole(made, path)
    finally:
        made.unlink(missing_ok=True)


def move_whole(source: Path, target: Path) -> None:
    """Renames a file that somebody else wrote, once its content is on disk. Raises OSError."""
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(path: Path) -> None:
    """Returns when the names in a folder are on disk. Raises OSError."""
    with opened_folder(path) as folder:
        os.fsync(folder)


@contextmanager
def opened_folder(path: Path, flags: int = 0) -> Iterator[int]:
    """The descriptor of a folder, while the block runs. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags)
    try:
        yield folder
    finally:
        os.close(folder)


def give(file: int, owner: os.stat_result) -> None:
    """As root, gives what a descriptor is of to the owner of something else. Raises OSError."""
    if os.geteuid() == 0 and os.fstat(file).st_uid != owner.st_uid:
        os.fchown(file, owner.st_uid, owner.st_gid)
