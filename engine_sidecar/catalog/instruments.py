"""The instrument that imported data is of: the one the catalog has, or a new one made from what the data tells."""

from pathlib import Path

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import (
    Cfd,
    Commodity,
    CurrencyPair,
    Equity,
    FuturesContract,
    FuturesSpread,
    Instrument,
    OptionSpread,
)
from nautilus_trader.model.objects import Currency, Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError


def known_instrument(catalog: Path, instrument_id: InstrumentId) -> Instrument | None:
    """The instrument as the catalog has it, or None."""
    if not any((catalog / "data").glob("*/*")):
        return None
    found = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=[str(instrument_id)])
    return found[-1] if found else None


def allows_negative_prices(instrument: Instrument) -> bool:
    """True for what has traded below zero: futures on oil in April 2020, spreads at any time."""
    return isinstance(instrument, (FuturesContract, FuturesSpread, OptionSpread, Commodity, Cfd))


def new_instrument(
    instrument_id: InstrumentId, price_precision: int, size_precision: int, currency: str
) -> Instrument:
    """A currency pair for a symbol such as EUR/USD, otherwise an equity in `currency`, which trades in whole units."""
    if instrument_id.symbol.value.count("/") == 1:
        return _pair(instrument_id, price_precision, size_precision)
    if size_precision:
        raise ImportRefusedError(
            f"sizes have {size_precision} decimals, which only a pair such as BTC/USDT may have: "
            "name the instrument so, or give --size-precision 0 to round"
        )
    return Equity(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        currency=_currency(currency),
        price_precision=price_precision,
        price_increment=Price.from_str(_step(price_precision)),
        lot_size=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )


def _pair(instrument_id: InstrumentId, price_precision: int, size_precision: int) -> Instrument:
    base, quote = instrument_id.symbol.value.split("/")
    return CurrencyPair(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        base_currency=_currency(base),
        quote_currency=_currency(quote),
        price_precision=price_precision,
        size_precision=size_precision,
        price_increment=Price.from_str(_step(price_precision)),
        size_increment=Quantity.from_str(_step(size_precision)),
        ts_event=0,
        ts_init=0,
    )


def _step(precision: int) -> str:
    return "1" if precision == 0 else f"0.{'1'.rjust(precision, '0')}"


def _currency(code: str) -> Currency:
    """A currency NautilusTrader knows; without `strict` it would take any word for one."""
    currency = Currency.from_str(code, strict=True) if code else None
    if currency is None:
        raise ImportRefusedError(f"{code!r} is no currency that NautilusTrader knows")
    return currency
