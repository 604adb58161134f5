"""Imports of order book changes, mark and index prices, and funding rates: a column at a time, whole or not at all.

All rows of an import, and those that the catalog has of the same data set, are held in memory.
"""

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from msgspec import Meta
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument

from flotilla.engine_sidecar.catalog.commit import STAGING, commit
from flotilla.engine_sidecar.catalog.entries import check_name, refuse_attached, remember_name
from flotilla.engine_sidecar.catalog.event_columns import Cells, of_snapshots, schema_of, written
from flotilla.engine_sidecar.catalog.event_layouts import EventLayout, layout_of
from flotilla.engine_sidecar.catalog.events import GROUP_ROWS
from flotilla.engine_sidecar.catalog.importing import Imported
from flotilla.engine_sidecar.catalog.instruments import known_instrument
from flotilla.engine_sidecar.catalog.moments import Clock
from flotilla.engine_sidecar.catalog.packing import DBN, TABLES, packing_of, text_bytes
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.rows import readable
from flotilla.engine_sidecar.catalog.store import data_folder, locked, spans_of
from flotilla.engine_sidecar.catalog.survey import CHUNK_ROWS, Progress
from flotilla.engine_sidecar.catalog.tables import chunks
from flotilla.engine_sidecar.catalog.times import moment_text
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.catalog import file_name
from flotilla.schemas.ids import InstrumentId as InstrumentText

_TIME: Final = "ts_init"
_PRECISION: Final = b"price_precision"
"""Stands in the files of catalogs, of either precision."""
_ATTACH: Final = "attach that, by `flotilla data attach FOLDER`"
_DBN: Final = f"have NautilusTrader load its books into a catalog, and {_ATTACH}"


class EventOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be imported, of an instrument that the catalog knows. Options are those of an ImportOrder."""

    files: Annotated[tuple[Path, ...], Meta(min_length=1)]
    data_type: DataKind
    instrument: InstrumentText
    timezone: str | None = None
    sort: bool = False
    replace: bool = False


class _Read(msgspec.Struct, frozen=True):
    """One file's rows as the catalog has them, and what is to be told of it."""

    file: Path
    table: pa.Table
    layout: EventLayout
    ignored: tuple[str, ...]
    empty: int


def import_events(catalog: Path, order: EventOrder, progress: Progress, *, waits: bool = False) -> Imported:
    """Imports `order.files`; raises ImportRefusedError and leaves the catalog as it was when anything is not sound.

    `waits`: also for somebody else who changes the catalog.
    """
    with locked(catalog, waits=waits):
        check_name(catalog, order.instrument)
        instrument = known_instrument(catalog, InstrumentId.from_str(order.instrument))
        if instrument is None:
            raise ImportRefusedError(
                f"{order.instrument} is not in the catalog: say what it is first, by flotilla instrument add"
            )
        folder = data_folder(order.data_type, order.instrument)
        refuse_attached(catalog, folder, order.instrument)
        read = [_read(file, order, instrument, progress) for file in order.files]
        new = _in_order(read, order)
        there = _there(catalog / folder, order.data_type, instrument)
        whole, replaced = _merged(there, new, order)
        if added := whole.num_rows - there.num_rows or replaced:
            remember_name(catalog, order.instrument)
            _write(catalog, folder, whole)
    return Imported(
        identifier=order.instrument,
        data_type=order.data_type,
        rows=new.num_rows,
        first=new[_TIME][0].as_py(),
        last=new[_TIME][-1].as_py(),
        is_new=bool(added),
        new_rows=new.num_rows - _shared(new, there).num_rows,
        replaced_rows=replaced,
        layouts=tuple(dict.fromkeys(one.layout.vendor for one in read if one.layout.vendor)),
        ignored=tuple(dict.fromkeys(title for one in read for title in one.ignored)),
        notes=tuple(f"{one.file.name}: {one.empty:,} rows say nothing of it" for one in read if one.empty),
    )


def _read(file: Path, order: EventOrder, instrument: Instrument, progress: Progress) -> _Read:
    with readable(file):
        table, lines = _text_table(file)
    try:
        layout = layout_of(order.data_type, table.column_names)
    except ImportRefusedError as error:
        raise ImportRefusedError(str(error), file) from None
    _check_names(table.column_names, file)
    titles = {field: title for field, title in layout.columns.items() if title in table.column_names}
    columns = {field: _cells(table[title], file, title) for field, title in titles.items()}
    if layout.flags:
        columns["flags"] = pa.array([str(layout.flags)] * table.num_rows)
    _check_symbol(table, file)
    cells = Cells(file, columns, titles, lines, _clock(order))
    cells, empty = _without_empty(cells)
    if not len(cells.lines):
        raise ImportRefusedError("has no row", file)
    made = written(order.data_type, of_snapshots(cells) if "is_snapshot" in columns else cells, instrument)
    progress("checked", file, made.num_rows)
    used = {*titles.values(), "exchange", "symbol"}
    return _Read(file, made, layout, tuple(name for name in table.column_names if name not in used), empty)


def _text_table(file: Path) -> tuple[pa.Table, Any]:
    """Every column as it stands in the file, of text files as text; and the lines of its rows. Raises what reading raises."""
    packing = packing_of(file)
    if packing == DBN:
        raise ImportRefusedError(f"is DBN, of which bars, quotes and trades are imported; {_DBN}", file)
    if packing in TABLES:
        table = _typed_table(file, packing)
        if _PRECISION in (table.schema.metadata or {}):
            raise ImportRefusedError(f"is a file of a NautilusTrader catalog: {_ATTACH}", file)
        return table, np.arange(1, 1 + table.num_rows)
    with text_bytes(file, packing) as raw:
        header, _, rows = raw.read().partition(b"\n")
    names = [name.strip().strip('"') for name in header.decode("utf-8-sig").split(",")]
    if not rows.strip():
        raise ImportRefusedError("has no row", file)
    table = _csv_table(file, rows, names)
    return table, _lines(rows, table.num_rows, file)


def _typed_table(file: Path, packing: str) -> pa.Table:
    if packing == ".parquet":
        return pq.read_table(file)
    with pa.OSFile(str(file)) as raw:
        return pa.ipc.open_file(raw).read_all()


def _check_names(names: Sequence[str], file: Path) -> None:
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ImportRefusedError(f"has several columns of one name: {', '.join(map(repr, double[:5]))}", file)


def _lines(rows: bytes, count: int, file: Path) -> Any:
    """In which lines the rows stand that follow the header: blank ones are passed over. Raises ImportRefusedError where that is not clear."""
    if rows.count(b"\n") + (not rows.endswith(b"\n")) == count:
        return np.arange(2, 2 + count)
    found = [at for at, line in enumerate(rows.splitlines(), start=2) if line]
    if len(found) != count:
        raise ImportRefusedError("is no readable CSV: a cell has a line break", file)
    return np.array(found)


def _csv_table(file: Path, rows: bytes, names: list[str]) -> pa.Table:
    try:
        return pa.csv.read_csv(
            pa.BufferReader(rows),
            pa.csv.ReadOptions(column_names=names, use_threads=False),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        raise ImportRefusedError(f"is no readable CSV: {error}", file) from None


def _cells(column: Any, file: Path, title: str) -> Any:
    """A column as text, an empty cell as none; times keep their nanoseconds."""
    kind = column.type
    try:
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64() if kind.tz else pa.string())
        text = pc.fill_null(column.cast(pa.string()), "")
    except pa.ArrowException as error:
        raise ImportRefusedError(f"cannot be read: {error}", file, column=title) from None
    return pc.ascii_trim_whitespace(text).combine_chunks()


def _check_symbol(table: pa.Table, file: Path) -> None:
    if "symbol" in table.column_names:
        found = pc.unique(table["symbol"].cast(pa.string())).to_pylist()
        if len(found) > 1:
            raise ImportRefusedError(f"holds several symbols: {', '.join(map(str, found[:5]))}", file)


def _clock(order: EventOrder) -> Clock:
    try:
        zone = ZoneInfo(order.timezone) if order.timezone else None
    except (ZoneInfoNotFoundError, ValueError):
        raise ImportRefusedError(f"{order.timezone!r} is no time zone of the IANA list") from None
    return Clock(zone=zone, time_format=None, step=None, stamp=None, is_bars=False)


def _without_empty(cells: Cells) -> tuple[Cells, int]:
    """Tickers have a row for each change of anything: those without the price or rate are left out, and counted."""
    field = {"value", "rate"} & cells.columns.keys()
    if not field:
        return cells, 0
    given = cells.where(pc.not_equal(cells.columns[field.pop()], ""))
    return given, len(cells.lines) - len(given.lines)


def _in_order(read: Sequence[_Read], order: EventOrder) -> pa.Table:
    """The rows of all files by time. Raises ImportRefusedError where they are not, unless they are to be sorted."""
    if not order.sort:
        for one in read:
            times = one.table[_TIME].to_numpy().astype("int64")
            if (back := np.flatnonzero(times[1:] < times[:-1])).size:
                at = moment_text(int(times[back[0] + 1]))
                raise ImportRefusedError(
                    f"the row of {at} is earlier than the one before it: give --sort", one.file
                )
        read = sorted(read, key=lambda one: one.table[_TIME][0].as_py())
        for earlier, later in pairwise(read):
            if later.table[_TIME][0].as_py() <= earlier.table[_TIME][-1].as_py():
                raise ImportRefusedError(f"begins before {earlier.file} ends: give --sort", later.file)
    return _sorted(pa.concat_tables([one.table for one in read]))


def _sorted(table: pa.Table) -> pa.Table:
    order = np.argsort(table[_TIME].to_numpy(), kind="stable")
    return table.take(pa.array(order)).combine_chunks()


def _there(folder: Path, kind: DataKind, instrument: Instrument) -> pa.Table:
    """What the catalog has. Raises ImportRefusedError for files of other decimals."""
    schema = schema_of(kind, instrument)
    files = list(spans_of(folder))
    for file in files:
        said = pq.read_schema(file).metadata or {}
        if any(said.get(name) != value for name, value in schema.metadata.items()):
            raise ImportRefusedError(f"{file.name} in the catalog has other decimals than {instrument.id}")
    tables = [pq.read_table(file).select(schema.names).cast(schema) for file in files]
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()


def _shared(table: pa.Table, other: pa.Table) -> pa.Table:
    """The rows at moments that the other one has too."""
    return table.filter(pc.is_in(table[_TIME], other[_TIME].combine_chunks()))


def _merged(there: pa.Table, new: pa.Table, order: EventOrder) -> tuple[pa.Table, int]:
    """Both in time order, and how many rows took the place of others. Raises ImportRefusedError for other rows at the same moments."""
    ours, theirs = _shared(there, new), _shared(new, there)
    if ours.equals(theirs):
        replaced = 0
    elif order.replace:
        replaced = theirs.num_rows
    else:
        at = _first_difference(ours, theirs)
        raise ImportRefusedError(
            f"the catalog has other {order.data_type} of {order.instrument} at {moment_text(at)}: "
            "give --replace to take what the files have"
        )
    kept = there.filter(pc.invert(pc.is_in(there[_TIME], new[_TIME].combine_chunks())))
    return _sorted(pa.concat_tables([kept, new])), replaced


def _first_difference(ours: pa.Table, theirs: pa.Table) -> int:
    """The first moment (UNIX ns) at which two tables of the same moments are not the same."""
    for at in range(0, max(ours.num_rows, theirs.num_rows), CHUNK_ROWS):
        pieces = (table.slice(at, CHUNK_ROWS).to_pylist() for table in (ours, theirs))
        for known, read in zip_longest(*pieces, fillvalue=None):
            if known != read:
                return int((read or known)[_TIME])
    raise AssertionError("there is a difference")


def _write(catalog: Path, folder: Path, whole: pa.Table) -> None:
    new = catalog / STAGING / "new"
    new.mkdir(parents=True)
    for table in chunks([whole], CHUNK_ROWS, _TIME):
        name = file_name(table[_TIME][0].as_py(), table[_TIME][-1].as_py())
        pq.write_table(table, new / name, row_group_size=GROUP_ROWS)
    commit(catalog, folder, new)
