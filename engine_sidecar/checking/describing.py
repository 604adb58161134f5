"""From a config class to typed parameters: types and ranges from annotations, help from annotations and docstrings, defaults as JSON."""

import enum
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import pandas as pd
from msgspec import inspect as shapes
from nautilus_trader.common.config import msgspec_encoding_hook
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.config import StrategyConfig

from flotilla.engine_sidecar.checking.free_texts import raised
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.ids import NAME_PATTERN

_NAME: Final = re.compile(NAME_PATTERN)
_DEEPEST: Final = 4
_TEXTS: Final = (pd.Timestamp, pd.Timedelta)
_MODEL: Final = "nautilus_trader.model."
_NAMED: Final = (shapes.StrType, shapes.EnumType, shapes.CustomType)
"""What a text may be meant for: beside `str`, it is taken as that."""
_SECTION: Final = re.compile(
    r"^(?P<indent> *)Parameters\n(?P=indent)-{3,}\n(?P<body>.*?)(?=^(?P=indent)[^\n]+\n(?P=indent)-{3,}|\Z)",
    re.M | re.S,
)
_ENTRY: Final = re.compile(r"^(?P<names>\w[\w, ]*?) *(?::[^\n]*)?\n(?P<text>(?: +[^\n]*\n?|\n)*)", re.M)


class IndescribableError(ValueError):
    """A field that no parameter can stand for; the text says why, to follow the field's name."""


def parameters_of(
    config_class: Any, base: Any = StrategyConfig
) -> tuple[dict[str, Parameter], dict[str, str]]:
    """The parameters of a config class by field, without those that every one with its `base` has; and what is wrong, by field.

    Raises NameError for an annotation with a name that is not there, and whatever the class's own code raises.
    """
    try:
        every = msgspec.structs.fields(config_class)
    except NameError as error:
        named = _annotated_with(config_class, error.name or "")
        if not named:
            raise
        text = f"has a type that is not there when it runs, such as one imported under `if TYPE_CHECKING:`: {error}"
        return {}, dict.fromkeys(named, text)
    own = [field for field in every if field.name not in base.__struct_fields__]
    return _fields(own, _documented(config_class), 0)


def _annotated_with(kind: Any, name: str) -> list[str]:
    """Fields whose annotation, still a text, has the name in it."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    return [
        field
        for each in kind.__mro__
        for field, annotation in inspect.get_annotations(each).items()
        if name and isinstance(annotation, str) and word.search(annotation)
    ]


def _fields(
    fields: list[Any], help_of: Mapping[str, str], depth: int
) -> tuple[dict[str, Parameter], dict[str, str]]:
    found: dict[str, Parameter] = {}
    wrong: dict[str, str] = {}
    for field in fields:
        try:
            found[field.encode_name] = _parameter(field, help_of.get(field.name, ""), depth)
        except IndescribableError as error:
            wrong[field.encode_name] = str(error)
        except Exception as error:  # noqa: BLE001 - factories of defaults, and types, are people's own code
            wrong[field.encode_name] = f"cannot be described: {raised(error)}"
    return found, wrong


def _parameter(field: Any, text: str, depth: int) -> Parameter:
    if depth == 0 and not _NAME.match(field.encode_name):
        raise IndescribableError("cannot name a parameter: lower case letters, digits and '_'")
    try:
        shape = shapes.type_info(field.type)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise IndescribableError(f"has a type that no value of JSON can be read as: {error}") from None
    parameter = _of(shape, text, depth)
    if field.required:
        return msgspec.structs.replace(parameter, required=True)
    return msgspec.structs.replace(parameter, default=_default(field, parameter))


def _of(shape: Any, text: str, depth: int) -> Parameter:  # noqa: PLR0911, PLR0912  one row per kind of type
    """The parameter of a type, without default."""
    if depth > _DEEPEST:
        raise IndescribableError(f"is nested deeper than {_DEEPEST} levels")
    match shape:
        case shapes.Metadata(type=inner, extra_json_schema=schema):
            return _with_schema(_of(inner, text, depth), schema or {})
        case shapes.BoolType():
            return Parameter(type="boolean", help=text)
        case shapes.IntType():
            return _ranged(Parameter(type="integer", help=text), shape)
        case shapes.FloatType():
            return _ranged(Parameter(type="number", help=text), shape)
        case shapes.DecimalType():
            return Parameter(type="decimal", help=text)
        case shapes.StrType():
            return Parameter(type="string", help=text)
        case shapes.DateType():
            return Parameter(type="date", help=text)
        case shapes.DateTimeType():
            return Parameter(type="datetime", help=text)
        case shapes.TimeDeltaType():
            return Parameter(type="duration", help=text)
        case shapes.EnumType(cls=kind):
            return _enum(kind, text)
        case shapes.LiteralType(values=values):
            return _chosen({str(value): value for value in values}, text)
        case shapes.CustomType(cls=kind):
            return _custom(kind, text)
        case shapes.ListType() | shapes.SetType() | shapes.FrozenSetType() | shapes.VarTupleType():
            return Parameter(type="list", help=text, items=_of(shape.item_type, "", depth + 1))
        case shapes.DictType(key_type=shapes.StrType(), value_type=value):
            return Parameter(type="map", help=text, items=_of(value, "", depth + 1))
        case shapes.StructType(cls=kind):
            return _object(kind, text, depth)
        case shapes.AnyType():
            return Parameter(type="any", help=text)
        case shapes.UnionType(types=types):
            return _union(types, text, depth)
    raise IndescribableError(f"has a type that is no parameter: {type(shape).__name__.removesuffix('Type')}")


def _ranged(parameter: Parameter, shape: Any) -> Parameter:
    return msgspec.structs.replace(parameter, min=shape.ge, max=shape.le, above=shape.gt, below=shape.lt)


def _with_schema(parameter: Parameter, schema: Mapping[str, Any]) -> Parameter:
    """With what `Meta(extra_json_schema=…)` says, the one way to give a Decimal a range; and with a description."""
    said = {
        "min": schema.get("minimum", parameter.min),
        "max": schema.get("maximum", parameter.max),
        "above": schema.get("exclusiveMinimum", parameter.above),
        "below": schema.get("exclusiveMaximum", parameter.below),
        "help": schema.get("description", parameter.help),
    }
    return msgspec.structs.replace(parameter, **said)


def _enum(kind: type[enum.Enum], text: str) -> Parameter:
    """By name. NautilusTrader's enums are numbers to msgspec, others what stands behind their names."""
    return _chosen({name: _code(one) for name, one in kind.__members__.items()}, text)


def _code(one: enum.Enum) -> Any:
    return int(one) if isinstance(one, int) else one.value


def _chosen(codes: dict[str, Any], text: str) -> Parameter:
    different = {name: code for name, code in codes.items() if code != name}
    if not all(isinstance(code, str | int) for code in codes.values()):
        raise IndescribableError("has choices that are neither texts nor whole numbers")
    return Parameter(type="enum", help=text, choices=tuple(codes), codes=different)


def _custom(kind: Any, text: str) -> Parameter:
    if kind is BarType:
        return Parameter(type="bar_type", help=text)
    if kind is InstrumentId:
        return Parameter(type="instrument", help=text)
    module = getattr(kind, "__module__", "")
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind, text)
    if kind in _TEXTS or (module.startswith(_MODEL) and isinstance(kind, type)):
        return Parameter(type="string", help=text or f"A {kind.__name__}, as text.")
    raise IndescribableError(
        f"has the type {getattr(kind, '__name__', kind)}, which no value of JSON can be read as"
    )


def _object(kind: Any, text: str, depth: int) -> Parameter:
    fields, wrong = _fields(list(msgspec.structs.fields(kind)), _documented(kind), depth + 1)
    for name, problem in wrong.items():
        raise IndescribableError(f"has a field {name}, which {problem}")
    return Parameter(type="object", help=text, fields=fields)


def _union(types: tuple[Any, ...], text: str, depth: int) -> Parameter:
    some = [each for each in types if not isinstance(each, shapes.NoneType)]
    if len(some) == 1:
        return _of(some[0], text, depth)
    if {type(each) for each in some} == {shapes.IntType, shapes.FloatType}:
        return Parameter(type="number", help=text)
    if any(isinstance(each, shapes.StrType) for each in some) and all(
        isinstance(each, _NAMED) for each in some
    ):
        return Parameter(type="string", help=text)
    raise IndescribableError("has a type of several alternatives; leave one, or one and None")


def _default(field: Any, parameter: Parameter) -> Any:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return None
    return _shown(_plain(value), parameter)


def _plain(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value, enc_hook=msgspec_encoding_hook, order="deterministic")
    except (TypeError, ValueError) as error:
        raise IndescribableError(f"has a default that JSON cannot express: {error}") from None


def _shown(value: Any, parameter: Parameter) -> Any:
    """The default as somebody would give it: choices by name, decimals as text."""
    match parameter.type:
        case "enum":
            named = {code: name for name, code in parameter.codes.items()}
            return named.get(value, value)
        case "decimal":
            return str(value)
        case "list" if parameter.items:
            return [_shown(each, parameter.items) for each in value]
        case "map" if parameter.items:
            return {key: _shown(each, parameter.items) for key, each in value.items()}
        case "object":
            return {
                key: _shown(each, parameter.fields[key])
                for key, each in value.items()
                if key in parameter.fields
            }
    return value


def _documented(kind: Any) -> dict[str, str]:
    """What numpydoc sections `Parameters` along the bases say of each name; the nearest class counts."""
    found: dict[str, str] = {}
    for each in kind.__mro__:
        for name, text in _entries(inspect.cleandoc(each.__doc__ or "") + "\n"):
            found.setdefault(name, text)
    return found


def _entries(docstring: str) -> Iterator[tuple[str, str]]:
    for section in _SECTION.finditer(docstring):
        for entry in _ENTRY.finditer(section["body"]):
            text = " ".join(entry["text"].split())
            for name in entry["names"].split(","):
                yield name.strip(), text
