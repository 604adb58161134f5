"""Turns rows of text into checked records: every rule about market data that an import enforces stands here."""

import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

from flotilla.engine_sidecar.catalog.columns import NUMBERS, Layout
from flotilla.engine_sidecar.catalog.moments import Clock, clock
from flotilla.engine_sidecar.catalog.reading import DataType, Reading
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError, shown
from flotilla.engine_sidecar.catalog.rows import layout_of, opened
from flotilla.engine_sidecar.catalog.vendors import side_of

PRICES: Final = ("open", "high", "low", "close", "bid_price", "ask_price", "price", "adjusted_close")
_TEXTS: Final = ("timestamp", "time_of_day", "close_time", "side", "trade_id", "symbol", "action")
_BAR_PRICES: Final = ("open", "high", "low", "close")
MAX_TRADE_ID: Final = 36
TRADE: Final = "T"
"""Databento's action of a trade; all others change the book, F too, which is the side of a trade that stood in it."""
UNDEFINED: Final = Decimal(2**63 - 1)
"""As a fixed-point price, Databento's mark for none: of the side of a book that is empty."""
LARGEST: Final = 10**12  # and with 16 decimals still within the 28 digits of Python's decimals


class Record(NamedTuple):
    """One checked row: when it became known (ns), its numbers by field, and for trades side and id."""

    ts: int
    numbers: dict[str, Decimal]
    side: str = "NO_AGGRESSOR"
    trade_id: str = ""


def records(file: Path, how: Reading) -> Iterator[Record]:
    """The records of `file`, in time order unless it is to be sorted; raises ImportRefusedError at the first row that is not sound."""
    with opened(file, how) as (sheet, rows):
        try:
            where = layout_of(sheet, how)
            times = _clock(where, how)
        except ImportRefusedError as error:
            raise ImportRefusedError(str(error), file) from None
        last, symbol, is_empty = -1, None, True
        is_sorted = not (how.sort or where.is_newest_first)
        for line, row in rows:
            if how.symbol is not None and where.pick(row, "symbol") != how.symbol:
                continue
            try:
                symbol = _check_symbol(symbol, where.pick(row, "symbol"), where)
                record = _record(where, how, times, row, last)
            except _FieldError as error:
                raise ImportRefusedError(error.what, file, line, error.column) from None
            last = record.ts if is_sorted else -1
            is_empty = False
            yield record
        if is_empty:
            raise ImportRefusedError(f"holds no rows{f' of {how.symbol}' if how.symbol else ''}", file)
        try:
            times.check_doubt()
        except ValueError as error:
            raise ImportRefusedError(str(error), file) from None


def _clock(where: Layout, how: Reading) -> Clock:
    return clock(
        where,
        zone=how.zone,
        time_format=how.time_format,
        step=how.step,
        stamp=how.stamp,
        is_bars=how.data_type is DataType.BARS,
        may_repeat=how.dedupe,
    )


class _FieldError(Exception):
    def __init__(self, what: str, column: str | None = None) -> None:
        super().__init__(what)
        self.what, self.column = what, column


def _record(where: Layout, how: Reading, times: Clock, row: Sequence[str], last: int) -> Record:
    _check_action(where.pick(row, "action"), where)
    numbers = {
        field: _number(where.pick(row, field), field, where, how)
        for field in where.positions
        if field not in _TEXTS
    }
    if (adjusted := numbers.pop("adjusted_close", None)) is not None:
        numbers |= _adjusted(numbers, adjusted, where, how)
    for field in NUMBERS[how.data_type]:
        if field not in numbers and how.default_size is not None:
            numbers[field] = how.default_size
    _CHECKS[how.data_type](numbers, where)
    text = where.pick(row, "side")
    side = side_of(text, where.sides) if "side" in where.positions else "NO_AGGRESSOR"
    if side is None:
        raise _FieldError(f"{shown(text)} is neither buy nor sell", where.titles["side"])
    ts = _time(row, where, times, last)
    return Record(ts, numbers, side, _trade_id(where.pick(row, "trade_id"), where))


def _check_action(text: str, where: Layout) -> None:
    if "action" in where.positions and text != TRADE:
        raise _FieldError(
            f"{shown(text)} is no trade: these are book updates; give a file of the trades schema",
            where.titles["action"],
        )


def _trade_id(text: str, where: Layout) -> str:
    if len(text) > MAX_TRADE_ID or not text.isascii():
        raise _FieldError(
            f"{shown(text)} is no trade id that NautilusTrader takes: {MAX_TRADE_ID} characters at most, all ASCII",
            where.titles["trade_id"],
        )
    return text


def _number(text: str, field: str, where: Layout, how: Reading) -> Decimal:
    title = where.titles[field]
    if how.thousands and how.thousands in text:
        text = _without_thousands(text, how, title)
    if how.decimal_mark == "," and "." in text:
        raise _FieldError(f"{shown(text)} has a point, and the decimal mark is a comma", title)
    try:
        number = Decimal(text.replace(",", ".") if how.decimal_mark == "," else text)
    except InvalidOperation:
        raise _FieldError(_no_number(text), title) from None
    if not number.is_finite():
        raise _FieldError(f"{shown(text)} is not a finite number", title)
    is_price = field in PRICES
    if is_price and where.fixed_decimals and "." not in text:
        number = number.scaleb(-where.fixed_decimals)
    if is_price and where.fixed_decimals and number == UNDEFINED.scaleb(-where.fixed_decimals):
        raise _FieldError(f"{shown(text)} stands for no price at all: leave out such rows", title)
    if abs(number) > LARGEST:
        raise _FieldError(f"{shown(text)} is more than NautilusTrader's numbers can hold", title)
    precision = how.price_precision if is_price else how.size_precision
    if precision is not None:
        number = number.quantize(Decimal(1).scaleb(-precision), ROUND_HALF_EVEN)
    if is_price and number <= 0 and not how.may_be_negative:
        raise _FieldError(
            f"price {text} is not positive, which only those of futures and commodities may be: "
            "the catalog has no such instrument of this name",
            title,
        )
    if not is_price and number < 0:
        raise _FieldError(f"size {text} is negative", title)
    return number


def _without_thousands(text: str, how: Reading, title: str) -> str:
    """The number without the marks between its thousands, which have to stand between thousands."""
    mark = re.escape(how.thousands or "")
    if not re.fullmatch(rf"-?\d{{1,3}}(?:{mark}\d{{3}})+(?:{re.escape(how.decimal_mark)}\d*)?", text):
        raise _FieldError(f"{shown(text)} is not parted into thousands by {how.thousands!r}", title)
    return text.replace(how.thousands or "", "")


def _no_number(text: str) -> str:
    if not text:
        return "is empty"
    if "," not in text:
        return f"{shown(text)} is no number"
    # A thousands separator that was taken for a decimal mark would make 1.234 of 1,234.
    if "." in text or text.count(",") > 1:
        return f"{shown(text)} is no number: give --thousands , if its commas set thousands apart"
    return f"{shown(text)} is no number: give --decimal , if its comma is the decimal mark"


def _adjusted(
    numbers: dict[str, Decimal], adjusted: Decimal, where: Layout, how: Reading
) -> dict[str, Decimal]:
    """The bar's prices as they were chosen; where the adjusted close is the close there is nothing to choose."""
    close = numbers["close"]
    if adjusted == close or how.prices == "raw":
        return {}
    if how.prices is None:
        raise _FieldError(
            f"{adjusted} is not the close {close}: give --prices raw or --prices adjusted",
            where.titles["adjusted_close"],
        )
    if close <= 0:
        raise _FieldError(
            f"close {close} cannot be scaled to {adjusted}: it is not positive", where.titles["close"]
        )
    decimals = max(_decimals(number) for number in (adjusted, *(numbers[field] for field in _BAR_PRICES)))
    exact = {field: numbers[field] * adjusted / close for field in _BAR_PRICES}
    if max(map(abs, exact.values())) > LARGEST:
        raise _FieldError(
            f"{adjusted} makes more of a price than can be held", where.titles["adjusted_close"]
        )
    cent = Decimal(1).scaleb(-decimals)
    scaled = {field: number.quantize(cent) for field, number in exact.items()}
    if min(scaled.values()) <= 0:
        raise _FieldError(
            f"{adjusted} leaves a price of nothing at {decimals} decimals", where.titles["adjusted_close"]
        )
    return scaled


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def _check_symbol(first: str | None, symbol: str, where: Layout) -> str:
    if first is not None and symbol != first:
        raise _FieldError(
            f"{shown(symbol)} is another than {shown(first)} of the first row: an import is of one instrument; "
            f"give --symbol with one of them",
            where.titles["symbol"],
        )
    return symbol


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


def _time(row: Sequence[str], where: Layout, times: Clock, last: int) -> int:
    """When the row became known, after `last`."""
    try:
        return times.known_at(where.pick_time(row), where.pick(row, "close_time"), last)
    except (ValueError, OverflowError) as error:
        raise _FieldError(str(error), where.titles["timestamp"]) from None
