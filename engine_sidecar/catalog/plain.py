"""Reads files a column at a time where nothing in them needs a closer look; whatever does is left to the rows' reader.

It refuses nothing itself: the rows' reader goes over a file that this one gave up, and tells line and column. So it may take
less than that one, and never more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from flotilla.engine_sidecar.catalog.columns import NUMBERS, SIZES, Layout
from flotilla.engine_sidecar.catalog.moments import Clock, clock
from flotilla.engine_sidecar.catalog.packing import TABLES, text_bytes
from flotilla.engine_sidecar.catalog.plain_times import NotPlainError, moments
from flotilla.engine_sidecar.catalog.reading import DataType, Reading, Stamp
from flotilla.engine_sidecar.catalog.records import LARGEST, MAX_TRADE_ID, TRADE, UNDEFINED
from flotilla.engine_sidecar.catalog.rows import Sheet, table_batches
from flotilla.engine_sidecar.catalog.tables import CODES, NUMBER, SCALE, table_schema

_BLOCK_BYTES: Final = 8 << 20
_DAY: Final = timedelta(days=1)
_BEYOND_DATES: Final = 1 << 62


def plain_tables(file: Path, sheet: Sheet, where: Layout, how: Reading) -> Iterator[pa.Table]:
    """The rows of `file`, checked as the rows' reader checks them. Raises NotPlainError where that one has to look."""
    if "adjusted_close" in where.positions:
        raise NotPlainError("prices may have to be scaled")
    times = clock(
        where,
        zone=how.zone,
        time_format=how.time_format,
        step=how.step,
        stamp=how.stamp,
        is_bars=how.data_type is DataType.BARS,
    )
    last, symbol = -1, None
    try:
        with _batches(file, sheet, where, how) as batches:
            for batch in batches:
                columns = batch if how.symbol is None else _of_symbol(batch, how.symbol)
                if not len(columns["timestamp"]):
                    continue
                table = _table(columns, where, how, times)
                if not (how.sort or where.is_newest_first):
                    last = _check_order(table["ts"], last, how)
                symbol = _check_symbol(columns.get("symbol"), symbol)
                yield table
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise NotPlainError(str(error)) from None


@contextmanager
def _batches(
    file: Path, sheet: Sheet, where: Layout, how: Reading
) -> Iterator[Iterator[dict[str, pa.Array]]]:
    """Batches of the columns that are needed, by field; those of text files as they stand there."""
    fields = list(where.positions)
    positions = [where.positions[field] for field in fields]
    if sheet.packing in TABLES:
        with table_batches(file, sheet.packing, how, positions) as (_, batches):
            yield (dict(zip(fields, batch.columns, strict=True)) for batch in batches if batch.num_rows)
        return
    names = [f"c{position}" for position in range(len(sheet.header))]
    chosen = [names[position] for position in positions]
    with (
        text_bytes(file, sheet.packing) as raw,
        pa.csv.open_csv(
            raw,
            pa.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                column_names=names,
                skip_rows=sheet.lines_before,
            ),
            pa.csv.ParseOptions(delimiter=sheet.delimiter),
            pa.csv.ConvertOptions(
                include_columns=chosen, column_types=dict.fromkeys(chosen, pa.string()), null_values=[]
            ),
        ) as reader,
    ):
        yield (dict(zip(fields, batch.columns, strict=True)) for batch in reader if batch.num_rows)


def _table(columns: dict[str, Any], where: Layout, how: Reading, times: Clock) -> pa.Table:
    _check_actions(columns.get("action"))
    known = _known_at(columns, where, how, times)
    numbers = {
        field: _number(columns[field], field, where, how)
        if field in columns
        else pa.array([how.default_size] * len(known), NUMBER)
        for field in NUMBERS[how.data_type]
    }
    _check_numbers(numbers, how)
    made = [known, *numbers.values()]
    if how.data_type is DataType.TRADES:
        made += [_sides(columns.get("side"), where, len(known)), _trade_ids(columns.get("trade_id"), known)]
    return pa.table(made, schema=table_schema(how.data_type))


def text_of(column: Any) -> Any:
    """A column's values as the shortest text that stands for them, without blanks around. Raises NotPlainError for nulls."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count:
        raise NotPlainError("there are empty cells")
    return pc.ascii_trim_whitespace(column.cast(pa.string()))


def _number(column: Any, field: str, where: Layout, how: Reading) -> Any:
    is_price = field not in SIZES
    if pa.types.is_decimal(column.type) or pa.types.is_integer(column.type):
        if column.null_count or (is_price and where.fixed_decimals):
            raise NotPlainError("numbers that are no text, and fixed-point or empty")
        number = column.cast(NUMBER)
    else:
        number = _from_text(text_of(column), where.fixed_decimals if is_price else 0, how)
    if is_price and where.fixed_decimals:
        _check_defined(number, where.fixed_decimals)
    precision = how.price_precision if is_price else how.size_precision
    return number if precision is None else pc.round(number, precision, "half_to_even")


def _check_defined(number: Any, fixed_decimals: int) -> None:
    none = pa.scalar(UNDEFINED.scaleb(-fixed_decimals), NUMBER)
    if pc.any(pc.equal(number, none)).as_py():
        raise NotPlainError("prices that stand for none")


def _from_text(text: Any, fixed_decimals: int, how: Reading) -> Any:
    if how.thousands or not pc.all(pc.greater(pc.binary_length(text), 0)).as_py():
        raise NotPlainError("numbers have to be looked at one by one")
    if how.decimal_mark == ",":
        if pc.any(pc.match_substring(text, ".")).as_py():
            raise NotPlainError("a point where the decimal mark is a comma")
        text = pc.replace_substring(text, ",", ".")
    if not fixed_decimals or pc.all(pc.match_substring(text, ".")).as_py():
        return text.cast(NUMBER)
    if pc.any(pc.match_substring_regex(text, r"[^0-9-]")).as_py():
        raise NotPlainError("prices with a point and without")
    whole = text.cast(pa.decimal128(38, SCALE - fixed_decimals))
    return pa.Array.from_buffers(NUMBER, len(whole), [None, whole.buffers()[1]], offset=whole.offset)


def _check_numbers(numbers: dict[str, Any], how: Reading) -> None:
    for field, column in numbers.items():
        least, most = pc.min_max(column).as_py().values()
        if column.null_count or max(abs(least), most) > LARGEST:
            raise NotPlainError("numbers that NautilusTrader cannot hold")
        if field in SIZES:
            is_sound = least > 0 or (least == 0 and field != "size")
        else:
            is_sound = least > 0 or how.may_be_negative
        if not is_sound:
            raise NotPlainError("numbers that are not positive")
    if how.data_type is DataType.BARS:
        _check_least(numbers["high"], numbers["open"], numbers["close"], numbers["low"])
        _check_least(numbers["open"], numbers["low"])
        _check_least(numbers["close"], numbers["low"])
    elif how.data_type is DataType.QUOTES:
        _check_least(numbers["ask_price"], numbers["bid_price"])


def _check_least(column: Any, *others: Any) -> None:
    """That no number of the column is less than those of the others."""
    if not all(pc.all(pc.greater_equal(column, other)).as_py() for other in others):
        raise NotPlainError("prices that contradict each other")


def _check_actions(column: Any) -> None:
    if column is not None and not pc.all(pc.equal(text_of(column), TRADE)).as_py():
        raise NotPlainError("updates of a book among trades")


def _sides(column: Any, where: Layout, rows: int) -> Any:
    if column is None:
        return pa.array([0] * rows, pa.uint8())
    coded = pc.utf8_lower(text_of(column)).dictionary_encode()
    words = [where.sides.get(word) for word in coded.dictionary.to_pylist()]
    if None in words:
        raise NotPlainError("sides that are neither buy nor sell")
    return pa.array([CODES[word] for word in words if word], pa.uint8()).take(coded.indices)


def _trade_ids(column: Any, known: Any) -> Any:
    made = pc.binary_join_element_wise("T-", known.cast(pa.string()), "")
    if column is None:
        return made
    text = text_of(column)
    if not pc.all(pc.string_is_ascii(text)).as_py() or pc.max(pc.binary_length(text)).as_py() > MAX_TRADE_ID:
        raise NotPlainError("trade ids that NautilusTrader does not take")
    return pc.if_else(pc.equal(text, ""), made, text)


def _of_symbol(columns: dict[str, Any], symbol: str) -> dict[str, Any]:
    wanted = pc.equal(text_of(columns["symbol"]), symbol)
    return {field: column.filter(wanted) for field, column in columns.items()}


def _check_symbol(column: Any, first: str | None) -> str | None:
    if column is None:
        return None
    found = pc.unique(text_of(column)).to_pylist()
    if len(found) > 1 or first not in (None, found[0]):
        raise NotPlainError("several symbols")
    return str(found[0])


def _known_at(columns: dict[str, Any], where: Layout, how: Reading, times: Clock) -> Any:
    """When each row became known (UNIX ns, uint64), as Clock.known_at has it."""
    if "time_of_day" in columns:
        day, clock_text = text_of(columns["timestamp"]), text_of(columns["time_of_day"])
        opened = moments(pc.binary_join_element_wise(day, clock_text, " "), times)
    else:
        opened = moments(_as_is(columns["timestamp"]), times)
    if how.data_type is not DataType.BARS:
        return _unsigned(opened)
    if where.is_dated_at_midnight:
        raise NotPlainError("midnights that may be dates")
    step = how.step_ns
    if "close_time" in columns:
        closed = moments(_as_is(columns["close_time"]), times)
        lasting = pc.subtract(closed, opened)
        least, most = pc.min_max(lasting).as_py().values()
        if least <= 0 or (step and not (step < 2 * least and most <= step)):
            raise NotPlainError("bars of another length")
        return _unsigned(closed)
    if times.stamp is Stamp.CLOSE:
        return _unsigned(opened)
    is_days_of_a_zone = (
        times.zone is not None and times.zone.key != "UTC" and how.step and not how.step % _DAY
    )
    if times.stamp is None or not step or is_days_of_a_zone:
        raise NotPlainError("bars whose close has to be found")
    return _unsigned(pc.add(opened, step))


def _as_is(column: Any) -> Any:
    if pa.types.is_timestamp(column.type):
        return column
    return text_of(column)


def _unsigned(moments_ns: Any) -> Any:
    least, most = pc.min_max(moments_ns).as_py().values()
    if moments_ns.null_count or least < 0 or most > _BEYOND_DATES:
        raise NotPlainError("times that cannot be")
    return moments_ns.cast(pa.uint64())


def _check_order(column: Any, last: int, how: Reading) -> int:
    times = column.to_numpy().astype("int64")
    first = int(times[0]) - last if last >= 0 else None
    gaps = times[1:] - times[:-1]
    least = min(
        [*([int(gaps.min())] if len(gaps) else []), *([first] if first is not None else [])], default=1
    )
    if how.data_type is DataType.BARS:
        if least <= 0 or 2 * least < how.step_ns:
            raise NotPlainError("bars that follow each other too soon")
    elif least < 0:
        raise NotPlainError("rows that are not in the order of their times")
    return int(times[-1])
