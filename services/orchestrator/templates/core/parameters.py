"""Typed parameters of templates: every given value is checked, and all that is wrong is told at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from flotilla.schemas.catalog import CatalogEntry, Parameter, market_data
from flotilla.schemas.fault import FieldError
from flotilla.schemas.ids import BAR_TYPE_PATTERN, INSTRUMENT_PATTERN, Name

type Value = Any
"""As JSON has it: texts, numbers, booleans, null, and lists and objects of those."""

_INSTRUMENT: Final = re.compile(INSTRUMENT_PATTERN)
_BAR_TYPE: Final = re.compile(BAR_TYPE_PATTERN)
_BAR_SUFFIX: Final = re.compile(r"(?:-[^-]+){4}\Z")
_DECIMAL: Final = re.compile(r"\A-?[0-9]{1,20}(?:\.[0-9]{1,16})?\Z")
_MAX_INTEGER: Final = 2**53
_MAX_TEXT: Final = 500


class WrongValue(Exception):
    """A value that its parameter cannot take; the text says why, to follow the parameter's name."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The instruments and bar types that the data catalog holds."""

    instruments: frozenset[str]
    bar_types: frozenset[str]

    @classmethod
    def of(cls, entries: tuple[CatalogEntry, ...]) -> "Known":
        """What a catalog's listing makes known."""
        return cls(
            instruments=frozenset(entry.instrument_id for entry in market_data(entries)),
            bar_types=frozenset(entry.identifier for entry in entries if entry.data_type == "bars"),
        )


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold between two numeric parameters: the first of `less` is less than the second. `message` says it in words."""

    less: tuple[Name, Name]
    message: str


def broken_rules(rules: Sequence[Rule], values: Mapping[str, Value], at: str) -> list[FieldError]:
    """The rules that these values break, each by its first parameter below `at`; a value that is not there breaks none."""
    errors: list[FieldError] = []
    for rule in rules:
        less, more = (values.get(name) for name in rule.less)
        if less is not None and more is not None and Decimal(str(less)) >= Decimal(str(more)):
            errors.append(FieldError(f"{at}.{rule.less[0]}", rule.message))
    return errors


def check_all(
    parameters: Mapping[str, Parameter], given: Mapping[str, Any], known: Known | None, at: str
) -> tuple[dict[str, Value], list[FieldError]]:
    """Every parameter's value, the default where none was given; and everything that is wrong, named below `at`.

    `known` is null where no catalog is to be asked, as for the defaults of a template that is being loaded.
    """
    errors = [
        FieldError(f"{at}.{shown(name)}", f"unknown parameter; there are {', '.join(parameters) or 'none'}")
        for name in given
        if name not in parameters
    ]
    values: dict[str, Value] = {}
    for name, parameter in parameters.items():
        value = given.get(name)
        value = parameter.default if value is None else value
        try:
            values[name] = check(parameter, value, known)
        except WrongValue as error:
            errors.append(FieldError(f"{at}.{name}", str(error)))
    return values, errors


def check(parameter: Parameter, value: object, known: Known | None) -> Value:
    """The value in the parameter's type. Raises WrongValue saying what is wrong with it."""
    if value is None:
        if parameter.required:
            raise WrongValue("is required")
        return None
    if parameter.type in _NESTED:
        return _nested(parameter, value, known)
    typed = _CHECKS[parameter.type](value, known)
    _check_range(parameter, typed)
    if parameter.choices and str(typed) not in parameter.choices:
        raise WrongValue(f"must be one of {', '.join(parameter.choices)}")
    return parameter.codes.get(str(typed), typed)


def _nested(parameter: Parameter, value: object, known: Known | None) -> Value:
    """A list, a map or an object, each value within checked as what it is. Raises WrongValue that names the place."""
    if parameter.type == "list":
        if not isinstance(value, list | tuple):
            raise WrongValue("must be a list")
        return [_within(parameter.items, each, known, f"[{index}]") for index, each in enumerate(value)]
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise WrongValue("must be an object")
    if parameter.type == "map":
        return {key: _within(parameter.items, each, known, f".{key}") for key, each in value.items()}
    if unknown := sorted(value.keys() - parameter.fields.keys()):
        raise WrongValue(f"has no field {shown(unknown[0])}; there are {', '.join(parameter.fields)}")
    fields = parameter.fields.items()
    given = {name: value.get(name, field.default) for name, field in fields}
    return {name: _within(field, given[name], known, f".{name}") for name, field in fields}


def _within(parameter: Parameter | None, value: object, known: Known | None, place: str) -> Value:
    if parameter is None:
        return value
    try:
        return check(parameter, value, known)
    except WrongValue as error:
        raise WrongValue(f"{place} {error}") from None


def instrument_of(bar_type: str) -> str:
    """The instrument that a bar type is of."""
    return _BAR_SUFFIX.sub("", bar_type.partition("@")[0])


def source_of(bar_type: str) -> str:
    """The bars that a composite type (`…-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL`) is made of; any other type itself."""
    whole, _, source = bar_type.partition("@")
    if not source:
        return bar_type
    step, origin = source.rsplit("-", 1)
    return f"{instrument_of(whole)}-{step}-{whole.split('-')[-2]}-{origin}"


def _check_range(parameter: Parameter, value: Value) -> None:
    if parameter.type not in ("integer", "number", "decimal"):
        return
    amount = Decimal(str(value))
    if parameter.min is not None and amount < Decimal(str(parameter.min)):
        raise WrongValue(f"must be at least {parameter.min:g}")
    if parameter.max is not None and amount > Decimal(str(parameter.max)):
        raise WrongValue(f"must be at most {parameter.max:g}")
    if parameter.above is not None and amount <= Decimal(str(parameter.above)):
        raise WrongValue(f"must be greater than {parameter.above:g}")
    if parameter.below is not None and amount >= Decimal(str(parameter.below)):
        raise WrongValue(f"must be less than {parameter.below:g}")


def _integer(value: object, _: Known | None) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValue("must be an integer")
    if abs(value) > _MAX_INTEGER:
        raise WrongValue("is too large")
    return value


def _number(value: object, _: Known | None) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValue("must be a number")
    if not abs(value) <= 1e300:  # NaN is not
        raise WrongValue("must be a finite number")
    return value


def _decimal(value: object, known: Known | None) -> str:
    if isinstance(value, str) and _DECIMAL.match(value):
        return value
    if isinstance(value, str):
        raise WrongValue("must be a decimal number such as 1.5")
    number = _number(value, known)
    text = str(int(number)) if number == int(number) else f"{Decimal(str(number)):f}"
    if not _DECIMAL.match(text):
        raise WrongValue("has too many digits")
    return text


def _boolean(value: object, _: Known | None) -> bool:
    if not isinstance(value, bool):
        raise WrongValue("must be true or false")
    return value


def _string(value: object, _: Known | None) -> str:
    if not isinstance(value, str):
        raise WrongValue("must be a string")
    if len(value) > _MAX_TEXT or not value.isprintable():
        raise WrongValue(f"must be printable text of at most {_MAX_TEXT} characters")
    return value


def _enum(value: object, _: Known | None) -> str:
    """By name: what stands behind it is not checked here. A whole number is one where the choices are."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise WrongValue("must be one of its choices, by name")
    return str(value)


def _date(value: object, _: Known | None) -> str:
    return _parsed(value, date, "a date such as 2020-01-31")


def _datetime(value: object, _: Known | None) -> str:
    return _parsed(value, datetime, "a moment such as 2020-01-31T09:30:00Z")


def _duration(value: object, _: Known | None) -> str:
    return _parsed(value, timedelta, "a duration such as PT5M or P1D")


def _anything(value: object, _: Known | None) -> Value:
    """Its class says no more of it either."""
    return value


def _parsed(value: object, kind: Any, what: str) -> str:
    """The text as it is, for its class reads it likewise."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise WrongValue(f"must be {what}") from None
    return str(value)


def _instrument(value: object, known: Known | None) -> str:
    if not isinstance(value, str) or not _INSTRUMENT.match(value):
        raise WrongValue("must be an instrument such as SPX.SIM")
    if known is not None and value not in known.instruments:
        raise WrongValue(f"{value} is not in the data catalog")
    return value


def _bar_type(value: object, known: Known | None) -> str:
    if not isinstance(value, str) or not _BAR_TYPE.match(value):
        raise WrongValue("must be a bar type such as SPX.SIM-1-DAY-LAST-EXTERNAL")
    # INTERNAL bars are made by the engine from an instrument's ticks; EXTERNAL ones must be there.
    source = source_of(value)
    is_internal = source.endswith("-INTERNAL")
    if known is not None and (
        instrument_of(value) not in known.instruments if is_internal else source not in known.bar_types
    ):
        raise WrongValue(f"{value} is not in the data catalog")
    return value


def shown(name: str) -> str:
    """A name that somebody made up, fit to stand in a field's name."""
    return name if name.isidentifier() and len(name) <= 63 else repr(name[:63])


_CHECKS: Final[dict[str, Callable[[object, Known | None], Value]]] = {
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "boolean": _boolean,
    "string": _string,
    "instrument": _instrument,
    "bar_type": _bar_type,
    "enum": _enum,
    "date": _date,
    "datetime": _datetime,
    "duration": _duration,
    "any": _anything,
}
_NESTED: Final = ("list", "map", "object")
