"""A data set as a picture needs it: at most so many points of open, high, low and close, made in one pass in bounded memory."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.stored import Batch, StoredSet, batches, numbers, stored_set
from flotilla.engine_sidecar.catalog.times import bound_ns
from flotilla.schemas.catalog import FOREVER
from flotilla.schemas.data import Chart, ChartPoint, ReadChart

_NS: Final = 1_000_000_000
_MOST_DECIMALS: Final = 16


class _Columns(NamedTuple):
    """What is drawn of a kind of data: the columns that are read, and open, high, low, close and volume of them."""

    made_of: str
    names: list[str]
    of: Callable[[Any], tuple[Any, Any, Any, Any, Any]]


class _Point(NamedTuple):
    first: int
    last: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    events: int


def chart_of(catalog: Path, ask: ReadChart) -> Chart:
    """The points that were asked for. Raises ImportRefusedError for what there is not, or cannot be drawn."""
    stored = stored_set(catalog, ask)
    columns = _columns(stored.entry.data_type)
    first, last = _span(stored, ask)
    is_outside = last < first
    width = (last - first) // ask.points + 1
    buckets: dict[int, _Point] = {}
    kept: list[_Point] = []
    events = 0
    for batch in batches(stored, columns.names, first, last):
        events += len(batch.times)
        if columns.made_of == "bars" and events <= ask.points:
            kept += _rows(batch, columns)
        for index, point in _bucketed(batch, columns, first, width):
            before = buckets.get(index)
            buckets[index] = _joined(before, point) if before else point
    is_whole = is_outside or (columns.made_of == "bars" and events <= ask.points)
    places = _decimals(stored, columns.made_of)
    shown = kept if is_whole else [buckets[index] for index in sorted(buckets)]
    return Chart(
        identifier=stored.entry.identifier,
        data_type=stored.entry.data_type,
        made_of=columns.made_of,
        events=events,
        is_down_sampled=not is_whole,
        bucket_s=None if is_whole else width / _NS,
        points=tuple(_shown(point, *places) for point in shown),
    )


def _span(stored: StoredSet, ask: ReadChart) -> tuple[int, int]:
    """From the first to the last moment that is asked for and that there may be rows of; the last is the earlier one where there are none."""
    spans = stored.files.values()
    first = bound_ns(ask.first, "from", is_end=False) if ask.first else 0
    last = bound_ns(ask.last, "to", is_end=True) if ask.last else FOREVER
    if last < first:
        raise ImportRefusedError("`to` is before `from`")
    return max(first, min(start for start, _ in spans)), min(last, max(end for _, end in spans))


def _columns(data_type: str) -> _Columns:
    """Of a kind whose events have one price each, or those of a bar. Raises ImportRefusedError for the others."""
    match data_type:
        case "bars":
            own = ["open", "high", "low", "close", "volume"]
            return _Columns("bars", own, lambda table: tuple(numbers(table[name]) for name in own))
        case "quotes":
            own = ["bid_price", "ask_price"]
            return _Columns("middle of bid and ask", own, lambda table: _flat(_mid(table)))
        case "trades":
            return _Columns(
                "trades",
                ["price", "size"],
                lambda table: _flat(numbers(table["price"]), numbers(table["size"])),
            )
        case "mark_prices" | "index_prices":
            return _Columns("value", ["value"], lambda table: _flat(numbers(table["value"])))
    raise ImportRefusedError(
        f"there is no chart of {data_type}, only of bars, quotes, trades, mark_prices and index_prices"
    )


def _flat(price: Any, volume: Any = None) -> tuple[Any, Any, Any, Any, Any]:
    return price, price, price, price, volume


def _mid(table: Any) -> Any:
    return (numbers(table["bid_price"]) + numbers(table["ask_price"])) / 2


def _rows(batch: Batch, columns: _Columns) -> Iterator[_Point]:
    rows = zip(batch.times, *columns.of(batch.table), strict=True)
    for at, opening, high, low, close, volume in rows:
        yield _Point(
            int(at), int(at), float(opening), float(high), float(low), float(close), float(volume), 1
        )


def _bucketed(batch: Batch, columns: _Columns, first: int, width: int) -> Iterator[tuple[int, _Point]]:
    """A point for each bucket that the rows lie in, which are in time order."""
    opens, highs, lows, closes, volumes = columns.of(batch.table)
    indices = (batch.times - first) // width
    starts = np.concatenate(([0], np.flatnonzero(indices[1:] != indices[:-1]) + 1))
    ends = np.concatenate((starts[1:], [len(indices)])) - 1
    highest, lowest = np.maximum.reduceat(highs, starts), np.minimum.reduceat(lows, starts)
    traded = np.add.reduceat(volumes, starts) if volumes is not None else None
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        yield (
            int(indices[start]),
            _Point(
                int(batch.times[start]),
                int(batch.times[end]),
                float(opens[start]),
                float(highest[at]),
                float(lowest[at]),
                float(closes[end]),
                float(traded[at]) if traded is not None else None,
                int(end - start + 1),
            ),
        )


def _joined(before: _Point, after: _Point) -> _Point:
    """One point of two; the files of attached catalogs may overlap."""
    early, late = (before, after) if before.last <= after.last else (after, before)
    opening = before if before.first <= after.first else after
    volume = None if before.volume is None or after.volume is None else before.volume + after.volume
    return _Point(
        opening.first,
        late.last,
        opening.open,
        max(early.high, late.high),
        min(early.low, late.low),
        late.close,
        volume,
        before.events + after.events,
    )


def _decimals(stored: StoredSet, made_of: str) -> tuple[int, int]:
    """Of prices and of volumes: what more a sum of floats has is an error of rounding."""
    price, size = (stored.precision(name) for name in ("price_precision", "size_precision"))
    is_half = made_of.startswith("middle")
    return (
        _MOST_DECIMALS if price is None else price + is_half,
        _MOST_DECIMALS if size is None else size,
    )


def _shown(point: _Point, price_decimals: int, size_decimals: int) -> ChartPoint:
    return ChartPoint(
        first=moment_of(point.first),
        last=moment_of(point.last),
        open=round(point.open, price_decimals),
        high=round(point.high, price_decimals),
        low=round(point.low, price_decimals),
        close=round(point.close, price_decimals),
        volume=None if point.volume is None else round(point.volume, size_decimals),
        events=point.events,
    )


def moment_of(ns: int) -> datetime:
    """UNIX ns as a moment, to the microsecond."""
    return datetime.fromtimestamp(ns // _NS, UTC).replace(microsecond=ns % _NS // 1000)
