"""Which columns each type of data needs, and by which names people call them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from engine_sidecar.catalog.refusal import ImportRefusedError


class DataType(StrEnum):
    """What can be imported."""

    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"


_TIME: Final = ("timestamp", "time", "datetime", "date", "ts_event", "open_time")
_NAMES: Final[dict[DataType, dict[str, tuple[str, ...]]]] = {
    DataType.BARS: {
        "timestamp": _TIME,
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
_OPTIONAL: Final[dict[DataType, dict[str, tuple[str, ...]]]] = {
    DataType.TRADES: {"side": ("side", "aggressor_side"), "trade_id": ("trade_id", "id")},
}


class Layout(msgspec.Struct, frozen=True):
    """Where each field stands in a row, and under which name its file calls it; `ignored` columns are not read."""

    positions: dict[str, int]
    titles: dict[str, str]
    ignored: tuple[str, ...]

    def pick(self, row: Sequence[str], field: str) -> str:
        """The field's text in `row`, empty when the file has no such column."""
        position = self.positions.get(field)
        return "" if position is None else row[position].strip()


def layout(data_type: DataType, header: Sequence[str]) -> Layout:
    """Finds the fields of `data_type` in a header, whatever the case; raises ImportRefusedError naming what is missing."""
    seen = [title.strip().lower().replace(" ", "_") for title in header]
    if duplicates := {title for title in seen if title and seen.count(title) > 1}:
        raise ImportRefusedError(f"column {sorted(duplicates)[0]!r} stands there twice")
    needed, optional = _NAMES[data_type], _OPTIONAL.get(data_type, {})
    positions = {
        field: position
        for field, names in (needed | optional).items()
        if (position := _first(seen, names)) is not None
    }
    if missing := [field for field in needed if field not in positions]:
        raise ImportRefusedError(
            f"{data_type} need the columns {', '.join(needed)}; there is no {', '.join(missing)} in "
            f"{', '.join(title.strip() for title in header) or 'an empty header'}"
        )
    used = set(positions.values())
    return Layout(
        positions=positions,
        titles={field: header[position].strip() for field, position in positions.items()},
        ignored=tuple(title.strip() for index, title in enumerate(header) if index not in used),
    )


def _first(seen: Sequence[str], names: Sequence[str]) -> int | None:
    return next((seen.index(name) for name in names if name in seen), None)
