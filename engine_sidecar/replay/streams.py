"""Reads a catalog's files in time order, a row group at a time.

pyarrow reads them, not NautilusTrader's query session: that one refuses symbols with a `=`, sorts a whole file in memory,
and may reorder events of one timestamp, so that a replay would not be the same twice.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from schemas.catalog import file_interval, folder_name

BATCH_ROWS: Final = 5_000
FOREVER: Final = (1 << 63) - 1
_FOLDERS: Final[dict[type, str]] = {Bar: "bar", QuoteTick: "quote_tick", TradeTick: "trade_tick"}


class DataSet(msgspec.Struct, frozen=True):
    """All bars of one type, or all quotes or trades of one instrument: `kind` is Bar, QuoteTick or TradeTick."""

    kind: type
    identifier: str

    @property
    def rank(self) -> tuple[str, str]:
        """Orders events of the same time: by kind, then by identifier."""
        return _FOLDERS[self.kind], self.identifier


def files_of(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> list[Path]:
    """The files that may hold events from `first` to `last` (ns, inclusive), in time order."""
    folder = catalog / "data" / _FOLDERS[data_set.kind] / folder_name(data_set.identifier)
    found = [(interval, file) for file in folder.glob("*.parquet") if (interval := file_interval(file.name))]
    return [file for interval, file in sorted(found) if interval[0] <= last and first <= interval[1]]


def read(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> Iterator[Any]:
    """The events from `first` to `last` in time order; raises ValueError for a catalog whose files are not."""
    before = 0
    for file in files_of(catalog, data_set, first, last):
        for event in read_file(data_set.kind, file):
            if event.ts_init < before:
                raise ValueError(f"{file} is not in time order")
            before = event.ts_init
            if before > last:
                return
            if before >= first:
                yield event


def read_file(kind: type[Any], file: Path) -> Iterator[Any]:
    """All events of one file, as they stand there."""
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            table = pa.Table.from_batches([batch])
            yield from kind.from_pyo3_list(ArrowSerializer.deserialize(kind, table))


def count(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> int:
    """How many events `read` will give; only row groups that the range cuts are read for it."""
    return sum(_count_file(file, first, last) for file in files_of(catalog, data_set, first, last))


def _count_file(file: Path, first: int, last: int) -> int:
    rows = 0
    with pq.ParquetFile(file) as parquet:
        column = parquet.schema_arrow.names.index("ts_init")
        for index in range(parquet.num_row_groups):
            group = parquet.metadata.row_group(index)
            stamps = group.column(column).statistics
            if stamps is not None and stamps.has_min_max and first <= stamps.min and stamps.max <= last:
                rows += group.num_rows
            else:
                times = parquet.read_row_group(index, columns=["ts_init"], use_threads=False)[
                    "ts_init"
                ].to_pylist()
                rows += sum(first <= time <= last for time in times)
    return rows
