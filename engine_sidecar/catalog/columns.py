"""Which columns each type of data needs, by which names people call them, and what a header tells about their cells."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.catalog.reading import DataType, Stamp
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.vendors import Vendor, of_header

_UTC_TIME: Final = ("timestamp_utc", "datetime_utc", "time_utc")
_TIME: Final = ("timestamp", "time", "datetime", "date", *_UTC_TIME, "ts_event")
_OPEN_TIME: Final = ("open_time", "opentime", "time_open", "gmt_time")
"""Gmt time is what Dukascopy calls the open."""
_CLOSE_TIME: Final = ("close_time", "closetime", "time_close")
_INDEX: Final = "__index_level_0__"
"""Pandas calls an index so that has no name; it is a time where there is no other."""
NUMBERS: Final[dict[DataType, tuple[str, ...]]] = {
    DataType.BARS: ("open", "high", "low", "close", "volume"),
    DataType.QUOTES: ("bid_price", "ask_price", "bid_size", "ask_size"),
    DataType.TRADES: ("price", "size"),
}
SIZES: Final = ("volume", "bid_size", "ask_size", "size")
_NAMES: Final[dict[DataType, dict[str, tuple[str, ...]]]] = {
    DataType.BARS: {
        "timestamp": (*_OPEN_TIME, *_CLOSE_TIME, *_TIME, _INDEX),
        "open": ("open", "o"),
        "high": ("high", "h"),
        "low": ("low", "l"),
        "close": ("close", "c"),
        "volume": ("volume", "vol", "v"),
    },
    DataType.QUOTES: {
        "timestamp": (*_TIME, _INDEX),
        "bid_price": ("bid_price", "bid"),
        "ask_price": ("ask_price", "ask"),
        "bid_size": ("bid_size", "bid_qty", "bid_quantity"),
        "ask_size": ("ask_size", "ask_qty", "ask_quantity"),
    },
    DataType.TRADES: {
        "timestamp": (*_TIME, _INDEX),
        "price": ("price",),
        "size": ("size", "quantity", "qty", "amount", "volume"),
    },
}
_MAKER_TITLES: Final = ("is_buyer_maker", "buyer_maker")
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
        "time_of_day": ("time_of_day",),
    },
    DataType.QUOTES: {"symbol": _SYMBOL, "time_of_day": ("time_of_day",)},
    DataType.TRADES: {
        "side": ("side", "aggressor_side", *_MAKER_TITLES),
        "trade_id": ("trade_id", "id"),
        "symbol": _SYMBOL,
        "time_of_day": ("time_of_day",),
    },
}
_SIDES: Final = {
    **dict.fromkeys(("buy", "b", "buyer"), "BUYER"),
    **dict.fromkeys(("sell", "s", "seller"), "SELLER"),
    **dict.fromkeys(("", "none", "no_aggressor", "unknown"), "NO_AGGRESSOR"),
}
_MAKER_SIDES: Final = {"true": "SELLER", "false": "BUYER"}


class Layout(msgspec.Struct, frozen=True):
    """Where each field stands in a row, and under which name its file calls it; `ignored` columns are not read.

    What the header tells of the cells: `stamp` of a bar's time, None where it does not say; `time_format` and `timezone`
    of a vendor's times; `fixed_decimals` of prices that are written as whole numbers; `sides` by the words for them.
    `vendor` is whose layout it is, if anybody's that is known. `is_dated_at_midnight`: a bar of days has midnight for its time.
    """

    positions: dict[str, int]
    titles: dict[str, str]
    ignored: tuple[str, ...]
    sides: dict[str, str]
    stamp: Stamp | None = None
    time_format: str | None = None
    timezone: str | None = None
    fixed_decimals: int = 0
    vendor: str = ""
    is_newest_first: bool = False
    is_dated_at_midnight: bool = False

    def pick(self, row: Sequence[str], field: str) -> str:
        """The field's text in `row`, empty when the file has no such column."""
        position = self.positions.get(field)
        return "" if position is None else row[position].strip()

    def pick_time(self, row: Sequence[str]) -> str:
        """The text of the row's time, of both columns where day and time of day have one each."""
        text = self.pick(row, "timestamp")
        return f"{text} {self.pick(row, 'time_of_day')}" if "time_of_day" in self.positions else text


def layout(
    data_type: DataType,
    header: Sequence[str],
    vendor: Vendor | None = None,
    *,
    has_default_size: bool = False,
) -> Layout:
    """Finds the fields of `data_type` in a header, whatever the case; raises ImportRefusedError naming what is missing.

    `vendor` is whose the file is known to be from its first row. The first line of a file that is no table may be anything, a
    secret too: of a header that is refused nothing is told but which columns it has of those that are needed.
    """
    seen = normal(header)
    vendor = vendor or of_header(data_type, seen)
    names = _NAMES[data_type] | _OPTIONAL[data_type] | (vendor.names if vendor else {})
    positions = _positions(seen, names)
    if seen[positions.get("timestamp", 0)] == "time" and "date" in seen:
        positions |= {"timestamp": seen.index("date"), "time_of_day": seen.index("time")}
    missing = [field for field in _NAMES[data_type] if field not in positions]
    if has_default_size:
        missing = [field for field in missing if field not in SIZES]
    if missing:
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
        stamp=_stamp(seen, positions, vendor) if data_type is DataType.BARS else None,
        sides=_sides(seen, positions, vendor),
        **(_of_vendor(vendor) or _of_title(seen[positions["timestamp"]])),
    )


def normal(header: Sequence[str]) -> list[str]:
    """Titles as they are compared."""
    return [title.strip().lower().replace(" ", "_") for title in header]


def _of_vendor(vendor: Vendor | None) -> dict[str, Any]:
    if vendor is None:
        return {}
    return {
        "vendor": vendor.name,
        "time_format": vendor.time_format,
        "timezone": vendor.timezone,
        "fixed_decimals": vendor.fixed_decimals,
        "is_newest_first": vendor.is_newest_first,
        "is_dated_at_midnight": vendor.is_dated_at_midnight,
    }


def _of_title(title: str) -> dict[str, Any]:
    return {"timezone": "UTC"} if title in _UTC_TIME else {}


def _sides(seen: Sequence[str], positions: Mapping[str, int], vendor: Vendor | None) -> dict[str, str]:
    if vendor and vendor.sides:
        return vendor.sides
    is_maker = "side" in positions and seen[positions["side"]] in _MAKER_TITLES
    return _MAKER_SIDES if is_maker else _SIDES


def _stamp(seen: Sequence[str], positions: Mapping[str, int], vendor: Vendor | None) -> Stamp | None:
    title = seen[positions["timestamp"]]
    if title in _OPEN_TIME:
        return Stamp.OPEN
    if title in _CLOSE_TIME:
        return Stamp.CLOSE
    return vendor.stamp if vendor else None


def _positions(seen: Sequence[str], fields: Mapping[str, Sequence[str]]) -> dict[str, int]:
    found = {
        field: next(
            (index for name in names for index, title in enumerate(seen) if fnmatchcase(title, name)), None
        )
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
    why = f"{data_type} need the columns {', '.join(needed)}; there is no {', '.join(missing)}, only {has}"
    return f"{why}: give --default-size for all rows" if set(missing) <= set(SIZES) else why
