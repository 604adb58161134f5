"""Reads the rows of a user's CSV (plain, gzip, or alone in a zip) or Parquet file as text, one at a time, each with its line."""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

type Row = tuple[int, Sequence[str]]

_BATCH_ROWS: Final = 20_000
_MAGIC: Final = {
    b"PK\x03\x04": ".zip",
    b"PK\x05\x06": ".zip",
    b"\x1f\x8b": ".gz",
    b"PAR1\x15": ".parquet",
}
"""Of RFC 1952, APPNOTE.TXT 4.3, and Parquet, whose first page header begins with a Thrift field of type i32."""
_TEXT_PROBLEMS: Final = (
    UnicodeDecodeError,
    csv.Error,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
)


@contextmanager
def opened(file: Path, columns: Sequence[str] = ()) -> Iterator[tuple[Sequence[str], Iterator[Row]]]:
    """The header and the rows of `file`; raises ImportRefusedError when it cannot be read or holds no row.

    `columns` names the columns, of a text file that has no header or of a Parquet file that calls them otherwise.
    """
    try:
        packing = _packing(file)
        if packing == ".parquet":
            with pq.ParquetFile(file) as table:
                names = table.schema_arrow.names
                if columns and len(columns) != len(names):
                    raise ImportRefusedError(f"has {len(names)} columns instead of {len(columns)}", file)
                yield columns or names, _parquet_rows(table)
        else:
            with _text(file, packing) as lines:
                first = next(lines, None)
                if first is None:
                    raise ImportRefusedError("the file is empty", file)
                reader = csv.reader(chain([first], lines), delimiter=_delimiter(first))
                header = columns or next(reader)
                yield header, _csv_rows(file, reader, len(header))
    except UnicodeDecodeError as error:
        # Where the byte stands in the file it does not say, only where in the piece that was decoded.
        raise ImportRefusedError("is no readable CSV: it is not all UTF-8", file) from error
    except _TEXT_PROBLEMS as error:
        raise ImportRefusedError(f"is no readable CSV: {error}", file) from error
    except pa.ArrowInvalid as error:
        raise ImportRefusedError(f"is no readable Parquet file: {error}", file) from error
    except OSError as error:
        raise ImportRefusedError(f"cannot be read: {error.strerror or error}", file) from error


def _packing(file: Path) -> str:
    """What the file is by its first bytes, whatever its name; a name that promises one is believed, so that the error says so."""
    with file.open("rb") as opening:
        start = opening.read(max(map(len, _MAGIC)))
    found = (packing for magic, packing in _MAGIC.items() if start.startswith(magic))
    return next(found, file.suffix.lower())


@contextmanager
def _text(file: Path, packing: str) -> Iterator[TextIO]:
    with ExitStack() as open_files:
        if packing == ".gz":
            yield open_files.enter_context(gzip.open(file, "rt", encoding="utf-8-sig", newline=""))
        elif packing == ".zip":
            archive = open_files.enter_context(zipfile.ZipFile(file))
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if len(names) != 1:
                raise ImportRefusedError(f"holds {len(names)} files, not one: unpack it", file)
            member = open_files.enter_context(_member(archive, names[0], file))
            yield open_files.enter_context(io.TextIOWrapper(member, encoding="utf-8-sig", newline=""))
        else:
            yield open_files.enter_context(file.open(encoding="utf-8-sig", newline=""))


def _member(archive: zipfile.ZipFile, name: str, file: Path) -> IO[bytes]:
    try:
        return archive.open(name)
    except RuntimeError as error:
        # It has a password, or was packed by a method that Python does not know.
        raise ImportRefusedError(f"cannot be unpacked here: {error}; unpack it", file) from error


def _delimiter(line: str) -> str:
    """Whichever parts the first line most often; a semicolon before a comma, which may be a decimal one."""
    return max(";\t,", key=line.count) if any(mark in line for mark in ";\t") else ","


def _csv_rows(file: Path, reader: Any, width: int) -> Iterator[Row]:
    for row in reader:
        if not row:
            continue  # a blank line, such as many programs leave at the end
        if len(row) != width:
            raise ImportRefusedError(f"has {len(row)} fields instead of {width}", file, reader.line_num)
        yield reader.line_num, row


def _parquet_rows(table: pq.ParquetFile) -> Iterator[Row]:
    line = 0
    for batch in table.iter_batches(batch_size=_BATCH_ROWS):
        for row in zip(*(_texts(column) for column in batch.columns), strict=True):
            line += 1
            yield line, row


def _texts(column: pa.Array) -> list[str]:
    """A column's values as their shortest text: numpy writes a float32 as 0.1, Python as 0.10000000149011612."""
    if pa.types.is_timestamp(column.type):
        zone = "Z" if column.type.tz else ""
        return [f"{value}{zone}" for value in column.to_numpy(zero_copy_only=False)]
    if pa.types.is_floating(column.type):
        return [str(value) for value in column.to_numpy(zero_copy_only=False)]
    return ["" if value is None else str(value) for value in column.to_pylist()]
