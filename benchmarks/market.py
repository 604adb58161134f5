"""A market that is made up: a random walk, the same each time, written to a catalog by NautilusTrader."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

INSTRUMENT = "ACME.SIM"
BAR_TYPE = f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"
FIRST_NS = 1_577_836_800_000_000_000
"""2020-01-01."""
_FILE = 250_000
_MINUTE_NS = 60_000_000_000


def write(folder: Path, events: Iterator[Any], count: int) -> None:
    """Puts the next so many events into a catalog, behind those that it has."""
    catalog = ParquetDataCatalog(str(folder))
    catalog.write_data([_instrument()])
    for start in range(0, count, _FILE):
        catalog.write_data(list(islice(events, min(_FILE, count - start))))


def _instrument() -> Any:
    return TestInstrumentProvider.equity(*INSTRUMENT.split("."))


def quotes() -> Iterator[Any]:
    """Of one instrument, 50 ms to 1 s apart."""
    instrument_id, size, at_ns = _instrument().id, Quantity(100, 0), FIRST_NS
    chance = random.Random(7)  # noqa: S311
    for price in _walk(chance):
        at_ns += chance.choice((50, 250, 1_000)) * 1_000_000
        yield QuoteTick(instrument_id, Price(price, 2), Price(price + 0.01, 2), size, size, at_ns, at_ns)


def bars() -> Iterator[Any]:
    """Of one instrument, a minute each."""
    bar_type, volume, at_ns = BarType.from_str(BAR_TYPE), Quantity(100, 0), FIRST_NS
    before = 100.0
    for price in _walk(random.Random(7)):  # noqa: S311
        at_ns += _MINUTE_NS
        high, low = max(before, price), min(before, price)
        yield Bar(bar_type, *(Price(each, 2) for each in (before, high, low, price)), volume, at_ns, at_ns)
        before = price


def _walk(chance: random.Random) -> Iterator[float]:
    price = 100.0
    while True:
        price = round(max(50.0, price + chance.choice((-0.01, 0.0, 0.01))), 2)
        yield price
