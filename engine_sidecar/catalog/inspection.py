"""Looks through what a catalog holds: gaps in time, and values that no market has. It changes nothing."""

import statistics
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick

from engine_sidecar.catalog.listing import catalog_view
from engine_sidecar.replay.streams import DataSet, files_of, read_file
from schemas.catalog import BadValue, CatalogEntry, Finding, Gap

MAX_EXAMPLES: Final = 20
GAP_FACTOR: Final = 5.0
"""A pause is a gap when it is this many times longer than is usual between two events of the data set."""
_KINDS: Final[dict[str, type[Any]]] = {"bars": Bar, "quotes": QuoteTick, "trades": TradeTick}
_SECOND: Final = 1_000_000_000


def inspect(catalog: Path) -> Iterator[Finding]:
    """One data set after the other."""
    for entry in catalog_view(catalog).entries:
        yield _inspect(catalog, entry)


def _inspect(catalog: Path, entry: CatalogEntry) -> Finding:
    kind = _KINDS[entry.data_type]
    times, bad = [], []
    before: Any = None
    for file in files_of(catalog, DataSet(kind, entry.identifier)):
        for event in read_file(kind, file):
            times.append(int(event.ts_init))
            bad += [BadValue(at_ns=int(event.ts_init), why=why) for why in _wrong(event, before)]
            before = event
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


def _wrong(event: Any, before: Any) -> Iterable[str]:
    if before is not None and event.ts_init < before.ts_init:
        yield "is earlier than the event before it"
    match event:
        case Bar():
            yield from _wrong_bar(event, before)
        case QuoteTick():
            if event.bid_price > event.ask_price:
                yield f"bid {event.bid_price} is above ask {event.ask_price}"
            if event.bid_price <= 0 or event.ask_price <= 0:
                yield "a price is not above zero"
        case TradeTick():
            if event.price <= 0:
                yield f"price {event.price} is not above zero"


def _wrong_bar(bar: Any, before: Any) -> Iterable[str]:
    if min(bar.open, bar.high, bar.low, bar.close) <= 0:
        yield "a price is not above zero"
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        yield f"open {bar.open} or close {bar.close} is outside of {bar.low} to {bar.high}"
    if before is not None and bar.ts_init == before.ts_init:
        yield "has the time of the bar before it"
