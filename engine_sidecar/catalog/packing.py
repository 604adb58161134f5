"""Opens people's files whatever they are packed in, as bytes; what they are is told by their first bytes."""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

_MAGIC: Final = {
    b"PK\x03\x04": ".zip",
    b"PK\x05\x06": ".zip",
    b"\x1f\x8b": ".gz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
}
"""Of RFC 1952, RFC 8878, APPNOTE.TXT 4.3, Parquet and Arrow's IPC files."""
TABLES: Final = (".parquet", ".feather")
"""What has columns with types of their own."""
SUFFIXES: Final = (
    ".csv",
    ".txt",
    ".tsv",
    ".gz",
    ".zst",
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
        start = opening.read(max(map(len, _MAGIC)))
    found = (packing for magic, packing in _MAGIC.items() if start.startswith(magic))
    suffix = file.suffix.lower()
    return next(found, _NAMED.get(suffix, suffix))


@contextmanager
def text_bytes(file: Path, packing: str) -> Iterator[Any]:
    """The bytes of a text file, unpacked. Raises ImportRefusedError for an archive of several files, and what reading raises."""
    with ExitStack() as open_files:
        if packing in (".gz", ".zst"):
            kind = "gzip" if packing == ".gz" else "zstd"
            raw = open_files.enter_context(pa.OSFile(str(file)))
            yield open_files.enter_context(pa.CompressedInputStream(raw, kind))
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
