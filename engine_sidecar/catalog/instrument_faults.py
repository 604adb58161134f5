"""What is wrong with the fields of an instrument, each fault in words that begin with its field: pure, but for the currencies that NautilusTrader knows."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from nautilus_trader.core.nautilus_pyo3 import FIXED_PRECISION
from nautilus_trader.model.enums import AssetClass, OptionKind
from nautilus_trader.model.objects import Currency

from flotilla.schemas.instrument_classes import CLASSES, FIELDS, FieldKind, InstrumentClass

_NUMBERS: Final = (FieldKind.PRICE, FieldKind.QUANTITY, FieldKind.SHARE)
_ABOVE_ZERO: Final = (
    "price_increment",
    "size_increment",
    "multiplier",
    "lot_size",
    "min_quantity",
    "max_quantity",
    "max_price",
    "min_notional",
    "max_notional",
)
_ISIN_LENGTH: Final = 12
_MOST: Final = 17_014_118_346_046
"""Of a price in NautilusTrader's 128 bits; of a quantity it would be twice as much."""
_LATEST: Final = 2**63 - 1
"""In the year 2262, where signed nanoseconds end."""
_PRECISIONS: Final = (("price_precision", "price_increment"), ("size_precision", "size_increment"))

type Values = Mapping[str, Any]
type Faults = Iterator[str]


def digits(number: str) -> int:
    """How many decimals it is written with."""
    return len(number.partition(".")[2])


def faults(kind: InstrumentClass, values: Values, new_currencies: Collection[str]) -> Faults:
    """All that is wrong; `values` are complete. Of a betting market nothing is known."""
    if kind is InstrumentClass.BETTING:
        return
    row = CLASSES[kind]
    known = {"id", *row.fields}
    if unknown := ", ".join(sorted(values.keys() - known)):
        yield f"{unknown} is no field of class {kind}, and would be lost; it has {', '.join(sorted(known))}"
    for name in row.needs:
        if values.get(name) is None:
            yield f"{name} must be given{_by(name)}"
    for name, value in row.fixed.items():
        if values.get(name) != value:
            yield f"{name} is {value} for class {kind}, not {values.get(name)}"
    wrong = [
        text
        for name in row.fields
        if values.get(name) is not None and (text := _form(name, values[name], new_currencies))
    ]
    yield from wrong
    if not wrong:
        yield from _together(kind, values)


def _by(name: str) -> str:
    option = FIELDS[name].option
    return f" (--{option})" if option else ""


def _form(name: str, value: Any, new_currencies: Collection[str]) -> str | None:
    """What is wrong with one value."""
    kind = FIELDS[name].kind
    if kind in (FieldKind.DIGITS, FieldKind.MOMENT):
        most = FIXED_PRECISION if kind is FieldKind.DIGITS else _LATEST
        sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        return None if sound else f"{name} must be a whole number from 0 to {most}, not {value!r}"
    if kind is FieldKind.FLAG:
        return None if isinstance(value, bool) else f"{name} must be true or false, not {value!r}"
    if kind is FieldKind.OTHER:
        return None if isinstance(value, dict) else f"{name} must be an object"
    if not isinstance(value, str) or not value:
        return f"{name} must be text, such as {'"0.25"' if kind in _NUMBERS else '"USD"'}, not {value!r}"
    if kind in _NUMBERS:
        return _number(name, value)
    return _word(name, value, new_currencies)


def _number(name: str, text: str) -> str | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return f"{name} {text!r} is no number"
    if not number.is_finite() or "e" in text.lower() or digits(text) > FIXED_PRECISION:
        return f"{name} {text!r} is no plain number of at most {FIXED_PRECISION} decimals"
    if abs(number) > _MOST:
        return f"{name} {text} is more than NautilusTrader counts to: {_MOST}"
    return _amount(name, text, number)


def _amount(name: str, text: str, number: Decimal) -> str | None:
    """What is wrong with a sound number for this field."""
    if name in _ABOVE_ZERO and number <= 0:
        return f"{name} must be above 0, not {text}"
    if name.startswith("margin") and number < 0:
        return f"{name} must not be below 0, not {text}"
    if name.endswith("fee") and abs(number) >= 1:
        return f"{name} is a share of the notional, such as 0.0005 for 0.05 %, not {text}"
    return None


def _word(name: str, text: str, new_currencies: Collection[str]) -> str | None:
    match FIELDS[name].kind:
        case FieldKind.CURRENCY:
            return _currency(name, text, new_currencies)
        case FieldKind.MONEY:
            amount, _, code = text.partition(" ")
            return _number(name, amount) or _currency(name, code, new_currencies)
        case FieldKind.ASSET_CLASS if text not in AssetClass.__members__:
            return f"{name} {text!r} is none of {', '.join(AssetClass.__members__)}"
        case FieldKind.OPTION_KIND if text not in OptionKind.__members__:
            return f"{name} {text!r} is none of {', '.join(OptionKind.__members__)}"
    if name == "isin" and not _is_isin(text):
        return f"isin {text!r} is wrong: its last digit does not fit the others"
    return None


def _currency(name: str, code: str, new_currencies: Collection[str]) -> str | None:
    if is_currency(code) or code in new_currencies:
        return None
    return f"{name} {code!r} is no currency that NautilusTrader knows: `flotilla instrument add` takes one with --new-currency {code}"


def is_currency(code: str) -> bool:
    """True for a currency that NautilusTrader knows; without `strict` it takes any word for one."""
    return bool(code) and Currency.from_str(code, strict=True) is not None


def _is_isin(text: str) -> bool:
    """ISO 6166: letters count 10 to 35, and the digits of all satisfy Luhn's rule."""
    if len(text) != _ISIN_LENGTH or not text.isalnum() or not text.isascii() or not text[-1].isdigit():
        return False
    numbers = "".join(str(int(letter, 36)) for letter in text)
    doubled = (int(one) * (1 + place % 2) for place, one in enumerate(reversed(numbers)))
    return sum(one // 10 + one % 10 for one in doubled) % 10 == 0


def _together(kind: InstrumentClass, values: Values) -> Faults:
    """What is wrong with sound values together."""
    for precision, increment in _PRECISIONS:
        written = values.get(increment)
        if increment in CLASSES[kind].fields and written and values[precision] != digits(written):
            yield f"{precision} {values[precision]} is not the {digits(written)} decimals of {increment} {written}"
    for least, most in (("min_quantity", "max_quantity"), ("min_price", "max_price")):
        low, high = values.get(least), values.get(most)
        if low is not None and high is not None and Decimal(low) > Decimal(high):
            yield f"{least} {low} is above {most} {high}"
    if "expiration_ns" in values and values["expiration_ns"] <= values.get("activation_ns", 0):
        yield f"expiration_ns {values['expiration_ns']} is not after activation_ns {values['activation_ns']}"
    yield from _currencies(kind, values)


def _currencies(kind: InstrumentClass, values: Values) -> Faults:
    """Options may be quoted in what they are settled in."""
    if "option" in kind:
        return
    base = values.get("base_currency")
    if base is None and kind.startswith("crypto"):
        base = values["underlying"]
    quote, settled = values.get("quote_currency"), values.get("settlement_currency")
    if base is not None and base == quote:
        yield f"base_currency and quote_currency are both {base}"
    elif values.get("is_inverse") and settled == quote:
        yield f"is_inverse is wrong for what is settled in its quote currency {quote}: that is linear"
    elif values.get("is_inverse") is False and settled == base:
        yield f"is_inverse must be true (--inverse) for what is settled in its base currency {base}"
