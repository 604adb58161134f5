"""Checked rows as Arrow tables: the form in which an import counts, compares and writes them, whichever way they were read.

Columns are `ts` (UNIX ns), the numbers of the data type, and for trades `side` (NautilusTrader's code) and `trade_id`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flotilla.engine_sidecar.catalog.columns import NUMBERS, SIZES
from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.engine_sidecar.catalog.records import Record
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.times import moment_text

SCALE: Final = 16
NUMBER: Final = pa.decimal128(38, SCALE)
"""Its unscaled value is NautilusTrader's raw one."""
CODES: Final = {"NO_AGGRESSOR": 0, "BUYER": 1, "SELLER": 2}
CHUNK_ROWS: Final = 100_000
_TOO_FINE: Final = (
    f"has numbers of more than {SCALE} decimals: give --price-precision or --size-precision to round to"
)


def columns_of(data_type: DataType, *, is_price: bool) -> list[str]:
    """The names of the numbers that are prices, or of those that are sizes."""
    return [field for field in NUMBERS[data_type] if (field not in SIZES) == is_price]


def table_schema(data_type: DataType) -> pa.Schema:
    """Of the tables of a data type."""
    fields = [("ts", pa.uint64()), *((field, NUMBER) for field in NUMBERS[data_type])]
    if data_type is DataType.TRADES:
        fields += [("side", pa.uint8()), ("trade_id", pa.string())]
    return pa.schema(fields)


def of_records(records: Sequence[Record], data_type: DataType, file: Path) -> pa.Table:
    """Raises ImportRefusedError for numbers that NautilusTrader cannot hold."""
    try:
        columns: list[Any] = [
            pa.array([record.ts for record in records], pa.uint64()),
            *(pa.array([one.numbers[field] for one in records], NUMBER) for field in NUMBERS[data_type]),
        ]
    except pa.ArrowInvalid:
        raise ImportRefusedError(_TOO_FINE, file) from None
    if data_type is DataType.TRADES:
        columns.append(pa.array([CODES[record.side] for record in records], pa.uint8()))
        columns.append(pa.array([record.trade_id or f"T-{record.ts}" for record in records], pa.string()))
    return pa.table(columns, schema=table_schema(data_type))


def batches_of(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cuts records into lists that make tables of a good size."""
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) >= CHUNK_ROWS // 4:
            yield batch
            batch = []
    if batch:
        yield batch


def chunks(tables: Iterable[pa.Table], rows: int, time: str = "ts") -> Iterator[pa.Table]:
    """The same rows in tables of at least so many; rows of the same time stay together, because catalog files may not touch; `time` is their column."""
    held: pa.Table | None = None
    for table in tables:
        held = table if held is None else pa.concat_tables([held, table])
        while held.num_rows > rows and (cut := _cut(held[time], rows)):
            yield held.slice(0, cut)
            held = held.slice(cut)
    if held is not None and held.num_rows:
        yield held


def _cut(column: pa.ChunkedArray, rows: int) -> int:
    """Where the first row stands, of those from `rows` on, that has another time than the one before; 0 when there is none."""
    times = column.to_numpy()
    cut = int(times.searchsorted(times[rows - 1], side="right"))
    return cut if cut < len(times) else 0


def in_order(tables: Iterable[pa.Table]) -> pa.Table:
    """All rows by their times; those of one time keep their order. It holds all of them in memory. Raises ImportRefusedError."""
    whole = pa.concat_tables(list(tables))
    try:
        return whole.take(pc.array_sort_indices(whole["ts"].combine_chunks()))
    except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
        raise ImportRefusedError(f"these are too many rows to be sorted at once: {error}") from None


def without_repetitions(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows, in time order, but for those that equal one before them; only rows of the same time can."""
    held: pa.Table | None = None
    batches = (batch for table in tables for batch in table.to_batches(max_chunksize=CHUNK_ROWS))
    for table in (pa.Table.from_batches([batch]) for batch in batches):
        whole = table if held is None else pa.concat_tables([held, table])
        distinct = whole.take(_firsts(whole))
        kept = distinct.slice(0 if held is None else held.num_rows)
        held = distinct.filter(pc.equal(distinct["ts"], distinct["ts"][-1]))
        if kept.num_rows:
            yield kept


def _firsts(table: pa.Table) -> Any:
    """Where in a table each of its different rows stands first, in order."""
    numbered = table.append_column("at", pa.array(np.arange(table.num_rows)))
    groups = numbered.group_by(table.column_names, use_threads=False).aggregate([("at", "min")])
    return np.sort(groups["at_min"].to_numpy())


def one_bar_at_a_time(tables: Iterable[pa.Table], step_ns: int) -> Iterator[pa.Table]:
    """The same bars of a length, 0 being any. Raises ImportRefusedError when one follows another too soon."""
    last: int | None = None
    for table in tables:
        times = table["ts"].to_numpy().astype("int64")
        if last is not None:
            times = np.concatenate([[last], times])
        gaps = np.diff(times)
        if (too_soon := ((gaps == 0) | (2 * gaps < step_ns)).nonzero()[0]).size:
            at, gap = int(times[too_soon[0] + 1]), int(gaps[too_soon[0]])
            if gap == 0:
                raise ImportRefusedError(f"there are two bars of {moment_text(at)} that are not the same")
            apart, lasts = (timedelta(microseconds=ns // 1000) for ns in (gap, step_ns))
            raise ImportRefusedError(
                f"the bar of {moment_text(at)} is {apart} after the one before, and a bar of this type lasts {lasts}"
            )
        last = int(times[-1])
        yield table


def decimals(column: Any, at_least: int) -> int:
    """The most decimals of any number in a column, `at_least` or more."""
    digits = at_least
    while digits < SCALE and not pc.all(pc.equal(pc.round(column, digits), column)).as_py():
        digits += 1
    return digits
