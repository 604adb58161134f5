"""The gaps of a data set, and its first rows; in bounded memory, however long it is."""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flotilla.engine_sidecar.catalog.charting import moment_of
from flotilla.engine_sidecar.catalog.plausible import GAP_FACTOR
from flotilla.engine_sidecar.catalog.stored import StoredSet, batches, decimals, is_raw, stored_set
from flotilla.engine_sidecar.catalog.times import bound_ns, moment_text
from flotilla.schemas.data import DataGap, DataGaps, DataRows, ReadGaps, ReadRows

_SECOND: Final = 1_000_000_000
_UNITS_S: Final = {
    "MILLISECOND": 0.001,
    "SECOND": 1.0,
    "MINUTE": 60.0,
    "HOUR": 3_600.0,
    "DAY": 86_400.0,
    "WEEK": 604_800.0,
}
_TIMED: Final = re.compile(rf"-(\d+)-({'|'.join(_UNITS_S)})-[A-Z]+-(?:EXTERNAL|INTERNAL)(?:@.*)?\Z")
_SAMPLE: Final = 2_000_000
"""Pauses that the median is of, of those that are looked at: every so manyth where there are more."""


def gaps_of(catalog: Path, ask: ReadGaps) -> DataGaps:
    """Raises ImportRefusedError for what there is not."""
    stored = stored_set(catalog, ask)
    entry = stored.entry
    usual = _bar_s(entry.identifier) if entry.data_type == "bars" else _median_s(stored)
    found: list[DataGap] = []
    count = events = 0
    limit = None if usual is None else GAP_FACTOR * usual * _SECOND
    for before, times in _times(stored):
        events += len(times)
        if limit is None:
            continue
        whole = times if before is None else np.concatenate(([before], times))
        at = np.flatnonzero(np.diff(whole) > limit)
        count += len(at)
        found += [
            DataGap(first=moment_of(int(whole[index])), last=moment_of(int(whole[index + 1])))
            for index in at[: ask.limit - len(found)]
        ]
    return DataGaps(
        identifier=entry.identifier,
        data_type=entry.data_type,
        events=events,
        usual_s=usual,
        factor=GAP_FACTOR,
        gap_count=count,
        gaps=tuple(found),
    )


def _times(stored: StoredSet) -> Iterator[tuple[int | None, Any]]:
    """When events became known, part by part, each with the last of the part before."""
    before: int | None = None
    for batch in batches(stored, []):
        yield before, batch.times
        before = int(batch.times[-1])


def _bar_s(bar_type: str) -> float | None:
    """The seconds of a bar; None for months, years and bars that are not of time."""
    match = _TIMED.search(bar_type)
    return int(match[1]) * _UNITS_S[match[2]] if match else None


def _median_s(stored: StoredSet) -> float | None:
    """The median pause, at least a second."""
    rows = sum(int(pq.read_metadata(file).num_rows) for file in stored.files)
    step = rows // _SAMPLE + 1
    pauses = [np.diff(times)[::step] for _, times in _times(stored) if len(times) > 1]
    return max(float(np.median(np.concatenate(pauses))) / _SECOND, 1.0) if pauses else None


def rows_of(catalog: Path, ask: ReadRows) -> DataRows:
    """The first rows from a moment on. Raises ImportRefusedError for what there is not."""
    stored = stored_set(catalog, ask)
    first = bound_ns(ask.first, "from", is_end=False) if ask.first else 0
    rows = (row for batch in batches(stored, stored.names, first) for row in _shown(stored, batch.table))
    return DataRows(
        identifier=stored.entry.identifier,
        data_type=stored.entry.data_type,
        rows=tuple(islice(rows, ask.limit)),
    )


def _shown(stored: StoredSet, table: Any) -> Iterator[dict[str, str]]:
    head = table.slice(0, 100)
    columns = {name: _texts(stored, name, head[name]) for name in stored.names}
    for index in range(head.num_rows):
        yield {name: column[index] for name, column in columns.items()}


def _texts(stored: StoredSet, name: str, column: Any) -> list[str]:
    if name in ("ts_event", "ts_init"):
        return [moment_text(int(at)) for at in column.cast(pa.int64()).to_pylist()]
    if is_raw(column.type):
        places = stored.precision(
            "size_precision" if "size" in name or name == "volume" else "price_precision"
        )
        return [_plain(number, places) for number in decimals(column).to_pylist()]
    return [str(value) for value in column.to_pylist()]


def _plain(number: Decimal | None, places: int | None) -> str:
    if number is None:
        return ""
    return f"{number.normalize():f}" if places is None else f"{number:.{places}f}"
