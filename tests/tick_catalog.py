"""A catalog of random walks: quotes, trades and bars, with many events at one moment and data sets that begin late or end early."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.instruments import new_instrument

BEGIN: Final = 1_600_000_000_000_000_000
SECOND: Final = 1_000_000_000
ACME_BARS: Final = "ACME.SIM-20-SECOND-LAST-EXTERNAL"
QUOTES: Final = 800
END: Final = BEGIN + 330 * SECOND
"""About where the quotes of ACME.SIM end, and the trades of BETA.XNAS not yet."""


def write(folder: Path) -> None:
    """ACME.SIM: quotes in two files, few trades, and bars. BETA.XNAS: trades from the middle on. ONCE.SIM: a single quote."""
    catalog = ParquetDataCatalog(str(folder))
    for name in ("ACME.SIM", "BETA.XNAS", "ONCE.SIM"):
        catalog.write_data([new_instrument(InstrumentId.from_str(name), 2, 0, "USD")])
    quotes = [quote("ACME.SIM", ts, price) for ts, price in walk(QUOTES, (0, 0.25, 1), 1)]
    catalog.write_data([one for one in quotes if one.ts_init <= quotes[500].ts_init])
    catalog.write_data([one for one in quotes if one.ts_init > quotes[500].ts_init])
    catalog.write_data([trade("ACME.SIM", ts, price) for ts, price in walk(80, (0, 1, 20), 2)])
    beta = walk(600, (0, 0, 0.5, 1), 3, BEGIN + 170 * SECOND)
    catalog.write_data([trade("BETA.XNAS", ts, price) for ts, price in beta])
    catalog.write_data([bar(ts, price) for ts, price in walk(30, (20,), 4)])
    catalog.write_data([quote("ONCE.SIM", BEGIN + 100 * SECOND, 100.0)])


def walk(count: int, pauses_s: tuple[float, ...], seed: int, ts: int = BEGIN) -> Iterator[tuple[int, float]]:
    chance, price = random.Random(seed), 100.0
    for _ in range(count):
        price = max(1.0, price + chance.choice((-0.01, 0.0, 0.01)))
        ts += int(chance.choice(pauses_s) * SECOND)
        yield ts, price


def quote(name: str, ts: int, price: float) -> Any:
    size = Quantity.from_int(100)
    return QuoteTick(InstrumentId.from_str(name), Price(price, 2), Price(price + 0.01, 2), size, size, ts, ts)


def trade(name: str, ts: int, price: float) -> Any:
    return TradeTick(
        InstrumentId.from_str(name),
        Price(price, 2),
        Quantity.from_int(100),
        AggressorSide.BUYER,
        TradeId("1"),
        ts,
        ts,
    )


def bar(ts: int, price: float) -> Any:
    prices = (Price(price + step, 2) for step in (0.0, 0.05, -0.05, 0.02))
    return Bar(BarType.from_str(ACME_BARS), *prices, Quantity.from_int(1_000), ts, ts)
