"""What one currency is worth in another at the present moment of a run: by the price of a pair of both, else by NautilusTrader's cross rates."""

from decimal import Decimal
from typing import Any, Final

from nautilus_trader.model.enums import InstrumentClass, PriceType
from nautilus_trader.model.identifiers import Venue

_RATES: Final = (InstrumentClass.SPOT, InstrumentClass.SWAP, InstrumentClass.CFD, InstrumentClass.FUTURE)
"""What has a price that is a rate, the nearest to one first. An option's is a premium."""


def rate(cache: Any, venue: Venue, one: Any, other: Any) -> Decimal | None:
    """How many of `other` one of `one` is worth, None where nothing tells.

    NautilusTrader knows rates from quotes and bid and ask bars, and none from trades or last bars; asked before there is any, it logs an error.
    """
    if one == other:
        return Decimal(1)
    pairs = {(one, other): 1, (other, one): -1}
    found = [
        (_RATES.index(instrument.instrument_class), instrument.id, power)
        for instrument in cache.instruments(venue=venue)
        if instrument.instrument_class in _RATES
        and (power := pairs.get((instrument.get_base_currency(), instrument.quote_currency)))
    ]
    for _, instrument_id, power in sorted(found):
        if price := last_price(cache, instrument_id):
            return price**power
    crossed = None if found else cache.get_xrate(venue, one, other)
    return Decimal(str(crossed)) if crossed else None


def last_price(cache: Any, instrument_id: Any) -> Decimal | None:
    """The last that is known: the middle of a quote, a trade's, else the close of the last bar."""
    for kind in (PriceType.MID, PriceType.LAST):
        if (price := cache.price(instrument_id, kind)) is not None:
            return Decimal(str(price))
    close = last_close(cache, instrument_id)
    return None if close is None else Decimal(str(close))


def last_close(cache: Any, instrument_id: Any) -> Any:
    """The close of the instrument's last bar, None where there is none."""
    bars = [cache.bar(kind) for kind in cache.bar_types(instrument_id=instrument_id)]
    last = max((bar for bar in bars if bar is not None), key=lambda bar: bar.ts_init, default=None)
    return None if last is None else last.close
