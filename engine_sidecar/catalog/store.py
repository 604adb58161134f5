"""Puts imported data into a catalog: staged beside it first, compared with what is there, then moved in by one step."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.commit import STAGING, commit, keep, recover
from flotilla.engine_sidecar.catalog.entries import refuse_attached
from flotilla.engine_sidecar.catalog.events import Form, table_of
from flotilla.engine_sidecar.catalog.overlap import Overlap
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError, InUseError
from flotilla.engine_sidecar.replay.kinds import FOLDERS, KINDS
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.catalog import file_interval, folder_name


@contextmanager
def locked(catalog: Path, *, waits: bool = False) -> Iterator[None]:
    """Makes the folder if need be and keeps other changes out; what one that was killed had begun is undone.

    Raises InUseError while somebody else changes the catalog, unless it `waits`.
    """
    catalog.mkdir(parents=True, exist_ok=True)
    with (catalog / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUseError("another change of the catalog is under way") from None
        recover(catalog)
        try:
            yield
        finally:
            recover(catalog)


def data_folder(data_type: str, identifier: str) -> Path:
    """Where a data set lies in a catalog; `data_type` is a DataKind's."""
    return Path("data") / FOLDERS[KINDS[DataKind(data_type)]] / folder_name(identifier)


def spans_of(folder: Path) -> dict[Path, tuple[int, int]]:
    """The files of a data set with their first and last times (UNIX ns), in time order."""
    found = {file: span for file in folder.glob("*.parquet") if (span := file_interval(file.name))}
    return dict(sorted(found.items(), key=lambda one: one[1]))


class Target:
    """The folder of one data set in a catalog, and the staging folder that its new files go through.

    With `is_replacing` new rows take the place of those that the catalog has at the same moments.
    """

    def __init__(self, catalog: Path, identifier: str, form: Form, *, is_replacing: bool = False) -> None:
        self._catalog, self._identifier, self._form = catalog, identifier, form
        self._folder = data_folder(form.data_type, identifier)
        refuse_attached(catalog, self._folder, identifier)
        self._staging = catalog / STAGING
        self._new = self._staging / "new"
        self._new.mkdir(parents=True)
        self._spans = spans_of(catalog / self._folder)
        self._overlap = Overlap(self._spans.values(), form.kind.to_dict)
        self._is_replacing = is_replacing
        self._first: int | None = None
        self._staged_to = -1
        self.new_rows = 0
        self.replaced_rows = 0

    def stage(self, table: pa.Table) -> None:
        """Writes those of the next rows beside the catalog that it does not have; `check` tells of others."""
        last = table["ts"][-1].as_py()
        first = table["ts"][0].as_py() if self._first is None else self._staged_to + 1
        self._first = first if self._first is None else self._first
        self._staged_to = last
        if not self._overlap.touches(first, last):
            self._write(table, table.num_rows)
            return
        there = self._there(first, last)
        if self._is_replacing:
            self._merge(table, there)
        elif not there.equals(table):
            pieces = self._overlap.new(self._form.events(table), self._form.events(there))
            for piece in pieces:
                self._write(self._form.of_events(piece), len(piece))

    def _write(self, table: pa.Table, new_rows: int) -> None:
        self._form.write(table, self._new)
        self.new_rows += new_rows

    def _there(self, first: int, last: int) -> pa.Table:
        """What the catalog has of this time. Raises ImportRefusedError when that is not in order."""
        tables = [
            table_of(pq.read_table(file), self._form.data_type)
            for file, span in self._spans.items()
            if span[0] <= last and first <= span[1]
        ]
        whole = pa.concat_tables(tables).combine_chunks()
        times = whole["ts"].to_numpy()
        if (times[1:] < times[:-1]).any():
            raise ImportRefusedError(
                f"the catalog's own data of {self._identifier} is not sound: it is not in time order"
            )
        start, end = (
            int(times.searchsorted(times.dtype.type(at), side))
            for at, side in ((first, "left"), (last, "right"))
        )
        return whole.slice(start, end - start)

    def _merge(self, table: pa.Table, there: pa.Table) -> None:
        """Writes the new rows, and of those that are there the ones of other moments."""
        times = table["ts"].combine_chunks()
        is_at_same = pc.is_in(there["ts"].combine_chunks(), times)
        same = there.filter(is_at_same)
        rows = table.filter(pc.is_in(times, same["ts"].combine_chunks()))
        self.replaced_rows += _different(rows, same)
        left = there.filter(pc.invert(is_at_same))
        merged = pa.concat_tables([left, table])
        merged = merged.take(pc.array_sort_indices(merged["ts"].combine_chunks())).combine_chunks()
        self._write(merged, table.num_rows - rows.num_rows)

    def check(self) -> None:
        """After the last row. Raises ImportRefusedError when some were there already, and not the same."""
        try:
            self._overlap.check(self._identifier)
        except ImportRefusedError as error:
            raise ImportRefusedError(f"{error}: give --replace to take what the files have") from None

    @property
    def has_changes(self) -> bool:
        """Whether the catalog is to be changed."""
        return bool(self.new_rows or self.replaced_rows)

    def move_in(self, instrument: Instrument | None) -> None:
        """Puts all that was staged into the catalog, with the instrument if it has none. Raises OSError."""
        for file, span in self._spans.items():
            if not self._is_replacing or span[1] < self._first_ns or span[0] > self._staged_to:
                keep(file, self._new)
            else:
                self._keep_ends(file)
        commit(self._catalog, self._folder, self._new, self._definition(instrument) if instrument else ())

    @property
    def _first_ns(self) -> int:
        return self._first or 0

    def _keep_ends(self, file: Path) -> None:
        """What a file has before and after the time that was merged."""
        table = table_of(pq.read_table(file), self._form.data_type)
        for is_kept in (pc.less(table["ts"], self._first_ns), pc.greater(table["ts"], self._staged_to)):
            if (end := table.filter(is_kept)).num_rows:
                self._form.write(end, self._new)

    def _definition(self, instrument: Instrument) -> list[tuple[Path, Path]]:
        staged = self._staging / "instrument"
        ParquetDataCatalog(str(staged)).write_data([instrument])
        return [(file, self._catalog / file.relative_to(staged)) for file in staged.rglob("*.parquet")]


def _different(rows: pa.Table, there: pa.Table) -> int:
    """How many of the rows are not as they are there."""
    if rows.num_rows != there.num_rows:
        return int(there.num_rows)
    found: Any = pa.array([False] * rows.num_rows, pa.bool_())
    for name in rows.column_names:
        found = pc.or_(found, pc.not_equal(rows[name].combine_chunks(), there[name].combine_chunks()))
    return int(pc.sum(found).as_py() or 0)
