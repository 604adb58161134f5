"""Reads the columns of a data set as they are stored, part by part, of whatever kind. NautilusTrader is not imported for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flotilla.engine_sidecar.catalog.entries import catalog_view, entry_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.catalog import FOREVER, CatalogEntry, data_folder_name, file_interval, folder_name
from flotilla.schemas.data import WhichData

_BATCH_ROWS: Final = 65_536
_RAW_BYTES: Final = 16
_NUMBER: Final = pa.decimal128(38, 16)
"""NautilusTrader's raw numbers are the unscaled values of these."""


class StoredSet(NamedTuple):
    """A data set and its files with their first and last times (UNIX ns), in time order."""

    entry: CatalogEntry
    files: dict[Path, tuple[int, int]]

    @property
    def names(self) -> list[str]:
        """Its columns."""
        return list(self.schema.names)

    @property
    def schema(self) -> Any:
        """The schema of its first file."""
        return pq.read_schema(next(iter(self.files)))

    def precision(self, name: str) -> int | None:
        """A precision that the first file tells of itself."""
        text = (self.schema.metadata or {}).get(name.encode())
        return int(text) if text is not None else None


class Batch(NamedTuple):
    """Rows in time order, and when each became known (UNIX ns)."""

    times: Any
    table: Any


def stored_set(catalog: Path, which: WhichData) -> StoredSet:
    """The data set meant. Raises ImportRefusedError where there is none, or more than one."""
    entry = entry_of(catalog_view(catalog), which.identifier, which.type)
    folder = catalog / "data" / data_folder_name(entry.data_type) / folder_name(entry.identifier)
    found = {file: span for file in folder.glob("*.parquet") if (span := file_interval(file.name))}
    if not found:
        raise ImportRefusedError(f"the files of {entry.identifier} cannot be found")
    return StoredSet(entry, dict(sorted(found.items(), key=lambda one: one[1])))


def batches(stored: StoredSet, columns: list[str], first: int = 0, last: int = FOREVER) -> Iterator[Batch]:
    """The rows from `first` to `last` (both included), a bounded number at a time. Raises ImportRefusedError, OSError, pa.ArrowInvalid."""
    wanted = ["ts_init", *(name for name in columns if name != "ts_init")]
    for file, span in stored.files.items():
        if span[0] > last or span[1] < first:
            continue
        with pq.ParquetFile(file) as parquet:
            if missing := [name for name in wanted if name not in parquet.schema_arrow.names]:
                raise ImportRefusedError(
                    f"{file.name} of {stored.entry.identifier} has no column {', '.join(missing)}"
                )
            for part in parquet.iter_batches(
                _BATCH_ROWS, row_groups=_groups(parquet, first, last), columns=wanted, use_threads=False
            ):
                yield from _within(pa.Table.from_batches([part]), first, last)


def _groups(parquet: Any, first: int, last: int) -> list[int]:
    """The row groups that may have rows of this time."""
    column = parquet.schema_arrow.names.index("ts_init")
    found = []
    for index in range(parquet.num_row_groups):
        stamps = parquet.metadata.row_group(index).column(column).statistics
        is_outside = stamps is not None and stamps.has_min_max and (stamps.min > last or stamps.max < first)
        if not is_outside:
            found.append(index)
    return found


def _within(table: Any, first: int, last: int) -> Iterator[Batch]:
    times = table["ts_init"].to_numpy().astype(np.int64)
    is_wanted = (times >= first) & (times <= last)
    if not is_wanted.all():
        times, table = times[is_wanted], table.filter(pa.array(is_wanted))
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        times, table = times[order], table.take(pa.array(order))
    if len(times):
        yield Batch(times, table)


def is_raw(kind: Any) -> bool:
    """True for a column of NautilusTrader's raw numbers."""
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == _RAW_BYTES)


def decimals(column: Any) -> Any:
    """A column of raw numbers as decimals. Raises ImportRefusedError for one of another width."""
    whole = column.combine_chunks()
    if not is_raw(whole.type):
        raise ImportRefusedError(f"its numbers are stored as {whole.type}, which cannot be read here")
    return pa.Decimal128Array.from_buffers(
        _NUMBER, len(whole), [None, whole.buffers()[1]], offset=whole.offset
    )


def numbers(column: Any) -> Any:
    """The same as 64-bit floats, for pictures: good to 15 digits."""
    made = decimals(column)
    words = np.frombuffer(made.buffers()[1], "<u8")
    own = words[2 * made.offset : 2 * (made.offset + len(made))]
    low, high = own[0::2].astype(np.float64), own[1::2].view("<i8").astype(np.float64)
    return (high * 2.0**64 + low) / 1e16
