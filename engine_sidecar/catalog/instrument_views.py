"""How an instrument looks: every field with NautilusTrader's value, what that means to people, and its unit."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.model.instruments import Instrument

from flotilla.engine_sidecar.catalog.described import class_of, to_dict
from flotilla.schemas.instrument import FieldValue, InstrumentView
from flotilla.schemas.instrument_classes import FIELDS, FieldKind, InstrumentClass

_CONTRACTS: Final = frozenset(
    {
        InstrumentClass.FUTURE,
        InstrumentClass.OPTION,
        InstrumentClass.FUTURE_SPREAD,
        InstrumentClass.OPTION_SPREAD,
        InstrumentClass.PERPETUAL_CONTRACT,
    }
)
_NS: Final = 1_000_000_000


def view_of(instrument: Instrument, data: tuple[str, ...]) -> InstrumentView:
    """All of it."""
    values = to_dict(instrument)
    return InstrumentView(
        id=instrument.id.value,
        instrument_class=class_of(instrument),
        fields=tuple(_fields(instrument, values)),
        nautilus=values,
        data=data,
    )


def _fields(instrument: Instrument, values: dict[str, Any]) -> Iterator[FieldValue]:
    ordered = [name for name in FIELDS if name in values]
    ordered += [name for name in values if name not in FIELDS and name not in ("type", "id")]
    for name in ordered:
        yield FieldValue(
            name=name,
            value=values[name],
            shown=_shown(name, values[name]),
            unit=_unit(name, instrument) if values[name] is not None else "",
        )


def _shown(name: str, value: Any) -> str:
    kind = FIELDS[name].kind if name in FIELDS else FieldKind.OTHER
    if value is None:
        return "none"
    if kind is FieldKind.FLAG:
        return "yes" if value else "no"
    if kind is FieldKind.SHARE:
        return f"{value} ({_percent(value)} %)"
    if kind is FieldKind.MOMENT:
        return f"{value} ({_moment(value)})" if value else "0 (none)"
    return str(value)


def _percent(share: str) -> str:
    text = f"{Decimal(share) * 100:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // _NS, UTC).isoformat().replace("+00:00", "Z")


def _unit(name: str, instrument: Instrument) -> str:
    """The unit of a field, with the currency that it is for this instrument."""
    unit = FIELDS[name].unit if name in FIELDS else ""
    quote = instrument.quote_currency.code
    if name == "multiplier" and instrument.is_inverse:
        return f"{quote} per {_units(instrument)}"
    unit = unit.replace("quote currency", quote)
    if FIELDS.get(name) and FIELDS[name].kind is FieldKind.MONEY:
        return ""
    return unit.replace("units", f"{_units(instrument)}s").replace("unit", _units(instrument)) if unit else ""


def _units(instrument: Instrument) -> str:
    """What a quantity counts, in the singular."""
    kind = class_of(instrument)
    if kind is InstrumentClass.EQUITY:
        return "share"
    return (
        "contract"
        if kind in _CONTRACTS or instrument.is_inverse or instrument.multiplier.as_decimal() != 1
        else "unit"
    )
