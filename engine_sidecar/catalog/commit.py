"""Puts a data set's new folder in the place of its old one, in one step: who is killed at any moment leaves one or the other."""

import ctypes
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.files import move_whole, sync_folder, write_whole
from flotilla.schemas.catalog import file_interval

STAGING: Final = ".import"
_JOURNAL: Final = "commit.json"
_OLD: Final = "old"
_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2


class Journal(msgspec.Struct, frozen=True):
    """What is about to be done: `folder` becomes the one with this inode, and `made` were put into the catalog for it."""

    folder: str
    inode: int
    made: tuple[str, ...] = ()


def recover(catalog: Path) -> None:
    """Undoes what somebody who was killed had not finished, and removes what they had staged. Raises OSError."""
    staging = catalog / STAGING
    journal = staging / _JOURNAL
    if journal.exists():
        wanted = msgspec.json.decode(journal.read_bytes(), type=Journal)
        folder, old = catalog / wanted.folder, staging / _OLD
        if old.exists() and not folder.exists():
            old.rename(folder)
        if not folder.exists() or folder.stat().st_ino != wanted.inode:
            for made in wanted.made:
                (catalog / made).unlink(missing_ok=True)
                remove_empty((catalog / made).parent)
    shutil.rmtree(staging, ignore_errors=True)


def keep(there: Path, new: Path) -> None:
    """A file of the old folder stays in the new one. Raises OSError."""
    _linked(there, new / there.name)


def others(folder: Path) -> list[Path]:
    """What lies in a data set's folder and is none of its files, such as those that NautilusTrader once named otherwise."""
    return [one for one in folder.iterdir() if not file_interval(one.name)] if folder.is_dir() else []


def _linked(there: Path | str, new: Path | str) -> None:
    """Also shutil's copy function, which is given texts."""
    try:
        os.link(there, new, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(there, new, follow_symlinks=False)


def _keep_others(there: Path, new: Path) -> None:
    for one in others(there):
        if one.is_dir() and not one.is_symlink():
            shutil.copytree(one, new / one.name, symlinks=True, copy_function=_linked)
        else:
            keep(one, new)


def commit(catalog: Path, folder: Path, new: Path, beside: Sequence[tuple[Path, Path]] = ()) -> None:
    """Makes `new`, below the staging folder, the folder of a data set; `beside` are files that go into the catalog with it.

    Whatever else the old folder has stays. When it returns all of it is on disk. Raises OSError, and then nothing is changed but for what `recover` undoes.
    """
    there = catalog / folder
    _keep_others(there, new)
    for file in new.iterdir():
        _sync_file(file)
    sync_folder(new)
    made = tuple(str(target.relative_to(catalog)) for _, target in beside)
    journal = Journal(str(folder), new.stat().st_ino, made)
    write_whole(catalog / STAGING / _JOURNAL, msgspec.json.encode(journal))
    for source, target in beside:
        target.parent.mkdir(parents=True, exist_ok=True)
        move_whole(source, target)
    there.parent.mkdir(parents=True, exist_ok=True)
    if not there.exists():
        new.rename(there)
    elif not _exchanged(new, there):
        there.rename(catalog / STAGING / _OLD)
        new.rename(there)
    for parent in there.relative_to(catalog).parents:
        sync_folder(catalog / parent)


def remove_folder(catalog: Path, folder: Path) -> None:
    """Takes a whole data set out of the catalog. Raises OSError."""
    (catalog / STAGING).mkdir(exist_ok=True)
    (catalog / folder).rename(catalog / STAGING / _OLD)
    sync_folder((catalog / folder).parent)


def remove_empty(folder: Path) -> None:
    """Removes a folder that nothing is in."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _sync_file(file: Path) -> None:
    if file_interval(file.name) and file.stat().st_nlink == 1:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the kernel exchanged two folders in one step; not all file systems can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0)
