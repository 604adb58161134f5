"""One import from files to catalog: check every row first, then stage, compare and move in."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide, BarAggregation
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity

from flotilla.engine_sidecar.catalog import assumed
from flotilla.engine_sidecar.catalog.adding import Described
from flotilla.engine_sidecar.catalog.columns import DataType, Layout, Stamp
from flotilla.engine_sidecar.catalog.entries import check_name, remember_name
from flotilla.engine_sidecar.catalog.instruments import allows_negative_prices, known_instrument
from flotilla.engine_sidecar.catalog.records import Reading, Record, records
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.store import Target, locked
from flotilla.engine_sidecar.catalog.survey import MAX_PRECISION, Progress, Survey, batches, survey
from flotilla.schemas.ids import BarType as BarTypeText
from flotilla.schemas.ids import InstrumentId as InstrumentText
from flotilla.schemas.instrument_classes import InstrumentClass

type Build = Callable[[Record], Any]


def builder(data_type: DataType, instrument: Instrument, bar_type: BarType | None) -> Build:
    """A function from record to bar, quote or trade, at the instrument's precisions; `ts_init` equals `ts_event`."""

    def price(number: Decimal) -> Price:
        return Price.from_str(f"{number:.{instrument.price_precision}f}")

    def size(number: Decimal) -> Quantity:
        return Quantity.from_str(f"{number:.{instrument.size_precision}f}")

    def bar(record: Record) -> Bar:
        of = record.numbers
        prices = (price(of[field]) for field in ("open", "high", "low", "close"))
        return Bar(bar_type, *prices, size(of["volume"]), record.ts, record.ts)

    def quote(record: Record) -> QuoteTick:
        of = record.numbers
        prices = price(of["bid_price"]), price(of["ask_price"])
        return QuoteTick(
            instrument.id, *prices, size(of["bid_size"]), size(of["ask_size"]), record.ts, record.ts
        )

    def trade(record: Record) -> TradeTick:
        of = record.numbers
        return TradeTick(
            instrument.id,
            price(of["price"]),
            size(of["size"]),
            AggressorSide[record.side],
            TradeId(record.trade_id or f"T-{record.ts}"),
            record.ts,
            record.ts,
        )

    return {DataType.BARS: bar, DataType.QUOTES: quote, DataType.TRADES: trade}[data_type]


type Decimals = Annotated[int, Meta(ge=0, le=MAX_PRECISION)]


class ImportOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to import: precisions of None are taken from the instrument or, for a new one, from the data.

    Of `stamp`, `fixed_decimals` and `prices` None means that the files have to tell; see Reading for what each says.
    """

    files: tuple[Path, ...]
    data_type: DataType
    instrument: InstrumentText
    bar_type: BarTypeText | None = None
    stamp: Stamp | None = None
    timezone: str | None = None
    time_format: str | None = None
    columns: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    fixed_decimals: Decimals | None = None
    prices: Literal["raw", "adjusted"] | None = None
    price_precision: Decimals | None = None
    size_precision: Decimals | None = None
    currency: str = "USD"
    instrument_class: InstrumentClass | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; of `rows` in the files `new_rows` were put into the catalog, which had the others already.

    `ignored` names columns that were not read, `notes` says how the rest was understood where that had to be told, `assumed` what a
    new instrument was taken for.
    """

    identifier: str
    data_type: str
    rows: int
    first: int
    last: int
    is_new: bool
    new_rows: int
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def import_data(catalog: Path, order: ImportOrder, progress: Progress) -> Imported:
    """Imports `order.files`; raises ImportRefusedError and leaves the catalog as it was when anything is not sound."""
    instrument_id, bar_type = InstrumentId.from_str(order.instrument), _bar_type(order)
    with locked(catalog):
        check_name(catalog, order.instrument)
        instrument = known_instrument(catalog, instrument_id)
        if instrument is None:
            assumed.ask(instrument_id, order.instrument_class)
        reading = _reading(order, bar_type, instrument)
        found = survey(order.files, reading, progress)
        instrument, told = (
            Described(_checked(instrument, found, order))
            if instrument
            else _made(instrument_id, found, order)
        )
        target = Target(catalog, order.data_type, str(bar_type or instrument_id))
        new_rows = _stage(target, found, reading, builder(order.data_type, instrument, bar_type), progress)
        if new_rows:
            if known_instrument(catalog, instrument_id) is None:
                target.stage_instrument(instrument)
            remember_name(catalog, str(instrument_id))
            remember_name(catalog, str(bar_type or instrument_id))
            target.move_in()
    return Imported(
        identifier=str(bar_type or instrument_id),
        data_type=order.data_type,
        rows=found.rows,
        first=found.chunks[0].first,
        last=found.chunks[-1].last,
        is_new=new_rows > 0,
        new_rows=new_rows,
        ignored=tuple(dict.fromkeys(title for layout in found.layouts for title in layout.ignored)),
        notes=tuple(dict.fromkeys(note for layout in found.layouts for note in _notes(layout, order))),
        assumed=told + assumed.outside(instrument, found.chunks[0].first, found.chunks[-1].last),
    )


def _notes(layout: Layout, order: ImportOrder) -> Iterator[str]:
    if "close_time" in layout.positions:
        yield f"bars became known at their {layout.titles['close_time']!r}"
    elif order.data_type is DataType.BARS and Stamp.OPEN in (layout.stamp, order.stamp):
        yield f"{layout.titles['timestamp']!r} is when a bar opens: it became known one bar later, at its close"
    if layout.fixed_decimals:
        yield f"prices without a point were read as fixed-point numbers of {layout.fixed_decimals} decimals"
    if "adjusted_close" in layout.positions and order.prices:
        how = "scaled to" if order.prices == "adjusted" else "taken as they are, not scaled to"
        yield f"prices were {how} {layout.titles['adjusted_close']!r}; volumes are as the file has them"


def _stage(target: Target, found: Survey, reading: Reading, build: Any, progress: Progress) -> int:
    """How many rows were new. Raises ImportRefusedError when the catalog has others in the place of some."""
    new_rows = 0
    for file in found.files:
        rows = 0
        for batch in batches(records(file, reading)):
            new_rows += target.stage([build(record) for record in batch])
            rows += len(batch)
            progress("written", file, rows)
    target.check()
    return new_rows


def _bar_type(order: ImportOrder) -> BarType | None:
    if order.data_type is not DataType.BARS:
        if order.bar_type:
            raise ImportRefusedError(f"--bar-type does not go with {order.data_type}")
        return None
    if order.bar_type is None:
        raise ImportRefusedError(f"bars need --bar-type, such as {order.instrument}-1-DAY-LAST-EXTERNAL")
    try:
        bar_type = BarType.from_str(order.bar_type)
    except ValueError as error:
        raise ImportRefusedError(f"{order.bar_type!r} is no bar type: {error}") from None
    if str(bar_type.instrument_id) != order.instrument:
        raise ImportRefusedError(f"{order.bar_type} is not a bar type of {order.instrument}")
    if not bar_type.is_externally_aggregated():
        raise ImportRefusedError(
            f"{order.bar_type} is made inside NautilusTrader: imported bars are EXTERNAL"
        )
    return bar_type


def _reading(order: ImportOrder, bar_type: BarType | None, instrument: Instrument | None) -> Reading:
    return Reading(
        data_type=order.data_type,
        zone=_zone(order.timezone),
        step=_step(bar_type),
        stamp=order.stamp,
        price_precision=order.price_precision,
        size_precision=order.size_precision,
        columns=order.columns,
        time_format=order.time_format,
        decimal_mark=order.decimal,
        fixed_decimals=order.fixed_decimals,
        prices=order.prices,
        may_be_negative=instrument is not None and allows_negative_prices(instrument),
    )


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise ImportRefusedError(
            f"{name!r} is no time zone of the IANA list, such as America/New_York"
        ) from None


def _step(bar_type: BarType | None) -> timedelta | None:
    """How long a bar lasts; None for months, years and bars that are not of time, whose close only the file can tell."""
    if bar_type is None or not bar_type.spec.is_time_aggregated():
        return None
    if bar_type.spec.aggregation in (BarAggregation.MONTH, BarAggregation.YEAR):
        return None
    return timedelta(seconds=bar_type.spec.timedelta.total_seconds())


def _made(instrument_id: InstrumentId, found: Survey, order: ImportOrder) -> Described:
    price = found.price_precision if order.price_precision is None else order.price_precision
    size = found.size_precision if order.size_precision is None else order.size_precision
    return assumed.made(
        instrument_id,
        order.instrument_class,
        order.currency,
        price_precision=price,
        size_precision=size,
        is_rounded=order.price_precision is not None,
    )


def _checked(instrument: Instrument, found: Survey, order: ImportOrder) -> Instrument:
    for what, has, given, seen in (
        ("price", instrument.price_precision, order.price_precision, found.price_precision),
        ("size", instrument.size_precision, order.size_precision, found.size_precision),
    ):
        if given is not None and given != has:
            raise ImportRefusedError(
                f"{instrument.id} is in the catalog with a {what} precision of {has}, not {given}"
            )
        if seen > has:
            raise ImportRefusedError(
                f"{what}s have {seen} decimals, {instrument.id} in the catalog has {has}: "
                f"give --{what}-precision {has} to round"
            )
    return instrument
