"""What becomes of a description: options over a row of the table, a JSON file or what is there already; what was assumed is said."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nautilus_trader.model.instruments import Instrument

from flotilla.engine_sidecar.catalog import common
from flotilla.engine_sidecar.catalog.described import described, pair_of
from flotilla.engine_sidecar.catalog.instrument_files import Named, check_id, of_instrument, one_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.typed import typed
from flotilla.schemas.instrument import AddInstrument, CommonInstrument
from flotilla.schemas.instrument_classes import CLASSES, InstrumentClass

_SAID: Final = (
    (("maker_fee", "taker_fee"), "trading costs nothing unless the run has a commission"),
    (("margin_init", "margin_maint"), "nothing is reserved for a position"),
)
_PRECISION_OF: Final = {"price_increment": "price_precision", "size_increment": "size_precision"}


class Described(NamedTuple):
    """An instrument, and what nobody said about it."""

    instrument: Instrument
    assumed: tuple[str, ...] = ()


class Base(NamedTuple):
    """What options are put over: class and fields in NautilusTrader's form, where they come from, and the options themselves."""

    name: str
    named: Named
    options: Mapping[str, str | bool]
    said: tuple[str, ...] = ()


def added(order: AddInstrument, known: Instrument | None = None) -> Described:
    """The instrument that is described; `known` is what the catalog has by that id. Raises ImportRefusedError."""
    base = _base(order, known)
    check_id(base.name)
    kind, options = base.named.kind, typed(base.named.kind, base.options)
    own = {
        name: value
        for name, value in base.named.values.items()
        if name not in {_PRECISION_OF.get(option) for option in options}
    }
    given = {**own, **options}
    derived = dict(_derived(kind, base.name, given))
    made = described(kind, {**derived, **given, "id": base.name}, order.new_currencies)
    told = (f"{name} {value}, as follows from the rest" for name, value in derived.items())
    return Described(made, (*base.said, *told, *_free(kind, given)))


def _base(order: AddInstrument, known: Instrument | None) -> Base:
    if order.file is not None:
        return Base(order.name, one_of(Path(order.file), order.name), order.fields)
    found = common.find(order.like or order.name)
    if order.like and found is None:
        keys = ", ".join(row.key for row in common.rows())
        raise ImportRefusedError(f"like: the table has no {order.like}; it has {keys}")
    kind = order.instrument_class
    if kind is None and order.like is None and known is not None:
        return Base(
            order.name,
            of_instrument(known),
            _with_expiry(order, found),
            ("what was not given stays as it was",),
        )
    if found and (kind is None or kind == found.row.instrument_class):
        return _of_row(order, found)
    if kind is None:
        raise ImportRefusedError(
            f"{order.name} is not in the table of common instruments: give its --class, one of {', '.join(CLASSES)}"
        )
    if kind is InstrumentClass.BETTING:
        raise ImportRefusedError(
            "class betting is described in NautilusTrader's JSON only: give --from-json FILE"
        )
    return Base(order.name, Named(kind, {}), order.fields)


def _with_expiry(order: AddInstrument, found: common.Found | None) -> Mapping[str, str | bool]:
    """The fields that were given, a month as the moment that it means by the rule of the instrument's row."""
    expiry = order.fields.get("expiration_ns")
    if found is None or not found.row.is_root or not isinstance(expiry, str) or not common.is_month(expiry):
        return order.fields
    return {**order.fields, "expiration_ns": common.contract(found, order.name, expiry).expires}


def _of_row(order: AddInstrument, found: common.Found) -> Base:
    """Of a future's row the contract is told by the id and its expiry."""
    row, name, options = found.row, order.name, dict(order.fields)
    expiry = options.get("expiration_ns")
    expiry = expiry if isinstance(expiry, str) else None
    if row.is_root and order.like:
        options["expiration_ns"] = common.last_moment(row, expiry)
    elif row.is_root:
        name, options["expiration_ns"] = common.contract(found, name, expiry)
    return Base(
        name, Named(row.instrument_class, typed(row.instrument_class, row.fields)), options, (_source(row),)
    )


def _source(row: CommonInstrument) -> str:
    shown = ", ".join(f"{field} {value}" for field, value in row.fields.items())
    return f"from the table ({row.source}, {row.date}): {row.instrument_class} with {shown}"


def _derived(kind: InstrumentClass, name: str, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What follows from the rest: currencies of a pair's symbol, and that what is linear is settled in its quote currency."""
    symbol = name.rpartition(".")[0]
    if kind is InstrumentClass.CURRENCY_PAIR and (pair := pair_of(symbol)):
        yield from (
            (field, code)
            for field, code in zip(("base_currency", "quote_currency"), pair, strict=True)
            if field not in given
        )
    if (
        kind in CLASSES
        and "settlement_currency" in CLASSES[kind].fields
        and "settlement_currency" not in given
    ):
        own = given.get("base_currency") or given.get("underlying")
        settled = own if given.get("is_inverse") else given.get("quote_currency")
        if settled:
            yield "settlement_currency", settled


def _free(kind: InstrumentClass, given: Mapping[str, Any]) -> Iterator[str]:
    """What is 0 because nobody gave it, and what that means."""
    for fields, meaning in _SAID:
        own = [
            field for field in fields if kind in CLASSES and field in CLASSES[kind].may and field not in given
        ]
        if own:
            yield f"{' and '.join(own)} 0: {meaning}"
