"""What an import takes an instrument for that nobody described: told in words, and asked for where the name speaks against it.

Bars of 6E taken for a share gave +0.03 USD where the future lost 5,112.50.
"""

import re
from datetime import UTC, datetime
from typing import Final

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument

from flotilla.engine_sidecar.catalog import common
from flotilla.engine_sidecar.catalog.adding import Described
from flotilla.engine_sidecar.catalog.described import class_of, described, pair_of
from flotilla.engine_sidecar.catalog.instrument_faults import digits, is_currency
from flotilla.engine_sidecar.catalog.instruments import new_instrument, step
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.instrument_classes import InstrumentClass

_PLAIN: Final = (InstrumentClass.EQUITY, InstrumentClass.INDEX, InstrumentClass.CURRENCY_PAIR)
"""What prices and sizes alone describe, with a currency."""
_LOOKS: Final = (
    (re.compile(r"\A[A-Z0-9]{1,3}[FGHJKMNQUVXZ]\d{1,2}\Z"), "a future"),
    (re.compile(r"=F\Z"), "a continuous future"),
    (re.compile(r"(?:PERP|SWAP|-LINEAR|-INVERSE)\Z"), "a perpetual"),
    (re.compile(r"(?:\d{6}[CP]\d{8}|\d-[CP])\Z"), "an option"),
    (re.compile(r"\A\^"), "an index"),
)
_VENUES: Final = {
    "what a futures exchange lists": re.compile(
        r"CME|CBOT|NYMEX|COMEX|CFE|GLBX|XCME|XCBT|XNYM|XCEC|XCBF|ICE|IFEU|IFUS|EUREX|XEUR"
    ),
    "what a crypto exchange lists": re.compile(
        r"(?:BINANCE|BYBIT|OKX|BITMEX|DERIBIT|KRAKEN|COINBASE|HYPERLIQUID|DYDX|BITFINEX|KUCOIN|BITSTAMP|GATEIO|HUOBI|HTX|FTX|BITGET|MEXC)\w*"
    ),
}
_DERIVATIVES: Final = re.compile(
    r"(?:BITMEX|DERIBIT|HYPERLIQUID|DYDX|FTX)\w*|\w+[_-](?:FUTURES|PERP|SWAP)\w*"
)
"""Exchanges where a name made of two currencies, such as XBTUSD, is most often no pair."""


def ask(instrument_id: InstrumentId, kind: InstrumentClass | None) -> None:
    """Raises ImportRefusedError where a new instrument cannot be told from its data, or may be something else than a share."""
    name, symbol = instrument_id.value, instrument_id.symbol.value
    if kind is not None:
        if kind not in _PLAIN:
            raise ImportRefusedError(
                f"a {kind} is not told by its data: first `flotilla instrument add {name} --class {kind} …`"
            )
        return
    found = common.find(name)
    if found and found.row.is_root:
        raise ImportRefusedError(
            f"{name} looks like a future of the table, and data does not tell when it expires: first "
            f"`flotilla instrument add {name} --expiry …`, or give --class equity"
        )
    venue = instrument_id.venue.value
    if found or (pair_of(symbol) and not _DERIVATIVES.fullmatch(venue)):
        return
    looks = _looks_like(symbol, venue)
    if looks:
        raise ImportRefusedError(
            f"{name} looks like {looks}: first `flotilla instrument add {name} --class …`, or give --class equity, index or currency-pair"
        )


def _looks_like(symbol: str, venue: str) -> str | None:
    if looks := next((what for pattern, what in _LOOKS if pattern.search(symbol)), None):
        return looks
    base, *quotes = re.split("[-_]", symbol)
    if pair_of(symbol) or (len(quotes) == 1 and is_currency(base) and is_currency(quotes[0])):
        return "a pair, or a perpetual or future of its two currencies"
    return next((what for what, venues in _VENUES.items() if venues.fullmatch(venue)), None)


def outside(instrument: Instrument, first: int, last: int) -> tuple[str, ...]:
    """What is to be said of data from `first` to `last` (UNIX ns) that a contract was not traded at, if there is any."""
    begins, ends = getattr(instrument, "activation_ns", 0), getattr(instrument, "expiration_ns", 0)
    said = []
    if first < begins:
        said.append(
            f"data begins before {instrument.id} trades, at {_moment(begins)}: orders are rejected until then"
        )
    if ends and last > ends:
        said.append(
            f"data goes on after {instrument.id} expires, at {_moment(ends)}: orders are rejected from then on"
        )
    return tuple(said)


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")


def made(
    instrument_id: InstrumentId,
    kind: InstrumentClass | None,
    currency: str,
    *,
    price_precision: int,
    size_precision: int,
    is_rounded: bool,
) -> Described:
    """The instrument of data with so many decimals. `is_rounded`: those of prices were chosen, and hold over the table's.

    Raises ImportRefusedError.
    """
    found = common.find(instrument_id.value)
    if kind is None and found:
        return _of_row(instrument_id.value, found, price_precision, size_precision, is_rounded=is_rounded)
    instrument = new_instrument(instrument_id, price_precision, size_precision, currency, kind)
    return Described(instrument, (_told(instrument),))


def _of_row(
    name: str, found: common.Found, price_precision: int, size_precision: int, *, is_rounded: bool
) -> Described:
    row, values = found.row, dict(found.row.fields)
    if is_rounded:
        values["price_increment"] = step(price_precision)
    for field, seen in (("price_increment", price_precision), ("size_increment", size_precision)):
        listed = str(values.setdefault(field, step(seen)))
        if seen > digits(listed):
            what = field.partition("_")[0]
            raise ImportRefusedError(
                f"{what}s have {seen} decimals, and {name} moves by {listed} in the table of common instruments: "
                f"give --{what}-precision {digits(listed)} to round, or describe it first by `flotilla instrument add`"
            )
    instrument = described(row.instrument_class, {**values, "id": name})
    return Described(instrument, (f"{_told(instrument)}; from the table ({row.source}, {row.date})",))


def _told(instrument: Instrument) -> str:
    base = instrument.get_base_currency()
    currency = f"{base.code} priced in" if base else "in"
    kind = f"inverse {class_of(instrument)}" if instrument.is_inverse else str(class_of(instrument))
    fees = " and ".join(sorted({str(instrument.maker_fee), str(instrument.taker_fee)}))
    return (
        f"new instrument {instrument.id}: {kind} {currency} {instrument.quote_currency.code}, prices by {instrument.price_increment}, "
        f"sizes by {instrument.size_increment}, multiplier {instrument.multiplier}, fees {fees}"
    )
