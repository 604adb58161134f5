"""Files as Databento's feed handler writes them, by Databento's own encoder: E-mini futures of two expiries."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import databento_dbn as dbn
import pyarrow as pa

FIRST_NS = 1_700_000_000_000_000_000
RAW_PRICE = 10**9
NO_PRICE = dbn.UNDEF_PRICE
_IDS = {"ESH4": 17_077, "ESM4": 5_602}
_PUBLISHER = 1
"""CME Globex."""


class Interval(NamedTuple):
    """When an instrument id stood for a symbol."""

    start_date: date
    end_date: date
    symbol: str


class Mapping(NamedTuple):
    """The instrument ids of a symbol."""

    raw_symbol: str
    intervals: list[Any]


def metadata(schema: str | None, symbols: Sequence[str] = ("ESH4",)) -> bytes:
    """What stands before the records of a request for these symbols."""
    first, end = date(2023, 11, 14), date(2023, 11, 16)
    mappings: list[Any] = [Mapping(symbol, [Interval(first, end, str(_IDS[symbol]))]) for symbol in symbols]
    return bytes(
        dbn.Metadata(
            dataset="GLBX.MDP3",
            start=FIRST_NS,
            end=FIRST_NS + 86_400 * 10**9,
            stype_in=dbn.SType.RAW_SYMBOL,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=dbn.Schema(schema) if schema else None,
            symbols=list(symbols),
            mappings=mappings,
        )
    )


def written(file: Path, head: bytes, records: Iterable[Any]) -> Path:
    """Packed by zstd when the file's name says so."""
    whole = head + b"".join(bytes(record) for record in records)
    file.write_bytes(pa.compress(whole, "zstd", asbytes=True) if file.suffix == ".zst" else whole)
    return file


def trades(count: int = 5, symbol: str = "ESH4") -> list[Any]:
    """A second apart; bought and sold in turn."""
    return [
        dbn.TradeMsg(
            **_of(symbol, number),
            ts_recv=_at(number) + 1_000,
            price=(4_500 + number) * RAW_PRICE + RAW_PRICE // 4,
            size=number + 1,
            action=dbn.Action.TRADE,
            side=dbn.Side.BID if number % 2 else dbn.Side.ASK,
            depth=0,
        )
        for number in range(count)
    ]


def quotes(
    count: int = 5, symbol: str = "ESH4", schema: str = "mbp-1", without_ask: int | None = None
) -> list[Any]:
    """The best bid and offer, half a point apart; one of them may have no offer."""
    made = []
    for number in range(count):
        bid = (4_500 + number) * RAW_PRICE
        ask = NO_PRICE if number == without_ask else bid + RAW_PRICE // 2
        shared: dict[str, Any] = {
            **_of(symbol, number),
            "ts_recv": _at(number) + 1_000,
            "price": bid,
            "size": 1,
            "side": dbn.Side.BID,
            "levels": dbn.BidAskPair(
                bid_px=bid, ask_px=ask, bid_sz=number + 3, ask_sz=number + 4 if ask < NO_PRICE else 0
            ),
        }
        if schema.startswith("bbo"):
            rtype = dbn.RType.from_schema(dbn.Schema(schema))
            made.append(dbn.BBOMsg(rtype=int(rtype), **shared))
        else:
            action = dbn.Action.TRADE if schema == "tbbo" else dbn.Action.ADD
            made.append(dbn.MBP1Msg(action=action, depth=0, **shared))
    return made


def bars(count: int = 5, symbol: str = "ESH4") -> list[Any]:
    """Of a minute each."""
    return [
        dbn.OHLCVMsg(
            rtype=int(dbn.RType.OHLCV_1M),
            **{**_of(symbol, number), "ts_event": FIRST_NS + number * 60 * 10**9},
            open=4_500 * RAW_PRICE,
            high=(4_502 + number) * RAW_PRICE,
            low=4_499 * RAW_PRICE,
            close=4_501 * RAW_PRICE,
            volume=100 + number,
        )
        for number in range(count)
    ]


def definition(symbol: str = "ESH4", tick: int = RAW_PRICE // 4, number: int = 0) -> Any:
    """The future, as it is defined at a moment."""
    return dbn.InstrumentDefMsg(
        **_of(symbol, number),
        ts_recv=_at(number),
        min_price_increment=tick,
        display_factor=RAW_PRICE,
        raw_symbol=symbol,
        asset="ES",
        security_type="FUT",
        instrument_class=dbn.InstrumentClass.FUTURE,
        security_update_action=dbn.SecurityUpdateAction.ADD,
        activation=FIRST_NS - 86_400 * 10**9,
        expiration=FIRST_NS + 100 * 86_400 * 10**9,
        unit_of_measure_qty=50 * RAW_PRICE,
        currency="USD",
        exchange="XCME",
        cfi="FFIXSX",
        underlying="ES",
    )


def _of(symbol: str, number: int) -> dict[str, int]:
    return {"publisher_id": _PUBLISHER, "instrument_id": _IDS[symbol], "ts_event": _at(number)}


def _at(number: int) -> int:
    return FIRST_NS + number * 10**9
