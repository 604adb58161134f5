"""What people type for the fields of an instrument, in NautilusTrader's form: days become nanoseconds, short numbers plain ones."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.instrument_classes import CLASSES, FIELDS, FieldKind, InstrumentClass

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def typed(kind: InstrumentClass, fields: Mapping[str, str | bool]) -> dict[str, Any]:
    """NautilusTrader's values of what was typed. `currency` is the quote currency of classes that have one of that name.

    Raises ImportRefusedError for a moment that is none, and for what is no field of any class.
    """
    if unknown := ", ".join(sorted(fields.keys() - FIELDS.keys())):
        raise ImportRefusedError(f"{unknown} is no field of an instrument")
    has_quote = kind in CLASSES and "currency" not in CLASSES[kind].fields
    values = {}
    for name, value in fields.items():
        own = "quote_currency" if name == "currency" and has_quote else name
        values[own] = _value(own, value) if isinstance(value, str) else value
    return values


def _value(name: str, text: str) -> Any:
    match FIELDS[name].kind:
        case FieldKind.MOMENT:
            return moment_ns(name, text, is_end=name == "expiration_ns")
        case FieldKind.ASSET_CLASS | FieldKind.OPTION_KIND:
            return text.upper()
        case FieldKind.PRICE | FieldKind.QUANTITY | FieldKind.SHARE:
            return _plain(text)
    return text


def _plain(text: str) -> str:
    """`5e-05` as 0.00005; what is no number stays as it is, and is refused as such."""
    try:
        return f"{Decimal(text):f}"
    except InvalidOperation:
        return text


def moment_ns(name: str, text: str, *, is_end: bool) -> int:
    """UNIX ns of an ISO day or moment, in UTC unless it names another zone; a day to its last nanosecond where `is_end`."""
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=is_end)
            return _ns(datetime(day.year, day.month, day.day, tzinfo=UTC)) - is_end
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ImportRefusedError(
            f"{name} {text!r} (--{FIELDS[name].option}) is no day or moment, such as 2024-03-18 or 2024-03-18T14:16Z"
        ) from None
    return _ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
