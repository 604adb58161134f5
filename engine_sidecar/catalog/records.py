"""Turns rows of text into checked records: every rule about market data that an import enforces stands here."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from engine_sidecar.catalog.columns import DataType, Layout, layout
from engine_sidecar.catalog.refusal import ImportRefusedError
from engine_sidecar.catalog.rows import opened
from engine_sidecar.catalog.times import midnight_ns, parse_time

_SIDES: Final = {
    "buy": "BUYER",
    "b": "BUYER",
    "buyer": "BUYER",
    "sell": "SELLER",
    "s": "SELLER",
    "seller": "SELLER",
}
_NO_SIDE: Final = ("", "none", "no_aggressor", "unknown")
_PRICES: Final = ("open", "high", "low", "close", "bid_price", "ask_price", "price")
_DAY: Final = timedelta(days=1)
_LARGEST: Final = 10**12  # and with 16 decimals still within the 28 digits of Python's decimals


class Record(NamedTuple):
    """One checked row: when it became known (ns), its numbers by field, and for trades side and id."""

    ts: int
    numbers: dict[str, Decimal]
    side: str = "NO_AGGRESSOR"
    trade_id: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read: `step` is a bar's length, `stamps_open` when the file's times are those of a bar's open.

    A precision of None keeps all decimals; otherwise numbers are rounded half to even.
    """

    data_type: DataType
    zone: ZoneInfo | None = None
    step: timedelta | None = None
    stamps_open: bool = False
    price_precision: int | None = None
    size_precision: int | None = None


def records(file: Path, how: Reading) -> Iterator[Record]:
    """The records of `file` in time order; raises ImportRefusedError at the first row that is not sound."""
    with opened(file) as (header, rows):
        try:
            where = layout(how.data_type, header)
        except ImportRefusedError as error:
            raise ImportRefusedError(str(error), file) from None
        last = -1
        for line, row in rows:
            try:
                record = _record(where, how, row)
                _check_order(last, record.ts, how.data_type, where)
            except _FieldError as error:
                raise ImportRefusedError(error.what, file, line, error.column) from None
            last = record.ts
            yield record
        if last < 0:
            raise ImportRefusedError("holds no rows", file)


class _FieldError(Exception):
    def __init__(self, what: str, column: str | None = None) -> None:
        super().__init__(what)
        self.what, self.column = what, column


def _record(where: Layout, how: Reading, row: Sequence[str]) -> Record:
    numbers = {
        field: _number(where.pick(row, field), field, where, how)
        for field in where.positions
        if field not in ("timestamp", "side", "trade_id")
    }
    _CHECKS[how.data_type](numbers, where)
    side = where.pick(row, "side").lower()
    if side not in _SIDES and side not in _NO_SIDE:
        raise _FieldError(f"{side!r} is neither buy nor sell", where.titles["side"])
    ts = _time(where.pick(row, "timestamp"), where, how)
    return Record(ts, numbers, _SIDES.get(side, "NO_AGGRESSOR"), where.pick(row, "trade_id"))


def _number(text: str, field: str, where: Layout, how: Reading) -> Decimal:
    title = where.titles[field]
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _FieldError(f"{text!r} is no number" if text else "is empty", title) from None
    if not number.is_finite():
        raise _FieldError(f"{text!r} is not a finite number", title)
    if abs(number) > _LARGEST:
        raise _FieldError(f"{text} is more than NautilusTrader's numbers can hold", title)
    precision = how.price_precision if field in _PRICES else how.size_precision
    if precision is not None:
        number = number.quantize(Decimal(1).scaleb(-precision), ROUND_HALF_EVEN)
    if field in _PRICES and number <= 0:
        raise _FieldError(f"price {text} is not positive", title)
    if number < 0:
        raise _FieldError(f"size {text} is negative", title)
    return number


def _check_bar(numbers: dict[str, Decimal], where: Layout) -> None:
    high, low = numbers["high"], numbers["low"]
    for field in ("open", "close", "low"):
        if numbers[field] > high:
            raise _FieldError(f"{field} {numbers[field]} is above the high {high}", where.titles[field])
    for field in ("open", "close"):
        if numbers[field] < low:
            raise _FieldError(f"{field} {numbers[field]} is below the low {low}", where.titles[field])


def _check_quote(numbers: dict[str, Decimal], where: Layout) -> None:
    if numbers["bid_price"] > numbers["ask_price"]:
        raise _FieldError(
            f"bid {numbers['bid_price']} is above the ask {numbers['ask_price']}", where.titles["bid_price"]
        )


def _check_trade(numbers: dict[str, Decimal], where: Layout) -> None:
    if numbers["size"] <= 0:
        raise _FieldError(f"size {numbers['size']} is not positive", where.titles["size"])


_CHECKS: Final = {DataType.BARS: _check_bar, DataType.QUOTES: _check_quote, DataType.TRADES: _check_trade}


def _time(text: str, where: Layout, how: Reading) -> int:
    """When the row became known: for a bar its close, so that no strategy ever sees a price before its time.

    A date names a whole day: its bar closes at the midnight that ends it, in the zone given or in UTC.
    """
    try:
        moment = parse_time(text, how.zone)
        if isinstance(moment, date):
            return _end_of_days(moment, how)
    except (ValueError, OverflowError) as error:
        raise _FieldError(str(error), where.titles["timestamp"]) from None
    if how.stamps_open and how.step:
        moment += int(how.step / timedelta(microseconds=1)) * 1000
    return moment


def _end_of_days(day: date, how: Reading) -> int:
    if how.step is None or how.step % _DAY:
        raise ValueError(f"{day} has no time of day, which only bars of whole days may lack")
    return midnight_ns(day + how.step, how.zone)


def _check_order(last: int, ts: int, data_type: DataType, where: Layout) -> None:
    if ts < 0:
        raise _FieldError("is before 1970", where.titles["timestamp"])
    if ts < last:
        raise _FieldError("is earlier than the row before", where.titles["timestamp"])
    if ts == last and data_type is DataType.BARS:
        raise _FieldError("is the same as in the row before", where.titles["timestamp"])
