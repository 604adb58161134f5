"""Looks through what a catalog holds: gaps in time, values that no market has, and jumps like those of splits. It changes nothing."""

import statistics
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from nautilus_trader.model.data import Bar, BarType, OrderBookDelta, OrderBookDepth10, QuoteTick
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.catalog.event_prices import prices_of
from flotilla.engine_sidecar.catalog.instruments import allows_negative_prices, known_instrument
from flotilla.engine_sidecar.catalog.plausible import GAP_FACTOR, looks_fixed_point, split_like
from flotilla.engine_sidecar.catalog.times import moment_text
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.engine_sidecar.replay.streams import DataSet, WrongDataError, files_of, read_file
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.catalog import BadValue, CatalogEntry, Finding, Gap, file_interval, market_data

MAX_EXAMPLES: Final = 20
_NO_LEAST: Final = float("-inf")
_SECOND: Final = 1_000_000_000


def inspect(catalog: Path) -> Iterator[Finding]:
    """One data set after the other."""
    for entry in market_data(catalog_view(catalog).entries):
        yield _inspect(catalog, entry)


def _inspect(catalog: Path, entry: CatalogEntry) -> Finding:
    kind = KINDS[DataKind(entry.data_type)]
    instrument = known_instrument(catalog, InstrumentId.from_str(entry.instrument_id))
    least = _NO_LEAST if instrument is not None and allows_negative_prices(instrument) else 0.0
    times: list[int] = []
    bad: list[BadValue] = []
    before: Any = None
    is_fixed, price = True, None
    for file in files_of(catalog, DataSet(kind, entry.identifier)):
        for event in _readable(kind, file, bad):
            times.append(int(event.ts_init))
            bad += [BadValue(at_ns=int(event.ts_init), why=why) for why in _wrong(event, before, least)]
            for price in prices_of(event):
                is_fixed = is_fixed and looks_fixed_point(price.as_decimal())
            before = event
    if price is not None and is_fixed:
        why = f"{price}, like all prices here, is a large round number, as fixed-point prices are"
        bad.insert(0, BadValue(at_ns=times[0], why=why))
    usual = _usual_ns(times, entry)
    gaps = _gaps(times, usual) if usual else []
    return Finding(
        data_type=entry.data_type,
        identifier=entry.identifier,
        events=len(times),
        usual_s=usual / _SECOND if usual else None,
        gap_count=len(gaps),
        bad_count=len(bad),
        gaps=tuple(gaps[:MAX_EXAMPLES]),
        bad=tuple(bad[:MAX_EXAMPLES]),
    )


def _readable(kind: type[Any], file: Path, bad: list[BadValue]) -> Iterator[Any]:
    """The events of a file, up to where it cannot be read: that is added to `bad`."""
    last, end = file_interval(file.name) or (0, 0)
    try:
        for event in read_file(kind, file):
            last = int(event.ts_init)
            yield event
    except (WrongDataError, pa.ArrowException, KeyError) as error:
        why = f"{error}: the rest of {file.name} was not looked through, to {moment_text(end)}"
        bad.append(BadValue(at_ns=last, why=why))


def _usual_ns(times: list[int], entry: CatalogEntry) -> float | None:
    """The length of a bar; for ticks the median pause, at least a second."""
    if entry.data_type == "bars":
        step: timedelta | None = _step(entry.identifier)
        return step.total_seconds() * _SECOND if step else None
    pauses = [later - earlier for earlier, later in pairwise(times)]
    return max(statistics.median(pauses), float(_SECOND)) if pauses else None


def _step(identifier: str) -> timedelta | None:
    spec = BarType.from_str(identifier).spec
    return spec.timedelta if spec.is_time_aggregated() else None


def _gaps(times: list[int], usual: float) -> list[Gap]:
    return [
        Gap(first_ns=earlier, last_ns=later)
        for earlier, later in pairwise(times)
        if later - earlier > GAP_FACTOR * usual
    ]


def _wrong(event: Any, before: Any, least: float) -> Iterable[str]:
    prices = prices_of(event)
    if before is not None and event.ts_init < before.ts_init:
        yield "is earlier than the event before it"
    if prices and min(prices) <= least:
        yield "a price is not above zero"
    if (
        before is not None
        and not isinstance(event, OrderBookDelta)
        and (jump := _jump(prices_of(before), prices))
    ):
        yield jump
    match event:
        case Bar():
            yield from _wrong_bar(event, before)
        case QuoteTick() | OrderBookDepth10() if len(prices) == 2 and prices[0] > prices[1]:
            yield f"bid {prices[0]} is above ask {prices[1]}"


def _jump(before: tuple[Any, ...], after: tuple[Any, ...]) -> str | None:
    """From the last price before to the first after; both sides of a quote have to jump, since one may be empty."""
    if not before or len(before) != len(after):
        return None
    tick = 10.0 ** -after[0].precision
    pairs = zip(before, after, strict=True) if len(after) == 2 else ((before[-1], after[0]),)
    jumps = [(old, new, split_like(float(old), float(new), tick)) for old, new in pairs]
    old, new, why = jumps[0]
    return f"{old} to {new}: {why}" if all(jump for _, _, jump in jumps) else None


def _wrong_bar(bar: Any, before: Any) -> Iterable[str]:
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        yield f"open {bar.open} or close {bar.close} is outside of {bar.low} to {bar.high}"
    if before is not None and bar.ts_init == before.ts_init:
        yield "has the time of the bar before it"
