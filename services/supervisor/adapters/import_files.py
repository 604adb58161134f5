"""The imports of a host on its disk, below the catalog: what was asked, the uploaded file, and how it ended."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from flotilla.bus.files import sync_folder, write_whole
from flotilla.bus.logs import get_logger
from flotilla.schemas.data import (
    DATA_FOLDER,
    END_FILE,
    IMPORTS_FOLDER,
    LOCK_FILE,
    MOST_UPLOADED_BYTES,
    PROGRESS_FILE,
    DataUploaded,
    ImportEnd,
    ImportProgress,
    UploadData,
)
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.supervisor.core.imports import AskedImport, KeptImport

log = get_logger(__name__)

T = TypeVar("T")

_ORDER_FILE: Final = "order.json"
_STALE_S: Final = 86_400.0
"""What was uploaded and never asked for goes after so long."""
_COUNTED_EVERY: Final = 8 << 20
MOST_KEPT: Final = 1_000
"""Imports on record; older ones that have ended are forgotten."""


class ImportFiles:
    """One folder for each import, named by its id. All raise FaultError `unavailable` for a disk that does not do it."""

    def __init__(self, catalog: Path, most_bytes: int = MOST_UPLOADED_BYTES) -> None:
        self._catalog = catalog
        self._root = catalog / IMPORTS_FOLDER
        self._most_bytes = most_bytes
        self._uncounted = 0
        """So many more bytes may come before what is there is counted again."""

    def add(self, piece: UploadData) -> DataUploaded:
        """Appends a piece. Raises FaultError: `conflict` for one that does not follow, `too_large`."""
        with _disk():
            folder = self._root / piece.import_id
            if (folder / _ORDER_FILE).exists():
                return DataUploaded(import_id=piece.import_id, size_bytes=0, is_asked=True)
            self._make_folders(piece.import_id)
            with _alone(folder / DATA_FOLDER / piece.file, os.O_CREAT) as file:
                if (folder / _ORDER_FILE).exists():  # since we waited for our turn
                    return DataUploaded(import_id=piece.import_id, size_bytes=0, is_asked=True)
                size = os.fstat(file).st_size
                if piece.offset < size:
                    if os.pread(file, len(piece.data), piece.offset) != piece.data:
                        text = f"{piece.file} has other bytes at {piece.offset} already: take another id"
                        raise fault(FaultCode.CONFLICT, text)
                    return DataUploaded(import_id=piece.import_id, size_bytes=size)
                if piece.offset > size:
                    text = f"{piece.file} has {size} bytes, and this piece begins at {piece.offset}"
                    raise fault(FaultCode.CONFLICT, text)
                self._make_room(len(piece.data))
                written = os.write(file, piece.data)
                if written < len(piece.data):
                    os.ftruncate(file, size)
                    raise OSError(28, "No space left on device")
                return DataUploaded(import_id=piece.import_id, size_bytes=size + written)

    def ask(self, asked: AskedImport) -> AskedImport:
        """Puts on record what was asked, and returns what is there then. Raises FaultError: `not_found` for a file that was not uploaded,
        `conflict` for an id that has another file or other options.
        """
        with _disk():
            folder = self._root / asked.order.import_id
            if (known := self._known(folder, asked)) is not None:
                return known
            try:
                with _alone(folder / DATA_FOLDER / asked.order.file) as file:
                    if (known := self._known(folder, asked)) is not None:
                        return known
                    _keep(file)
                    write_whole(folder / _ORDER_FILE, msgspec.json.encode(asked))
            except FileNotFoundError:
                raise fault(FaultCode.NOT_FOUND, f"nothing of {asked.order.file} was uploaded") from None
            sync_folder(self._root)
            return asked

    def _known(self, folder: Path, asked: AskedImport) -> AskedImport | None:
        """What was asked before. Raises FaultError `conflict` for something else."""
        known = self._read(folder / _ORDER_FILE, AskedImport)
        if known is not None and msgspec.structs.replace(
            known.order, request_id=None
        ) != msgspec.structs.replace(asked.order, request_id=None):
            raise fault(
                FaultCode.CONFLICT,
                f"import {known.order.import_id} was asked for with another file or other options",
            )
        return known

    def kept(self) -> list[KeptImport]:
        """Those on record, the newest first. One whose record cannot be read is left out here, and told by `one`."""
        with _disk():
            if not self._root.is_dir():
                return []
            found = [one for folder in self._root.iterdir() if (one := self._readable(folder)) is not None]
            return sorted(found, key=lambda one: (one.asked.at, one.asked.order.import_id), reverse=True)

    def one(self, import_id: str) -> KeptImport | None:
        """One of them."""
        with _disk():
            return self._one(self._root / import_id)

    def end(self, import_id: str, end: ImportEnd) -> None:
        """Puts on record how it ended, unless that is there already, and lets go of its file."""
        with _disk():
            folder = self._root / import_id
            if not (folder / END_FILE).exists():
                write_whole(folder / END_FILE, msgspec.json.encode(end))
            shutil.rmtree(folder / DATA_FOLDER, ignore_errors=True)
            (folder / PROGRESS_FILE).unlink(missing_ok=True)

    def forget_old(self) -> None:
        """Forgets the oldest ones that have ended, where there are more than MOST_KEPT."""
        for one in self.kept()[MOST_KEPT:]:
            if one.end is not None:
                shutil.rmtree(self._root / one.asked.order.import_id, ignore_errors=True)

    def _readable(self, folder: Path) -> KeptImport | None:
        if not folder.is_dir():
            return None
        try:
            return self._one(folder)
        except (OSError, msgspec.MsgspecError) as error:
            log.error("import's record cannot be read", import_id=folder.name, error=str(error))  # noqa: TRY400
            return None

    def _one(self, folder: Path) -> KeptImport | None:
        asked = self._read(folder / _ORDER_FILE, AskedImport)
        if asked is None:
            return None
        is_held = _is_held(folder / LOCK_FILE)
        # In this order: one that ends between the two looks is not taken for one that was interrupted.
        return KeptImport(
            asked=asked,
            is_held=is_held,
            is_begun=(folder / LOCK_FILE).exists(),
            end=self._read(folder / END_FILE, ImportEnd),
            progress=self._progress(folder),
        )

    def _progress(self, folder: Path) -> ImportProgress | None:
        """None also where it cannot be read: it is written without care, and may be empty after a power cut."""
        try:
            return self._read(folder / PROGRESS_FILE, ImportProgress)
        except msgspec.MsgspecError:
            return None

    def _read(self, path: Path, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None

    def _make_folders(self, import_id: str) -> None:
        """Where they are not there, for the account that may change the catalog."""
        for folder in (self._root, self._root / import_id, self._root / import_id / DATA_FOLDER):
            if not folder.is_dir():
                folder.mkdir(mode=0o755, parents=folder == self._root, exist_ok=True)
                owner = self._catalog.stat()
                if os.geteuid() == 0:
                    os.chown(folder, owner.st_uid, owner.st_gid)

    def _make_room(self, size: int) -> None:
        """Counts what is there, every few megabytes. Raises FaultError `too_large`."""
        if self._uncounted >= size:
            self._uncounted -= size
            return
        self._tidy()
        room = self._most_bytes - sum(file.stat().st_size for file in self._root.glob(f"*/{DATA_FOLDER}/*"))
        if size > room:
            raise fault(FaultCode.TOO_LARGE, _too_large(self._most_bytes))
        self._uncounted = min(_COUNTED_EVERY, room) - size

    def _tidy(self) -> None:
        for folder in self._root.iterdir():
            is_asked = (folder / _ORDER_FILE).exists()
            if not is_asked and time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(path: Path, flags: int = 0) -> Iterator[int]:
    """An uploaded file, opened and kept from others who would add to it or ask for it."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | flags, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _keep(file: int) -> None:
    """Returns when it is on disk. Raises FileNotFoundError for an empty one: nothing was written yet."""
    if not os.fstat(file).st_size:
        raise FileNotFoundError
    os.fsync(file)


def _is_held(path: Path) -> bool:
    """Whether somebody is at it."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except (OSError, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise fault(FaultCode.UNAVAILABLE, f"imports of this host cannot be kept: {why}") from error


def _too_large(most_bytes: int) -> str:
    return (
        f"files that wait for their import have at most {most_bytes:,} bytes together: import this one on the host itself, "
        "by `flotilla data import`, or in parts"
    )
