"""Reads the files once, checks every row, and learns what must be known before the first is written."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from flotilla.engine_sidecar.catalog.columns import Layout
from flotilla.engine_sidecar.catalog.plain import plain_tables
from flotilla.engine_sidecar.catalog.plain_times import NotPlainError
from flotilla.engine_sidecar.catalog.plausible import FIXED_LEAST, FIXED_ZEROS
from flotilla.engine_sidecar.catalog.reading import DataType, Reading
from flotilla.engine_sidecar.catalog.records import records
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.rows import Sheet, layout_of, opened, readable
from flotilla.engine_sidecar.catalog.tables import (
    batches_of,
    chunks,
    columns_of,
    decimals,
    in_order,
    of_records,
    one_bar_at_a_time,
    without_repetitions,
)

CHUNK_ROWS: Final = 100_000
_KEPT_BYTES: Final = 128 << 20
"""So much of what was read to be checked is kept until it is written, of all files together; what is larger is read again."""
_ALL_FIXED: Final = (
    "all prices are large round numbers, such as fixed-point ones are: give --fixed-decimals 9 where 186030000000 "
    "means 186.03, or --fixed-decimals 0 where they mean what they say"
)

type Progress = Callable[[str, Path, int], None]


class Surveyed(msgspec.Struct, frozen=True, kw_only=True):
    """One file: how it is parted and laid out, its first and last time (UNIX ns), and the most decimals seen.

    `is_plain`: a column is read at a time. `tables`: its rows, where they are few enough to be kept.
    """

    file: Path
    sheet: Sheet
    layout: Layout
    is_plain: bool
    rows: int
    first: int
    last: int
    price_precision: int
    size_precision: int
    tables: tuple[pa.Table, ...] | None = None


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """The files in time order."""

    files: tuple[Surveyed, ...]

    @property
    def first(self) -> int:
        """The first time of any row (UNIX ns)."""
        return min(one.first for one in self.files)

    @property
    def last(self) -> int:
        """The last time of any row (UNIX ns)."""
        return max(one.last for one in self.files)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Of the files."""
        return tuple(one.layout for one in self.files)

    @property
    def price_precision(self) -> int:
        """The most decimals of any price."""
        return max(one.price_precision for one in self.files)

    @property
    def size_precision(self) -> int:
        """The most decimals of any size."""
        return max(one.size_precision for one in self.files)


def survey(files: Sequence[Path], how: Reading, progress: Progress) -> Survey:
    """Raises ImportRefusedError for the first unsound row, and when two files overlap in time that are not to be sorted."""
    most = _KEPT_BYTES // max(len(files), 1)
    found = sorted((survey_file(file, how, progress, most) for file in files), key=lambda one: one.first)
    for earlier, later in pairwise(found):
        if later.first <= earlier.last and not how.sort:
            raise ImportRefusedError(
                f"begins before {earlier.file} ends: give --sort, and --dedupe where they have rows in common",
                later.file,
            )
    return Survey(files=tuple(found))


def tables_of(found: Survey, how: Reading, progress: Progress) -> Iterator[pa.Table]:
    """The rows of all files as they are to be written: in time order, in tables of a file each. Raises ImportRefusedError."""
    tables: Iterable[pa.Table] = (table for one in found.files for table in _read(one, how, progress))
    if how.sort:
        tables = [in_order(tables)]
    if how.dedupe:
        tables = without_repetitions(tables)
    if how.data_type is DataType.BARS:
        tables = one_bar_at_a_time(tables, how.step_ns)
    return chunks(tables, CHUNK_ROWS)


def _read(one: Surveyed, how: Reading, progress: Progress) -> Iterator[pa.Table]:
    rows = 0
    tables: Iterable[pa.Table] = one.tables or _file_tables(
        one.file, one.sheet, one.layout, how, is_plain=one.is_plain
    )
    for table in _in_order(tables, one.layout):
        rows += table.num_rows
        progress("written", one.file, rows)
        yield table
    if rows != one.rows:
        raise ImportRefusedError("was changed while it was read", one.file)


def _in_order(tables: Iterable[pa.Table], where: Layout) -> Iterable[pa.Table]:
    return [in_order(tables)] if where.is_newest_first else tables


def survey_file(file: Path, how: Reading, progress: Progress, kept_bytes: int = 0) -> Surveyed:
    """What has to be known of one file, with its rows where they take no more than that. Raises ImportRefusedError for its first unsound row."""
    with opened(file, how) as (sheet, _):
        try:
            where = layout_of(sheet, how)
        except ImportRefusedError as error:
            raise ImportRefusedError(str(error), file) from None
    try:
        return _surveyed(file, sheet, where, how, progress, kept_bytes=kept_bytes, is_plain=True)
    except NotPlainError:
        return _surveyed(file, sheet, where, how, progress, kept_bytes=kept_bytes, is_plain=False)


def _file_tables(
    file: Path, sheet: Sheet, where: Layout, how: Reading, *, is_plain: bool
) -> Iterator[pa.Table]:
    if is_plain:
        with readable(file):
            yield from plain_tables(file, sheet, where, how)
    else:
        for batch in batches_of(records(file, how)):
            yield of_records(batch, how.data_type, file)


def _surveyed(
    file: Path,
    sheet: Sheet,
    where: Layout,
    how: Reading,
    progress: Progress,
    *,
    kept_bytes: int,
    is_plain: bool,
) -> Surveyed:
    rows = price = size = 0
    first, last = 1 << 63, 0
    is_fixed = how.fixed_decimals is None
    kept: list[pa.Table] = []
    prices, sizes = (columns_of(how.data_type, is_price=one) for one in (True, False))
    for table in _file_tables(file, sheet, where, how, is_plain=is_plain):
        price = max(decimals(table[name], price) for name in prices)
        size = max(decimals(table[name], size) for name in sizes)
        is_fixed = is_fixed and all(_are_fixed(table[name]) for name in prices)
        rows += table.num_rows
        least, most = pc.min_max(table["ts"]).as_py().values()
        first, last = min(first, least), max(last, most)
        kept_bytes -= table.nbytes
        kept = [*kept, table] if kept_bytes >= 0 else []
        progress("checked", file, rows)
    if not rows:
        raise NotPlainError("no rows") if is_plain else ImportRefusedError("holds no rows", file)
    if is_fixed:
        raise ImportRefusedError(_ALL_FIXED, file)
    return Surveyed(
        file=file,
        sheet=sheet,
        layout=where,
        is_plain=is_plain,
        rows=rows,
        first=first,
        last=last,
        price_precision=price,
        size_precision=size,
        tables=tuple(kept) or None,
    )


def _are_fixed(column: Any) -> bool:
    """Whether all prices of a column are as `looks_fixed_point` has it."""
    if pc.min(column).as_py() < FIXED_LEAST:
        return False
    return bool(pc.all(pc.equal(pc.round(column, -FIXED_ZEROS), column)).as_py())
