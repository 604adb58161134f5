"""A catalog of bars on four calendars: business days, every day, hours around the clock, and irregular moments."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.instruments import new_instrument

DAY: Final = 86_400 * 10**9
HOUR: Final = 3_600 * 10**9
START: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 10**9


def moments() -> dict[str, list[int]]:
    """When each instrument's bars close."""
    days = [datetime(2020, 1, 1, 21, tzinfo=UTC) + timedelta(days=index) for index in range(700)]
    chance, at, odd = random.Random(3), START, []
    for _ in range(400):
        at += int(chance.expovariate(1 / (40 * HOUR))) + 1
        odd.append(at)
    return {
        "BUSINESS.SIM": [int(day.timestamp()) * 10**9 for day in days if day.weekday() < 5],
        "EVERYDAY.SIM": [START + DAY * index for index in range(1, 501)],
        "HOURLY.SIM": [START + HOUR * index for index in range(1, 1_501)],
        "ODD.SIM": odd,
    }


def bar_type(instrument: str) -> str:
    return f"{instrument}-1-{'HOUR' if instrument == 'HOURLY.SIM' else 'DAY'}-LAST-EXTERNAL"


def write(folder: Path, *, other_after: int | None = None) -> dict[str, list[float]]:
    """Writes it, and gives the closes of each instrument: walks that lose a third and more on the way.

    After the moment `other_after` (UNIX ns) they are walks of another chance.
    """
    catalog, closes = ParquetDataCatalog(str(folder)), {}
    for seed, (name, times) in enumerate(moments().items()):
        catalog.write_data([new_instrument(InstrumentId.from_str(name), 2, 0, "USD")])
        chance, other, price, bars = random.Random(seed + 11), random.Random(seed + 99), 100.0, []
        closes[name] = []
        for at in times:
            walk = chance if other_after is None or at <= other_after else other
            before, price = price, max(5.0, round(price * (1 + walk.gauss(0.0002, 0.015)), 2))
            closes[name].append(price)
            bars.append(bar(bar_type(name), at, before, price))
        catalog.write_data(bars)
    return closes


def bar(kind: str, at: int, first: float, last: float) -> Any:
    prices = (Price(each, 2) for each in (first, max(first, last), min(first, last), last))
    return Bar(BarType.from_str(kind), *prices, Quantity.from_int(10_000_000), at, at)


def write_pairs(folder: Path) -> None:
    """Bars and quotes of BTC/USDT.SIM, a quote each hour; quotes of EUR/USDT.SIM; and COIN.SIM, whose name tells no currency."""
    catalog = ParquetDataCatalog(str(folder))
    for name in ("BTC/USDT.SIM", "EUR/USDT.SIM"):
        catalog.write_data([new_instrument(InstrumentId.from_str(name), 2, 0, "")])
    catalog.write_data([new_instrument(InstrumentId.from_str("COIN.SIM"), 2, 0, "USDT")])
    hours = [START + HOUR * index for index in range(1, 101)]
    for name in ("BTC/USDT.SIM", "COIN.SIM"):
        kind = f"{name}-1-HOUR-LAST-EXTERNAL"
        catalog.write_data([bar(kind, at, 100.0 + n % 7, 101.0 + n % 5) for n, at in enumerate(hours)])
    catalog.write_data([quote("EUR/USDT.SIM", at, 1.25) for at in (START, *hours)])


def quote(name: str, at: int, price: float) -> Any:
    size = Quantity.from_int(1_000)
    return QuoteTick(InstrumentId.from_str(name), Price(price, 2), Price(price, 2), size, size, at, at)


def copy_instrument(source: Path, target: Path, name: str) -> None:
    """Adds an instrument of another catalog."""
    found = ParquetDataCatalog(str(source)).instruments(instrument_ids=[name])
    ParquetDataCatalog(str(target)).write_data(found)


def write_one_sided(folder: Path) -> None:
    """BIDS.SIM with bars of bids, and no asks."""
    catalog = ParquetDataCatalog(str(folder))
    catalog.write_data([new_instrument(InstrumentId.from_str("BIDS.SIM"), 2, 0, "USD")])
    kind = "BIDS.SIM-1-HOUR-BID-EXTERNAL"
    catalog.write_data([bar(kind, START + HOUR * n, 100.0 + n % 7, 101.0 + n % 5) for n in range(1, 60)])
