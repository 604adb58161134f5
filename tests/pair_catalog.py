"""A catalog of two pairs on random walks: EUR/USD.SIM quotes over four days with hourly bars, BTCUSDT.BINANCE quotes and trades."""

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId, Venue
from nautilus_trader.model.objects import Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

EUR, BTC = "EUR/USD.SIM", "BTCUSDT.BINANCE"
HOURS: Final = f"{EUR}-1-HOUR-LAST-EXTERNAL"
BEGIN: Final = 1_600_041_600_000_000_000
"""A Monday's midnight."""
SECOND: Final = 1_000_000_000
HOUR: Final = 3_600 * SECOND
QUOTES: Final = 2_500
SPREADS: Final = (1, 1, 2, 3)


def write(folder: Path) -> None:
    """Everything, into an empty folder."""
    catalog = ParquetDataCatalog(str(folder))
    eur = TestInstrumentProvider.default_fx_ccy("EUR/USD", Venue("SIM"))
    btc = TestInstrumentProvider.btcusdt_binance()
    catalog.write_data([eur, btc])
    quotes = [quote(eur, *each) for each in walk(QUOTES, (30, 90, 240), 11, 12_000)]
    catalog.write_data(quotes)
    catalog.write_data(list(bars(quotes)))
    catalog.write_data([quote(btc, *each) for each in walk(1_500, (0, 1, 5), 12, 10_000)])
    catalog.write_data([trade(btc, *each) for each in walk(700, (0, 3, 9), 12, 10_000)])


def walk(count: int, pauses_s: tuple[int, ...], seed: int, price: int) -> Iterator[tuple[int, int, int]]:
    """Moments, prices in ten thousandths, and spreads."""
    chance, ts = random.Random(seed), BEGIN
    for _ in range(count):
        price += chance.choice((-2, -1, 0, 1, 2))
        ts += chance.choice(pauses_s) * SECOND
        yield ts, price, chance.choice(SPREADS)


def quote(instrument: Any, ts: int, price: int, spread: int) -> Any:
    bid, ask = (instrument.make_price(each / 10_000 * _scale(instrument)) for each in (price, price + spread))
    size = instrument.make_qty(25_000 if _scale(instrument) == 1 else 2)
    less = instrument.make_qty(size / 10) if spread == SPREADS[-1] else size
    return QuoteTick(instrument.id, bid, ask, size, less, ts, ts)


def trade(instrument: Any, ts: int, price: int, spread: int) -> Any:
    """Of a buyer, or of a seller."""
    side = AggressorSide.BUYER if spread > 1 else AggressorSide.SELLER
    value = instrument.make_price(price / 10_000 * _scale(instrument))
    return TradeTick(instrument.id, value, instrument.make_qty(0.3), side, TradeId(str(ts)), ts, ts)


def bars(quotes: list[Any]) -> Iterator[Any]:
    """Of bids by the hour, each at its end."""
    kind = BarType.from_str(HOURS)
    for hour, found in groupby(quotes, lambda each: each.ts_event // HOUR):
        bids = [each.bid_price for each in found]
        end = (hour + 1) * HOUR
        yield Bar(kind, bids[0], max(bids), min(bids), bids[-1], Quantity.from_int(len(bids)), end, end)


def _scale(instrument: Any) -> int:
    """EUR/USD is worth about 1.2, BTCUSDT 10,000."""
    return 1 if instrument.id.value == EUR else 10_000
