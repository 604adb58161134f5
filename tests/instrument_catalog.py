"""A catalog with an instrument of each class that a simulation trades, described as people do, and quotes of each."""

import random
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.adding import added
from flotilla.engine_sidecar.catalog.shelf import put
from flotilla.engine_sidecar.catalog.store import locked
from flotilla.schemas.instrument import AddInstrument
from flotilla.schemas.instrument_classes import InstrumentClass

BEGIN: Final = 1_600_000_000 * 10**9
QUOTES: Final = 400
SECOND: Final = 10**9
EXPIRY: Final = "2020-09-13T12:29"
"""Within the quotes, which begin at 12:26:40 and last for some four minutes."""


def order(name: str, kind: InstrumentClass | None = None, **fields: str | bool) -> AddInstrument:
    return AddInstrument(name=name, instrument_class=kind, fields=fields)


_FEES: Final = {"maker_fee": "0.0001", "taker_fee": "0.0004"}
ORDERS: Final = {
    "currency pair": (order("EUR/USD.SIM", size_increment="1", taker_fee="0.00002", margin_init="0.03"), 1.1),
    "linear perpetual": (order("BTCUSDT-PERP.BINANCE"), 11_000),
    "inverse perpetual": (order("BTCUSD-PERP.BINANCE"), 11_000),
    "future": (order("6EZ0.CME", expiration_ns="2020-12-14", taker_fee="0.00001"), 1.18),
    "equity": (
        order(
            "ACME.XNAS", InstrumentClass.EQUITY, currency="USD", price_increment="0.01", taker_fee="0.0005"
        ),
        100,
    ),
    "option": (
        order(
            "ACME201218C00100000.OPRA",
            InstrumentClass.OPTION,
            currency="USD",
            asset_class="equity",
            underlying="ACME",
            option_kind="call",
            strike_price="100.00",
            price_increment="0.01",
            multiplier="100",
            expiration_ns="2020-12-18",
            taker_fee="0.001",
        ),
        7.5,
    ),
    "crypto spot": (order("ETHUSDT.BINANCE"), 380),
    "a future that expires": (order("ESU0.CME", expiration_ns=EXPIRY), 3_300),
    "crypto future": (
        order(
            "BTCUSDT_201225.BINANCE",
            InstrumentClass.CRYPTO_FUTURE,
            underlying="BTC",
            quote_currency="USDT",
            price_increment="0.1",
            size_increment="0.001",
            expiration_ns="2020-12-25T08:00",
            **_FEES,
        ),
        11_000,
    ),
    "cfd": (
        order(
            "DE30.BROKER",
            InstrumentClass.CFD,
            asset_class="index",
            currency="EUR",
            price_increment="0.1",
            size_increment="0.1",
            margin_init="0.05",
            **_FEES,
        ),
        13_200,
    ),
    "commodity": (
        order(
            "XAU.BROKER",
            InstrumentClass.COMMODITY,
            asset_class="commodity",
            currency="USD",
            price_increment="0.01",
            size_increment="0.01",
            **_FEES,
        ),
        1_950,
    ),
    "index": (order("NDX.BROKER", InstrumentClass.INDEX, currency="USD", price_increment="0.01"), 11_200),
}
"""By what it is: how it is described, and about where it trades."""


def write(folder: Path) -> dict[str, Instrument]:
    """Writes it, and gives the instruments by what they are."""
    made = {what: added(wanted).instrument for what, (wanted, _) in ORDERS.items()}
    with locked(folder):
        put(folder, list(made.values()))
    catalog = ParquetDataCatalog(str(folder))
    for seed, (what, instrument) in enumerate(made.items()):
        catalog.write_data(quotes(instrument, ORDERS[what][1], seed))
    return made


def quotes(instrument: Instrument, price: float, seed: int) -> list[Any]:
    """A random walk by ticks, about one each 0.7 s."""
    chance, ts, tick = random.Random(seed), BEGIN, float(instrument.price_increment)
    step = max(1, round(price / 20_000 / tick))
    size = Quantity(100_000, instrument.size_precision)
    made = []
    for _ in range(QUOTES):
        price = max(tick, price + chance.choice((-1, 0, 1)) * step * tick)
        ts += int(chance.choice((0.25, 0.5, 1.25)) * SECOND)
        bid, ask = (Price(each, instrument.price_precision) for each in (price, price + tick))
        made.append(QuoteTick(instrument.id, bid, ask, size, size, ts, ts))
    return made
