"""Columns of text as NautilusTrader's files have them, each checked as a whole; the first cell that is unsound is named."""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model.enums import BookAction, OrderSide
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA

from flotilla.engine_sidecar.catalog.event_layouts import LEVELS
from flotilla.engine_sidecar.catalog.instruments import allows_negative_prices
from flotilla.engine_sidecar.catalog.moments import Clock
from flotilla.engine_sidecar.catalog.plain_times import NotPlainError, moments
from flotilla.engine_sidecar.catalog.records import LARGEST
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError, shown
from flotilla.engine_sidecar.catalog.tables import NUMBER, SCALE
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.schemas.backtest import ORDER_BOOKS, DataKind

_DECIMAL: Final = rf"^-?[0-9]{{1,20}}(?:\.[0-9]{{1,{SCALE}}})?$"
_RATE: Final = r"^-?[0-9]{1,4}(?:\.[0-9]{1,18})?(?:[eE]-[0-9]{1,2})?$"
_IS_SNAPSHOT: Final = "^(?i:true|false|snap|set)$"
_WHOLE: Final = r"^[0-9]{0,18}$"
_MOST: Final = {pa.uint8(): 255, pa.uint64(): 10**18}
_ACTIONS: Final = {
    "add": BookAction.ADD,
    "update": BookAction.UPDATE,
    "delete": BookAction.DELETE,
    "clear": BookAction.CLEAR,
}
_SIDES: Final = {
    "buy": OrderSide.BUY,
    "bid": OrderSide.BUY,
    "sell": OrderSide.SELL,
    "ask": OrderSide.SELL,
    "b": OrderSide.BUY,
    "a": OrderSide.SELL,
    "": OrderSide.NO_ORDER_SIDE,
}
_LAST, _SNAPSHOT = 128, 32
_LATEST: Final = 1 << 62
_LONGEST_INTERVAL: Final = 7 * 24 * 60
"""Minutes between two fundings."""


class Cells(NamedTuple):
    """The columns of one file: `columns` by field, the `titles` of fields, and the `lines` that the rows stand in."""

    file: Path
    columns: dict[str, Any]
    titles: dict[str, str]
    lines: Any
    clock: Clock

    def refuse(self, field: str, is_wrong: Any, why: str) -> None:
        """Raises ImportRefusedError for the first row where `is_wrong`, if there is one."""
        wrong = np.flatnonzero(pc.fill_null(is_wrong, True).to_numpy(zero_copy_only=False))
        if len(wrong):
            at = int(wrong[0])
            cell = str(self.columns[field][at].as_py()) if field in self.columns else ""
            raise ImportRefusedError(
                f"{shown(cell)} {why}", self.file, int(self.lines[at]), self.titles.get(field)
            )

    def where(self, is_kept: Any) -> "Cells":
        """Some of the rows."""
        kept = {field: column.filter(is_kept) for field, column in self.columns.items()}
        return self._replace(columns=kept, lines=self.lines[is_kept.to_numpy(zero_copy_only=False)])

    def matching(self, field: str, pattern: str, what: str) -> Any:
        """A column whose cells all have a form."""
        column = self.columns[field]
        self.refuse(field, pc.invert(pc.match_substring_regex(column, pattern)), f"is no {what}")
        return column


def written(kind: DataKind, cells: Cells, instrument: Instrument) -> pa.Table:
    """The rows as a file of the catalog has them. Raises ImportRefusedError."""
    known = _times(cells, "known")
    event = _times(cells, "event") if "event" in cells.columns else known
    made = {"ts_event": event, "ts_init": known} | _FIELDS[kind](cells, instrument)
    schema = schema_of(kind, instrument)
    return pa.table([made[name] for name in schema.names], schema=schema)


def schema_of(kind: DataKind, instrument: Instrument) -> pa.Schema:
    """With what NautilusTrader says in its files of a kind."""
    said = {"instrument_id": instrument.id.value}
    if kind is not DataKind.FUNDING_RATES:
        said["price_precision"] = str(instrument.price_precision)
    if kind in ORDER_BOOKS:
        said["size_precision"] = str(instrument.size_precision)
    return NAUTILUS_ARROW_SCHEMA[KINDS[kind]].with_metadata(said)


def _times(cells: Cells, field: str) -> Any:
    column = cells.columns[field]
    cells.refuse(field, pc.equal(column, ""), "is no time")
    try:
        found = moments(column, cells.clock)
    except (NotPlainError, pa.ArrowInvalid) as error:
        raise ImportRefusedError(
            f"no times that can be read as they are ({error}): give epochs of one unit, or ISO 8601 with a zone or --timezone",
            cells.file,
            column=cells.titles[field],
        ) from None
    cells.refuse(field, pc.or_(pc.less(found, 0), pc.greater(found, _LATEST)), "is no time of a market")
    return found.cast(pa.uint64())


def _decimals(cells: Cells, field: str, precision: int, *, least: int | None) -> Any:
    """Raw numbers. `least` is the bound that a number has to be above, None for no such bound."""
    number = cells.matching(field, _DECIMAL, "decimal number").cast(NUMBER)
    cells.refuse(field, pc.greater(pc.abs(number), pa.scalar(LARGEST, NUMBER)), "is too large")
    if least is not None:
        cells.refuse(field, pc.less_equal(number, pa.scalar(least, NUMBER)), f"is not above {least}")
    digits = pc.round(number, precision)
    cells.refuse(
        field, pc.not_equal(digits, number), f"has more than the {precision} decimals of the instrument"
    )
    whole = number.combine_chunks() if isinstance(number, pa.ChunkedArray) else number
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(whole), [None, whole.buffers()[1]], offset=whole.offset
    )


def _price(cells: Cells, field: str, instrument: Instrument) -> Any:
    least = None if allows_negative_prices(instrument) else 0
    return _decimals(cells, field, instrument.price_precision, least=least)


def _value(cells: Cells, instrument: Instrument) -> dict[str, Any]:
    return {"value": _price(cells, "value", instrument)}


def _funding(cells: Cells, _: Instrument) -> dict[str, Any]:
    rate = cells.matching("rate", _RATE, "funding rate, a share such as 0.0001")
    rows = len(rate)
    interval = pa.nulls(rows, pa.uint16())
    for field, minutes in (("interval_minutes", 1), ("interval_hours", 60)):
        if field in cells.columns:
            text = cells.matching(field, r"^(?:[0-9]{1,5})?$", "whole number")
            told = pc.replace_with_mask(text, pc.equal(text, ""), pa.scalar(None, pa.string()))
            whole = pc.multiply(told.cast(pa.int64()), minutes)
            is_wrong = pc.or_(pc.less(whole, 1), pc.greater(whole, _LONGEST_INTERVAL))
            cells.refuse(
                field, pc.fill_null(is_wrong, False), "is no time between two fundings, a week at most"
            )
            interval = whole.cast(pa.uint16())
    following = pa.nulls(rows, pa.uint64())
    if "next_funding" in cells.columns:
        is_told = pc.not_equal(cells.columns["next_funding"], "")
        if pc.any(is_told).as_py():
            following = pc.replace_with_mask(following, is_told, _times(cells.where(is_told), "next_funding"))
    quoted = pc.binary_join_element_wise('"', rate, '"', "")
    return {"rate": quoted.cast(pa.binary()), "interval": interval, "next_funding_ns": following}


def _coded(cells: Cells, field: str, codes: dict[str, Any], what: str) -> Any:
    words = pc.utf8_lower(cells.columns[field]).dictionary_encode()
    known = [codes.get(word) for word in words.dictionary.to_pylist()]
    numbers = pa.array([None if one is None else int(one) for one in known], pa.uint8()).take(words.indices)
    cells.refuse(
        field, pc.is_null(numbers), f"is no {what}: there are {', '.join(word for word in codes if word)}"
    )
    return numbers


def _whole(cells: Cells, field: str, rows: int, kind: pa.DataType) -> Any:
    if field not in cells.columns:
        return pa.array(np.zeros(rows, np.int64)).cast(kind)
    cells.refuse(
        field,
        pc.invert(pc.match_substring_regex(cells.columns[field], _WHOLE)),
        "is no whole number that fits",
    )
    text = pc.if_else(pc.equal(cells.columns[field], ""), "0", cells.columns[field])
    number = text.cast(pa.int64())
    cells.refuse(field, pc.greater(number, _MOST[kind]), "is no whole number that fits")
    return number.cast(kind)


def _deltas(cells: Cells, instrument: Instrument) -> dict[str, Any]:
    """A CLEAR needs neither side nor price nor size; a DELETE may have a size of 0."""
    rows = len(cells.columns["known"])
    action = _coded(cells, "action", _ACTIONS, "change of an order book")
    is_clear = pc.equal(action, int(BookAction.CLEAR))
    side = _coded(cells, "side", _SIDES, "side")
    is_sided = pc.not_equal(side, int(OrderSide.NO_ORDER_SIDE))
    cells.refuse("side", pc.invert(pc.or_(is_clear, is_sided)), "is no side of an order book")
    numbers = {field: pc.if_else(is_clear, "0", cells.columns[field]) for field in ("price", "size")}
    plain = cells._replace(columns={**cells.columns, **numbers})
    price = _decimals(plain, "price", instrument.price_precision, least=None)
    size = _decimals(plain, "size", instrument.size_precision, least=-1)
    amount = numbers["size"].cast(NUMBER)
    is_changed = pc.is_in(action, pa.array([int(BookAction.ADD), int(BookAction.UPDATE)], pa.uint8()))
    cells.refuse("size", pc.and_(is_changed, pc.less_equal(amount, 0)), "is no size of an order")
    cells.refuse("size", pc.less(amount, 0), "is below 0")
    if not allows_negative_prices(instrument):
        is_low = pc.less_equal(numbers["price"].cast(NUMBER), 0)
        cells.refuse("price", pc.and_(pc.invert(is_clear), is_low), "is not above 0")
    return {
        "action": action,
        "side": side,
        "price": price,
        "size": size,
        "order_id": _whole(cells, "order_id", rows, pa.uint64()),
        "flags": _whole(cells, "flags", rows, pa.uint8()),
        "sequence": _whole(cells, "sequence", rows, pa.uint64()),
    }


def _depths(cells: Cells, instrument: Instrument) -> dict[str, Any]:
    """Ten levels of each side, the best first: NautilusTrader 1.231.0 cannot write books that have fewer."""
    rows = len(cells.columns["known"])
    made: dict[str, Any] = {}
    for field in LEVELS:
        if "price" in field:
            made[field] = _price(cells, field, instrument)
        else:
            made[field] = _decimals(cells, field, instrument.size_precision, least=0)
            made[field.replace("size", "count")] = pa.array(np.ones(rows, np.uint32))
    number = {field: cells.columns[field].cast(NUMBER) for field in LEVELS if "price" in field}
    cells.refuse(
        "ask_price_0", pc.less(number["ask_price_0"], number["bid_price_0"]), "is below the best bid"
    )
    for level in range(1, 10):
        for side, is_wrong in (("bid", pc.greater_equal), ("ask", pc.less_equal)):
            field, better = f"{side}_price_{level}", f"{side}_price_{level - 1}"
            cells.refuse(field, is_wrong(number[field], number[better]), "is no worse than the level before")
    flags, sequence = _whole(cells, "flags", rows, pa.uint8()), _whole(cells, "sequence", rows, pa.uint64())
    return made | {"flags": flags, "sequence": sequence}


def of_snapshots(cells: Cells) -> Cells:
    """Levels and what they became, as changes of a book: a snapshot begins with a CLEAR, an amount of 0 is a DELETE.

    The CLEAR and the last change of each moment of the exchange are flagged, as NautilusTrader's own loader does: by that moment
    it also tells a snapshot from one that follows it at once.
    """
    told = pc.utf8_lower(cells.matching("is_snapshot", _IS_SNAPSHOT, "true or false, nor snap or set"))
    is_snapshot = pc.is_in(told, pa.array(["true", "snap"])).to_numpy(zero_copy_only=False)
    stamps = np.asarray(cells.columns.get("event", cells.columns["known"]).to_pylist())
    is_other = stamps[1:] != stamps[:-1]
    starts = is_snapshot & np.concatenate([[True], ~is_snapshot[:-1] | is_other])
    rows = np.repeat(np.arange(len(starts)), 1 + starts)
    is_clear = np.concatenate([[False], rows[1:] == rows[:-1]])
    is_clear = np.concatenate([is_clear[1:], [False]])
    taken = {field: column.take(pa.array(rows)) for field, column in cells.columns.items()}
    is_gone = pc.match_substring_regex(taken["size"], r"^0*(?:\.0*)?$").to_numpy(zero_copy_only=False)
    in_snapshot = is_snapshot[rows]
    action = np.where(is_clear, "clear", np.where(is_gone, "delete", np.where(in_snapshot, "add", "update")))
    is_last = np.concatenate([is_other, [True]])[rows] & ~is_clear
    taken["action"] = pa.array(action.tolist())
    taken["side"] = pc.if_else(pa.array(is_clear), "", taken["side"])
    taken["flags"] = pa.array(np.where(is_last, _LAST, 0) | np.where(is_clear, _SNAPSHOT, 0)).cast(
        pa.string()
    )
    del taken["is_snapshot"]
    return cells._replace(columns=taken, lines=np.asarray(cells.lines)[rows])


_FIELDS: Final = {
    DataKind.MARK_PRICES: _value,
    DataKind.INDEX_PRICES: _value,
    DataKind.FUNDING_RATES: _funding,
    DataKind.ORDER_BOOK_DELTAS: _deltas,
    DataKind.ORDER_BOOK_DEPTHS: _depths,
}
IMPORTED: Final = tuple(_FIELDS)
"""The kinds that can be imported beside bars, quotes and trades."""
