"""Reads the rows of a user's text file (plain or packed), Parquet or Feather file as text, one at a time, each with its line."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flotilla.engine_sidecar.catalog.columns import NUMBERS, Layout, layout, normal
from flotilla.engine_sidecar.catalog.databento import check_schema
from flotilla.engine_sidecar.catalog.nautilus_columns import with_numbers
from flotilla.engine_sidecar.catalog.packing import DBN, TABLES, dbn_bytes, packing_of, text_bytes
from flotilla.engine_sidecar.catalog.reading import Reading
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.vendors import (
    Vendor,
    is_preamble,
    of_first_row,
    of_header,
    with_time_of,
)

type Row = tuple[int, Sequence[str]]

_BATCH_ROWS: Final = 20_000
_LONGEST_LINE: Final = 1 << 20
_TEXT_PROBLEMS: Final = (UnicodeDecodeError, csv.Error, zipfile.BadZipFile, zlib.error, EOFError)


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """How a file's text is parted: its columns, by which mark, and how many lines stand before the first row.

    `vendor` is whose file it is, where its first row or header tells.
    """

    packing: str
    header: tuple[str, ...]
    delimiter: str = ","
    lines_before: int = 0
    vendor: Vendor | None = None


def layout_of(sheet: Sheet, how: Reading) -> Layout:
    """The layout of a file, read as asked; raises ImportRefusedError where the two contradict each other."""
    where = layout(how.data_type, sheet.header, sheet.vendor, has_default_size=how.default_size is not None)
    if how.prices == "adjusted" and "adjusted_close" not in where.positions:
        raise ImportRefusedError("there is no adjusted close: leave out --prices adjusted")
    if how.symbol is not None and "symbol" not in where.positions:
        raise ImportRefusedError(f"there is no column of symbols: leave out --symbol {how.symbol}")
    if how.fixed_decimals is None:
        return where
    return msgspec.structs.replace(where, fixed_decimals=how.fixed_decimals)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Says in words why a file cannot be read. Raises ImportRefusedError."""
    try:
        yield
    except UnicodeDecodeError as error:
        # Where the byte stands in the file it does not say, only where in the piece that was decoded.
        raise ImportRefusedError("is no readable CSV: it is not all UTF-8", file) from error
    except _TEXT_PROBLEMS as error:
        raise ImportRefusedError(f"is no readable CSV: {error}", file) from error
    except pa.ArrowInvalid as error:
        raise ImportRefusedError(f"is no readable Parquet file: {error}", file) from error
    except OSError as error:
        # Of unpacking there is no error number, only Arrow's words.
        what = "cannot be read" if error.errno is not None else "is no readable CSV"
        raise ImportRefusedError(f"{what}: {error.strerror or error}", file) from error


@contextmanager
def opened(file: Path, how: Reading) -> Iterator[tuple[Sheet, Iterator[Row]]]:
    """The sheet and the rows of `file`; raises ImportRefusedError when it cannot be read or holds no row."""
    with readable(file):
        packing = packing_of(file)
        if packing == DBN:
            with dbn_bytes(file) as raw:
                check_schema(raw, file, how.data_type)
        if packing in TABLES:
            with table_batches(file, packing, how) as (sheet, batches):
                yield sheet, _table_rows(batches)
        else:
            with text_bytes(file, packing) as raw:
                text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
                sheet, rows = _text_sheet(file, packing, _lines(text, file), how)
                yield sheet, rows


@contextmanager
def table_batches(
    file: Path, packing: str, how: Reading, positions: Sequence[int] | None = None
) -> Iterator[tuple[Sheet, Iterator[pa.RecordBatch]]]:
    """The sheet and the batches of a Parquet or Feather file; of them only the columns at `positions`. Raises as pyarrow does."""
    if packing == ".parquet":
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            chosen = None if positions is None else [names[position] for position in positions]
            batches = table.iter_batches(batch_size=_BATCH_ROWS, columns=chosen, use_threads=False)
            if b"price_precision" in (table.schema_arrow.metadata or {}):
                batches = map(with_numbers, batches)
            yield _table_sheet(file, packing, names, how), batches
    else:
        with pa.OSFile(str(file)) as raw, pa.ipc.open_file(raw) as frames:
            whole = (frames.get_batch(number) for number in range(frames.num_record_batches))
            batches = whole if positions is None else (batch.select(list(positions)) for batch in whole)
            yield _table_sheet(file, packing, frames.schema.names, how), batches


def _table_sheet(file: Path, packing: str, names: Sequence[str], how: Reading) -> Sheet:
    if how.columns and len(how.columns) != len(names):
        raise ImportRefusedError(f"has {len(names)} columns instead of {len(how.columns)}", file)
    header = tuple(how.columns or names)
    return Sheet(packing=packing, header=header, vendor=of_header(how.data_type, normal(header)))


def _lines(text: io.TextIOWrapper, file: Path) -> Iterator[str]:
    """The lines of a text. Raises ImportRefusedError for one that no table has: a hole of a gigabyte would be read whole."""
    for number, line in enumerate(iter(lambda: text.readline(_LONGEST_LINE), ""), start=1):
        if len(line) == _LONGEST_LINE:
            raise ImportRefusedError(
                f"is longer than {_LONGEST_LINE:,} characters: this is no table", file, number
            )
        yield line


def _text_sheet(file: Path, packing: str, lines: Iterator[str], how: Reading) -> tuple[Sheet, Iterator[Row]]:
    skipped = sum(1 for _ in islice(lines, how.skip))
    first = next(lines, None)
    if first is not None and is_preamble(first.strip()):
        skipped, first = skipped + 1, next(lines, None)
    if first is None:
        raise ImportRefusedError("the file is empty", file)
    mark = how.delimiter or _delimiter(first)
    reader = csv.reader(chain([first], lines), delimiter=mark)
    top = next(reader)
    vendor = of_first_row(how.data_type, top)
    has_header = not (how.columns or how.no_header or vendor)
    header = top if has_header else _columns(top, vendor, how)
    if has_header:
        before = skipped + reader.line_num
        second = next(reader, None)
        vendor = of_header(how.data_type, normal(header))
        rows = chain([second] if second is not None else [], reader)
        vendor = with_time_of(vendor, second[0]) if vendor and second else vendor
    else:
        before, rows = skipped, chain([top], reader)
    sheet = Sheet(
        packing=packing,
        header=tuple(header),
        delimiter=mark,
        lines_before=before,
        vendor=None if how.columns else vendor,
    )
    return sheet, _text_rows(file, rows, reader, skipped, len(header))


def _columns(top: Sequence[str], vendor: Vendor | None, how: Reading) -> Sequence[str]:
    """The names of a file's columns that has none."""
    if how.columns:
        return how.columns
    if vendor:
        return vendor.columns
    names = ("timestamp", *NUMBERS[how.data_type])
    if len(top) != len(names):
        raise ImportRefusedError(
            f"line {how.skip + 1} has {len(top)} columns, and nothing tells what they are: name them in their order, "
            f"such as --columns {','.join(names)}"
        )
    return names


def _delimiter(line: str) -> str:
    """Whichever parts the first line most often; a semicolon before a comma, which may be a decimal one."""
    return max(";\t,", key=line.count) if any(mark in line for mark in ";\t") else ","


def _text_rows(file: Path, rows: Iterator[list[str]], reader: Any, skipped: int, width: int) -> Iterator[Row]:
    for row in rows:
        if not row:
            continue  # a blank line, such as many programs leave at the end
        line = skipped + reader.line_num
        if len(row) != width:
            raise ImportRefusedError(f"has {len(row)} fields instead of {width}", file, line)
        yield line, row


def _table_rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
    line = 0
    for batch in batches:
        for row in zip(*(_texts(column) for column in batch.columns), strict=True):
            line += 1
            yield line, row


def _texts(column: pa.Array) -> list[str]:
    """A column's values as their shortest text: numpy writes a float32 as 0.1, Python as 0.10000000149011612."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        zone = "Z" if column.type.tz else ""
        return [f"{value}{zone}" for value in column.to_numpy(zero_copy_only=False)]
    if pa.types.is_floating(column.type):
        return [str(value) for value in column.to_numpy(zero_copy_only=False)]
    return ["" if value is None else str(value) for value in column.to_pylist()]
