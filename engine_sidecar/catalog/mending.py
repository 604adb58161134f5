"""Changes to what a catalog has: rows are taken out, and many small files become few."""

from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flotilla.engine_sidecar.catalog.commit import STAGING, commit, keep, others, recover, remove_folder
from flotilla.engine_sidecar.catalog.entries import catalog_view, entry_of, refuse_attached
from flotilla.engine_sidecar.catalog.events import GROUP_ROWS
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.store import data_folder, locked, spans_of
from flotilla.engine_sidecar.catalog.survey import CHUNK_ROWS
from flotilla.engine_sidecar.catalog.tables import chunks
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.catalog import FOREVER, CatalogEntry, file_name, folder_name, market_data

_TIME: Final = "ts_init"


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken out of a data set; `is_whole` when nothing of it is left."""

    identifier: str
    data_type: str
    rows: int
    is_whole: bool


class Consolidated(msgspec.Struct, frozen=True, kw_only=True):
    """How many files a data set had, and has now."""

    identifier: str
    data_type: str
    files_before: int
    files: int


def remove(
    catalog: Path,
    identifier: str,
    data_type: DataKind | None = None,
    first: int = 0,
    last: int = FOREVER,
) -> Removed:
    """Takes the rows from `first` to `last` (UNIX ns, both included) out of a data set. Raises ImportRefusedError.

    The definition of its instrument stays.
    """
    if last < first:
        raise ImportRefusedError("--to is before --from")
    with locked(catalog):
        entry = entry_of(catalog_view(catalog), identifier, data_type)
        if entry.is_custom:
            raise ImportRefusedError(
                f"{entry.data_type} of {entry.identifier} is of a class that is not NautilusTrader's: such rows are read here, and not changed"
            )
        kind = DataKind(entry.data_type)
        folder = data_folder(kind, entry.identifier)
        refuse_attached(catalog, folder, entry.identifier)
        spans = spans_of(catalog / folder)
        touched = {file: span for file, span in spans.items() if span[0] <= last and first <= span[1]}
        removed, new = 0, catalog / STAGING / "new"
        new.mkdir(parents=True)
        for file in spans:
            if file in touched:
                removed += _without(file, first, last, new)
            else:
                keep(file, new)
        is_whole = not any(new.iterdir())
        if is_whole and not others(catalog / folder):
            remove_folder(catalog, folder)
        elif removed:
            commit(catalog, folder, new)
    return Removed(identifier=entry.identifier, data_type=kind, rows=removed, is_whole=is_whole)


def _without(file: Path, first: int, last: int, new: Path) -> int:
    """Writes what stays of a file; how many rows do not."""
    table, kept = pq.read_table(file), 0
    for is_kept in (pc.less(table[_TIME], first), pc.greater(table[_TIME], last)):
        if (part := table.filter(is_kept)).num_rows:
            _write(part, new)
            kept += part.num_rows
    return int(table.num_rows) - kept


def _write(table: pa.Table, folder: Path) -> None:
    """As NautilusTrader does: rows of any kind, with what the file says of them. Raises OSError."""
    name = file_name(table[_TIME][0].as_py(), table[_TIME][-1].as_py())
    pq.write_table(table, folder / name, row_group_size=GROUP_ROWS)


def consolidate(catalog: Path, identifier: str | None = None) -> list[Consolidated]:
    """Writes data sets of several files into as few as imports make; all but the attached ones, or those of one identifier."""
    with locked(catalog):
        entries = [one for one in market_data(catalog_view(catalog).entries) if not one.attached]
        if identifier is not None:
            entries = [one for one in entries if folder_name(one.identifier) == folder_name(identifier)]
            if not entries:
                raise ImportRefusedError(f"the catalog has no data of {identifier} of its own")
        return [_consolidated(catalog, entry) for entry in entries if entry.files > 1]


def _consolidated(catalog: Path, entry: CatalogEntry) -> Consolidated:
    kind = DataKind(entry.data_type)
    folder = data_folder(kind, entry.identifier)
    spans, new = spans_of(catalog / folder), catalog / STAGING / "new"
    schema, files = pq.read_schema(next(iter(spans))), 0
    if any(_said(pq.read_schema(file)) != _said(schema) for file in spans):
        raise ImportRefusedError(f"the files of {entry.identifier} differ in their decimals")
    new.mkdir(parents=True)
    tables = (pq.read_table(file).select(schema.names).cast(schema) for file in spans)
    for table in chunks(tables, CHUNK_ROWS, _TIME):
        _write(table, new)
        files += 1
    if files < len(spans):
        commit(catalog, folder, new)
    recover(catalog)  # of what this one left, so that the next has room
    return Consolidated(
        identifier=entry.identifier,
        data_type=kind,
        files_before=len(spans),
        files=min(files, len(spans)),
    )


def _said(schema: pa.Schema) -> dict[bytes, bytes | None]:
    """What a file's rows are of, and their decimals."""
    metadata = schema.metadata or {}
    return {name: metadata.get(name) for name in (b"bar_type", b"price_precision", b"size_precision")}
