"""The instrument that imported data is of: the one the catalog has, or a new one made from what the data tells."""

from pathlib import Path

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import (
    Cfd,
    Commodity,
    FuturesContract,
    FuturesSpread,
    Instrument,
    OptionSpread,
)
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.described import described, pair_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.instrument_classes import InstrumentClass


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
    instrument_id: InstrumentId,
    price_precision: int,
    size_precision: int,
    currency: str,
    kind: InstrumentClass | None = None,
) -> Instrument:
    """What prices and sizes alone describe: a pair for a symbol of two currencies, otherwise an equity in `currency`, in whole units.

    `kind` chooses between these and an index. Raises ImportRefusedError.
    """
    pair = pair_of(instrument_id.symbol.value)
    kind = kind or (InstrumentClass.CURRENCY_PAIR if pair else InstrumentClass.EQUITY)
    values = {"id": instrument_id.value, "price_increment": step(price_precision)}
    if kind is InstrumentClass.CURRENCY_PAIR and pair is None:
        raise ImportRefusedError(
            f"{instrument_id} does not tell its two currencies: name it such as EUR/USD.SIM, or first "
            f"`flotilla instrument add {instrument_id} --class currency-pair --base … --quote …`"
        )
    if kind is InstrumentClass.EQUITY and size_precision:
        raise ImportRefusedError(
            f"sizes have {size_precision} decimals, which only a pair such as BTC/USDT may have: "
            "name the instrument so, or give --size-precision 0 to round"
        )
    if kind is not InstrumentClass.EQUITY:
        values["size_increment"] = step(size_precision)
    if kind is InstrumentClass.CURRENCY_PAIR and pair:
        return described(kind, {**values, "base_currency": pair[0], "quote_currency": pair[1]})
    return described(kind, {**values, "currency": currency})


def step(precision: int) -> str:
    """The smallest number of so many decimals."""
    return "1" if precision == 0 else f"0.{'1'.rjust(precision, '0')}"
