"""Reads the rows of a user's CSV (plain or gzip) or Parquet file as text, one at a time, with the line each came from."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from engine_sidecar.catalog.refusal import ImportRefusedError

type Row = tuple[int, Sequence[str]]

_BATCH_ROWS: Final = 20_000
_TEXT_PROBLEMS: Final = (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError)


@contextmanager
def opened(file: Path) -> Iterator[tuple[Sequence[str], Iterator[Row]]]:
    """The header and the rows of `file`; raises ImportRefusedError when it cannot be read or holds no row."""
    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as table:
                yield table.schema_arrow.names, _parquet_rows(table)
        else:
            with _text(file) as lines:
                reader = csv.reader(lines)
                header = next(reader, None)
                if header is None:
                    raise ImportRefusedError("the file is empty", file)
                yield header, _csv_rows(file, reader, len(header))
    except _TEXT_PROBLEMS as error:
        raise ImportRefusedError(f"is no readable CSV: {error}", file) from error
    except pa.ArrowInvalid as error:
        raise ImportRefusedError(f"is no readable Parquet file: {error}", file) from error
    except OSError as error:
        raise ImportRefusedError(f"cannot be read: {error.strerror or error}", file) from error


def _text(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _csv_rows(file: Path, reader: Any, width: int) -> Iterator[Row]:
    for row in reader:
        if not row:
            continue  # a blank line, such as many programs leave at the end
        if len(row) != width:
            raise ImportRefusedError(f"has {len(row)} fields, the header has {width}", file, reader.line_num)
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
