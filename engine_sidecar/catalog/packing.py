"""Opens people's files whatever they are packed in, as bytes; what they are is told by their first bytes."""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from flotilla.engine_sidecar.catalog.databento import MAGIC, csv_bytes
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

DBN: Final = ".dbn"
"""Databento's records, as they are or by zstd."""
_MAGIC: Final = {
    b"PK\x03\x04": ".zip",
    b"PK\x05\x06": ".zip",
    b"\x1f\x8b": ".gz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    **{MAGIC + bytes([version]): DBN for version in range(1, 10)},
}
"""Of RFC 1952, RFC 8878, APPNOTE.TXT 4.3, Parquet, Arrow's IPC files and Databento's, which have their version behind it."""
_MAGIC_BYTES: Final = max(map(len, _MAGIC))
TABLES: Final = (".parquet", ".feather")
"""What has columns with types of their own."""
SUFFIXES: Final = (
    ".csv",
    ".txt",
    ".tsv",
    ".gz",
    ".zst",
    ".dbn",
    ".zip",
    ".parquet",
    ".pq",
    ".feather",
    ".arrow",
    ".ipc",
)
"""Which files of a folder are meant."""
_NAMED: Final = {".pq": ".parquet", ".arrow": ".feather", ".ipc": ".feather"}


def packing_of(file: Path) -> str:
    """What the file is by its first bytes, whatever its name; a name that promises one is believed, so that the error says so."""
    with file.open("rb") as opening:
        found = _by_magic(opening.read(_MAGIC_BYTES))
    if found == ".zst" and _by_magic(_start_within(file)) == DBN:
        return DBN
    suffix = file.suffix.lower()
    return found or _NAMED.get(suffix, suffix)


def _by_magic(start: bytes) -> str | None:
    return next((packing for magic, packing in _MAGIC.items() if start.startswith(magic)), None)


def _start_within(file: Path) -> bytes:
    """The first bytes of what was packed; none where it cannot be unpacked, which is said when it is read."""
    try:
        with _unpacked(file, "zstd") as raw:
            return bytes(raw.read(_MAGIC_BYTES))
    except OSError:
        return b""


@contextmanager
def _unpacked(file: Path, kind: str) -> Iterator[Any]:
    with pa.OSFile(str(file)) as raw, pa.CompressedInputStream(raw, kind) as stream:
        yield stream


@contextmanager
def dbn_bytes(file: Path) -> Iterator[Any]:
    """The bytes of a file of Databento, unpacked."""
    with file.open("rb") as opening:
        is_packed = _by_magic(opening.read(_MAGIC_BYTES)) == ".zst"
    with _unpacked(file, "zstd") if is_packed else file.open("rb") as raw:
        yield raw


@contextmanager
def text_bytes(file: Path, packing: str) -> Iterator[Any]:
    """The bytes of a text file, unpacked. Raises ImportRefusedError for an archive of several files, and what reading raises."""
    with ExitStack() as open_files:
        if packing in (".gz", ".zst"):
            yield open_files.enter_context(_unpacked(file, "gzip" if packing == ".gz" else "zstd"))
        elif packing == DBN:
            raw = open_files.enter_context(dbn_bytes(file))
            yield open_files.enter_context(csv_bytes(raw, file))
        elif packing == ".zip":
            archive = open_files.enter_context(zipfile.ZipFile(file))
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if len(names) != 1:
                raise ImportRefusedError(f"holds {len(names)} files, not one: unpack it", file)
            yield open_files.enter_context(_member(archive, names[0], file))
        else:
            yield open_files.enter_context(file.open("rb"))


def _member(archive: zipfile.ZipFile, name: str, file: Path) -> IO[bytes]:
    try:
        return archive.open(name)
    except RuntimeError as error:
        # It has a password, or was packed by a method that Python does not know.
        raise ImportRefusedError(f"cannot be unpacked here: {error}; unpack it", file) from error
