"""Which columns each type of data needs, by which names people call them, and what a header tells about their cells."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError


class DataType(StrEnum):
    """What can be imported."""

    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"


class Stamp(StrEnum):
    """Which moment of a bar its time is."""

    OPEN = "open"
    CLOSE = "close"


_TIME: Final = ("timestamp", "time", "datetime", "date", "ts_event")
_OPEN_TIME: Final = ("open_time", "opentime", "time_open", "gmt_time")
"""Gmt time is what Dukascopy calls the open."""
_CLOSE_TIME: Final = ("close_time", "closetime", "time_close")
_NAMES: Final[dict[DataType, dict[str, tuple[str, ...]]]] = {
    DataType.BARS: {
        "timestamp": (*_OPEN_TIME, *_CLOSE_TIME, *_TIME),
        "open": ("open", "o"),
        "high": ("high", "h"),
        "low": ("low", "l"),
        "close": ("close", "c"),
        "volume": ("volume", "vol", "v"),
    },
    DataType.QUOTES: {
        "timestamp": _TIME,
        "bid_price": ("bid_price", "bid"),
        "ask_price": ("ask_price", "ask"),
        "bid_size": ("bid_size", "bid_qty", "bid_quantity"),
        "ask_size": ("ask_size", "ask_qty", "ask_quantity"),
    },
    DataType.TRADES: {
        "timestamp": _TIME,
        "price": ("price",),
        "size": ("size", "quantity", "qty", "amount", "volume"),
    },
}
_SYMBOL: Final = (
    "symbol",
    "ticker",
    "raw_symbol",
    "instrument",
    "product_id",
    "pair",
    "ric",
    "isin",
    "instrument_id",
)
"""Tells rows of several instruments apart; Databento's files have no other column for it than instrument_id unless asked."""
_OPTIONAL: Final[dict[DataType, dict[str, tuple[str, ...]]]] = {
    DataType.BARS: {
        "close_time": _CLOSE_TIME,
        "adjusted_close": ("adj_close", "adjclose", "adjusted_close"),
        "symbol": _SYMBOL,
    },
    DataType.QUOTES: {"symbol": _SYMBOL},
    DataType.TRADES: {"side": ("side", "aggressor_side"), "trade_id": ("trade_id", "id"), "symbol": _SYMBOL},
}
_DATABENTO: Final = {"ts_event", "rtype", "publisher_id"}


class Layout(msgspec.Struct, frozen=True):
    """Where each field stands in a row, and under which name its file calls it; `ignored` columns are not read.

    What the header tells of the cells: `stamp` of a bar's time, None where it does not say; `time_format` and `timezone`
    of a vendor's times; `fixed_decimals` of prices that are written as whole numbers.
    """

    positions: dict[str, int]
    titles: dict[str, str]
    ignored: tuple[str, ...]
    stamp: Stamp | None = None
    time_format: str | None = None
    timezone: str | None = None
    fixed_decimals: int = 0

    def pick(self, row: Sequence[str], field: str) -> str:
        """The field's text in `row`, empty when the file has no such column."""
        position = self.positions.get(field)
        return "" if position is None else row[position].strip()


def layout(data_type: DataType, header: Sequence[str]) -> Layout:
    """Finds the fields of `data_type` in a header, whatever the case; raises ImportRefusedError naming what is missing.

    The first line of a file that is no table may be anything, a secret too: of a header that is refused nothing is told
    but which columns it has of those that are needed.
    """
    seen = [title.strip().lower().replace(" ", "_") for title in header]
    needed, optional = _NAMES[data_type], _OPTIONAL[data_type]
    positions = _positions(seen, needed | optional)
    if missing := [field for field in needed if field not in positions]:
        raise ImportRefusedError(_what_is_missing(data_type, positions, missing, len(header)))
    if repeated := next((title for title in seen if title and seen.count(title) > 1), None):
        both = [str(place) for place, title in enumerate(seen, start=1) if title == repeated]
        raise ImportRefusedError(f"columns {' and '.join(both)} have the same name")
    if seen[positions["timestamp"]] in _CLOSE_TIME:
        del positions["close_time"]
    used = set(positions.values())
    return Layout(
        positions=positions,
        titles={field: header[position].strip() for field, position in positions.items()},
        ignored=tuple(title.strip() for index, title in enumerate(header) if index not in used),
        stamp=_stamp(seen, positions) if data_type is DataType.BARS else None,
        time_format="%d.%m.%Y %H:%M:%S.%f" if "gmt_time" in seen else None,
        timezone="UTC" if "gmt_time" in seen else None,
        fixed_decimals=9 if set(seen) >= _DATABENTO else 0,
    )


def _stamp(seen: Sequence[str], positions: Mapping[str, int]) -> Stamp | None:
    title = seen[positions["timestamp"]]
    if title in _OPEN_TIME or (title == "ts_event" and set(seen) >= _DATABENTO):
        return Stamp.OPEN
    return Stamp.CLOSE if title in _CLOSE_TIME else None


def _positions(seen: Sequence[str], fields: Mapping[str, Sequence[str]]) -> dict[str, int]:
    found = {
        field: next((seen.index(name) for name in names if name in seen), None)
        for field, names in fields.items()
    }
    return {field: position for field, position in found.items() if position is not None}


def _what_is_missing(
    data_type: DataType, positions: Mapping[str, int], missing: Sequence[str], width: int
) -> str:
    needed = tuple(_NAMES[data_type])
    if len(missing) == len(needed):
        return (
            f"line 1 is no header of {data_type}, which need the columns {', '.join(needed)}: if the file has no header, "
            f"name its {width} columns in their order, such as --columns {','.join(needed)}"
        )
    has = ", ".join(field for field in needed if field in positions)
    return f"{data_type} need the columns {', '.join(needed)}; there is no {', '.join(missing)}, only {has}"
