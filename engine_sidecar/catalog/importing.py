"""One import from files to catalog: check every row first, then stage, compare and move in."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import BarAggregation
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument

from flotilla.engine_sidecar.catalog import assumed
from flotilla.engine_sidecar.catalog.adding import Described
from flotilla.engine_sidecar.catalog.columns import NUMBERS, SIZES, Layout
from flotilla.engine_sidecar.catalog.entries import check_name, remember_name
from flotilla.engine_sidecar.catalog.events import Form
from flotilla.engine_sidecar.catalog.instruments import allows_negative_prices, known_instrument
from flotilla.engine_sidecar.catalog.reading import DataType, Reading, Stamp
from flotilla.engine_sidecar.catalog.records import LARGEST
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.store import Target, locked
from flotilla.engine_sidecar.catalog.survey import Progress, Survey, survey, tables_of
from flotilla.engine_sidecar.catalog.tables import SCALE
from flotilla.schemas.ids import BarType as BarTypeText
from flotilla.schemas.ids import InstrumentId as InstrumentText
from flotilla.schemas.instrument_classes import InstrumentClass

_NO_DELIMITERS: Final = '"\r\n\0'

type Decimals = Annotated[int, Meta(ge=0, le=SCALE)]


class ImportOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to import: precisions of None are taken from the instrument or, for a new one, from the data.

    Of `stamp`, `fixed_decimals` and `prices` None means that the files have to tell; see Reading for what each says.
    `replace`: where the catalog has other rows at the same moments, those of the files are taken.
    """

    files: tuple[Path, ...]
    data_type: DataType
    instrument: InstrumentText
    bar_type: BarTypeText | None = None
    stamp: Stamp | None = None
    timezone: str | None = None
    time_format: str | None = None
    columns: tuple[str, ...] = ()
    no_header: bool = False
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    skip: Annotated[int, Meta(ge=0, le=10_000)] = 0
    decimal: Literal[".", ","] = "."
    thousands: Annotated[str, Meta(pattern=r"\A[.,' _]\Z")] | None = None
    fixed_decimals: Decimals | None = None
    prices: Literal["raw", "adjusted"] | None = None
    price_precision: Decimals | None = None
    size_precision: Decimals | None = None
    default_size: Decimal | None = None
    symbol: str | None = None
    currency: str = "USD"
    instrument_class: InstrumentClass | None = None
    sort: bool = False
    dedupe: bool = False
    replace: bool = False


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; of `rows` in the files `new_rows` were put into the catalog, which had the others already.

    `replaced_rows` of it had been other ones. `layouts` names whose layouts the files have, `ignored` columns that were not
    read, `notes` says how the rest was understood where that had to be told, `assumed` what a
    new instrument was taken for.
    """

    identifier: str
    data_type: str
    rows: int
    first: int
    last: int
    is_new: bool
    new_rows: int
    replaced_rows: int = 0
    layouts: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def import_data(catalog: Path, order: ImportOrder, progress: Progress, *, waits: bool = False) -> Imported:
    """Imports `order.files`; raises ImportRefusedError and leaves the catalog as it was when anything is not sound.

    `waits`: also for somebody else who changes the catalog.
    """
    instrument_id, bar_type = InstrumentId.from_str(order.instrument), _bar_type(order)
    identifier = str(bar_type or instrument_id)
    with locked(catalog, waits=waits):
        check_name(catalog, order.instrument)
        check_name(catalog, identifier)
        known = known_instrument(catalog, instrument_id)
        if known is None:
            assumed.ask(instrument_id, order.instrument_class)
        reading = _reading(order, bar_type, known)
        found = survey(order.files, reading, progress)
        instrument, told = (
            Described(_checked(known, found, order)) if known else _made(instrument_id, found, order)
        )
        form = Form(order.data_type, identifier, instrument.price_precision, instrument.size_precision)
        target = Target(catalog, identifier, form, is_replacing=order.replace)
        rows = 0
        for table in tables_of(found, reading, progress):
            rows += table.num_rows
            target.stage(table)
        target.check()
        if target.has_changes:
            remember_name(catalog, order.instrument)
            remember_name(catalog, identifier)
            target.move_in(None if known else instrument)
    return Imported(
        identifier=identifier,
        data_type=order.data_type,
        rows=rows,
        first=found.first,
        last=found.last,
        is_new=target.has_changes,
        new_rows=target.new_rows,
        replaced_rows=target.replaced_rows,
        assumed=told + assumed.outside(instrument, found.first, found.last),
        **told_of(found.layouts, order),
    )


def told_of(layouts: Sequence[Layout], order: ImportOrder) -> dict[str, tuple[str, ...]]:
    """How the files were understood: whose layouts they have, what was not read, and what else has to be told."""
    notes = [note for layout in layouts for note in _notes(layout, order)]
    return {
        "layouts": tuple(dict.fromkeys(layout.vendor for layout in layouts if layout.vendor)),
        "ignored": tuple(dict.fromkeys(title for layout in layouts for title in layout.ignored)),
        "notes": tuple(dict.fromkeys(notes)),
    }


def _notes(layout: Layout, order: ImportOrder) -> Iterator[str]:
    if "close_time" in layout.positions:
        yield f"bars became known at their {layout.titles['close_time']!r}"
    elif order.data_type is DataType.BARS and Stamp.OPEN in (layout.stamp, order.stamp):
        yield f"{layout.titles['timestamp']!r} is when a bar opens: it became known one bar later, at its close"
    if layout.timezone and not order.timezone:
        whose = f"{layout.vendor} are" if layout.vendor else f"{layout.titles['timestamp']!r} says"
        yield f"times were read as those of {layout.timezone}, as {whose}"
    if layout.is_newest_first:
        yield "rows were sorted: the newest come first in the file"
    if layout.fixed_decimals:
        yield f"prices without a point were read as fixed-point numbers of {layout.fixed_decimals} decimals"
    if "adjusted_close" in layout.positions and order.prices:
        how = "scaled to" if order.prices == "adjusted" else "taken as they are, not scaled to"
        yield f"prices were {how} {layout.titles['adjusted_close']!r}; volumes are as the file has them"
    if order.default_size is not None and any(
        size not in layout.positions for size in NUMBERS[order.data_type] if size in SIZES
    ):
        yield f"sizes are {order.default_size} throughout: the file has none"


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


def reading_of(catalog: Path, order: ImportOrder) -> Reading:
    """How the order's files are to be read. Raises ImportRefusedError."""
    instrument = known_instrument(catalog, InstrumentId.from_str(order.instrument))
    return _reading(order, _bar_type(order), instrument)


def _default_size(order: ImportOrder) -> Decimal | None:
    size = order.default_size
    if size is not None and not (size.is_finite() and 0 <= size <= LARGEST):
        raise ImportRefusedError(f"--default-size {size} is no size")
    if size == 0 and order.data_type is DataType.TRADES:
        raise ImportRefusedError("--default-size 0: there is no trade of nothing")
    return size


def _reading(order: ImportOrder, bar_type: BarType | None, instrument: Instrument | None) -> Reading:
    if order.thousands == order.decimal:
        raise ImportRefusedError(f"--thousands {order.thousands} is the decimal mark")
    if order.delimiter is not None and (order.delimiter in _NO_DELIMITERS or not order.delimiter.isascii()):
        raise ImportRefusedError(
            f"--delimiter {order.delimiter!r}: give one ASCII character that is no quote and no end of line"
        )
    return Reading(
        data_type=order.data_type,
        zone=_zone(order.timezone),
        step=_step(bar_type),
        stamp=order.stamp,
        price_precision=order.price_precision,
        size_precision=order.size_precision,
        columns=order.columns,
        no_header=order.no_header,
        delimiter=order.delimiter,
        skip=order.skip,
        thousands=order.thousands,
        default_size=_default_size(order),
        symbol=order.symbol,
        sort=order.sort,
        dedupe=order.dedupe,
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
                f"give --{what}-precision {has} to round",
                next(one.file for one in found.files if getattr(one, f"{what}_precision") == seen),
            )
    return instrument
