"""Reads a catalog's files in time order, a row group at a time.

pyarrow reads them, not NautilusTrader's query session: that one refuses symbols with a `=`, sorts a whole file in memory,
and may reorder events of one timestamp, so that a replay would not be the same twice.
"""

import importlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.core.data import Data
from nautilus_trader.serialization.arrow.serializer import list_schemas

from flotilla.engine_sidecar.replay.kinds import events_of, folder_of
from flotilla.schemas.catalog import FOREVER, file_interval, folder_name

BATCH_ROWS: Final = 5_000


class WrongDataError(ValueError):
    """The catalog's data cannot be run: out of order, or not there."""


def class_of(path: str) -> type[Any]:
    """A class of data of somebody's own, by `module:Class`. Raises WrongDataError for what is none, or none that NautilusTrader can store."""
    module, _, name = path.partition(":")
    kind = getattr(importlib.import_module(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, Data)):
        raise WrongDataError(f"{path} is no class of data")
    if kind not in list_schemas():
        raise WrongDataError(f"{path} has no Arrow schema: @customdataclass gives one, or register_arrow")
    return kind


class DataSet(msgspec.Struct, frozen=True):
    """All bars of one type, or all events of another kind of one instrument: `kind` is one of KINDS, or a class of somebody's own.

    Events of the latter may be of no instrument: then `identifier` is empty.
    """

    kind: type
    identifier: str

    @property
    def label(self) -> str:
        """As people are told of it."""
        return f"{self.kind.__name__} of {self.identifier}" if self.identifier else self.kind.__name__

    @property
    def rank(self) -> tuple[str, str]:
        """Orders events of the same time: by kind, then by identifier."""
        return folder_of(self.kind), self.identifier


def files_of(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> list[Path]:
    """The files that may hold events from `first` to `last` (ns, inclusive), in time order."""
    folder = catalog / "data" / folder_of(data_set.kind) / folder_name(data_set.identifier)
    found = [(interval, file) for file in folder.glob("*.parquet") if (interval := file_interval(file.name))]
    return [file for interval, file in sorted(found) if interval[0] <= last and first <= interval[1]]


def read(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> Iterator[Any]:
    """The events of `batches`, one by one."""
    return chain.from_iterable(batches(catalog, data_set, first, last))


def batches(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> Iterator[list[Any]]:
    """The events from `first` to `last` in time order, as they are read. Raises WrongDataError when the files are not in order, or hold what is no event."""
    before = 0
    for file in files_of(catalog, data_set, first, last):
        for table in _tables(file):
            times = table["ts_init"].to_numpy()
            if times[0] < before or (times[1:] < times[:-1]).any():
                raise WrongDataError(f"{file.relative_to(catalog)} is not in time order")
            before = times[-1]
            # Of the column's own type: compared with another one, moments would be rounded.
            start = times.searchsorted(times.dtype.type(first))
            end = times.searchsorted(times.dtype.type(last), side="right")
            if start < end:
                yield _events(data_set.kind, table.slice(start, end - start), file.relative_to(catalog))


def read_file(kind: type[Any], file: Path) -> Iterator[Any]:
    """All events of one file, as they stand there. Raises WrongDataError for what is no event."""
    for table in _tables(file):
        yield from _events(kind, table, file)


def _tables(file: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            yield pa.Table.from_batches([batch])


def _events(kind: type[Any], table: pa.Table, file: Path) -> list[Any]:
    try:
        return events_of(kind, table)
    except ValueError as error:
        raise WrongDataError(f"{file}: {error}") from error


def count(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> int:
    """How many events `read` will give."""
    return sum(extent.events for extent in extents(catalog, data_set, first, last))


class Extent(NamedTuple):
    """How many events there are, and the moments (UNIX ns) of the first and the last."""

    events: int
    first: int
    last: int


def extents(catalog: Path, data_set: DataSet, first: int = 0, last: int = FOREVER) -> Iterator[Extent]:
    """Of each row group that has events from `first` to `last`; only groups that the range cuts are read for it."""
    for file in files_of(catalog, data_set, first, last):
        with pq.ParquetFile(file) as parquet:
            column = parquet.schema_arrow.names.index("ts_init")
            for index in range(parquet.num_row_groups):
                group = parquet.metadata.row_group(index)
                stamps = group.column(column).statistics
                if stamps is not None and stamps.has_min_max and first <= stamps.min and stamps.max <= last:
                    yield Extent(group.num_rows, stamps.min, stamps.max)
                else:
                    table = parquet.read_row_group(index, columns=["ts_init"], use_threads=False)
                    times = table["ts_init"].to_numpy()
                    times = times[(times >= first) & (times <= last)]
                    if len(times):
                        yield Extent(len(times), int(times.min()), int(times.max()))
