"""From an untrusted HTTP request to typed values, or to a Fault that names the parameter, header or field."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import inspect

from flotilla.schemas.access import TokenRecord
from flotilla.schemas.choices import with_choices
from flotilla.schemas.decoding import convert, decode
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.ids import RequestId
from flotilla.schemas.numbers import infinite_at, read_leniently
from flotilla.services.gateway.web.queries import PATH_TYPES

_PATHS: Final = 1_024
"""Ids of paths that are kept in mind, found sound: the same ones are asked for again and again."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_name(key: str) -> str:
    """`instanceId` as `instance_id`."""
    return _HUMP.sub("_", key).lower()


def snake_keys(value: Any, into: Any, at: str = "") -> Any:
    """`value` with the keys of the struct `into`, and of those within, renamed. Raises FaultError for a key that is given both ways and not alike."""
    return _rename(value, _shape(into), at)


@cache
def _shape(into: Any) -> inspect.Type:
    return inspect.type_info(into)


def _rename(value: Any, shape: inspect.Type, at: str) -> Any:
    match shape:
        case inspect.Metadata():
            return _rename(value, shape.type, at)
        case inspect.UnionType():
            for option in shape.types:
                value = _rename(value, option, at)
        case inspect.StructType() if isinstance(value, dict):
            return _rename_struct(value, shape, at)
        case inspect.DictType() if isinstance(value, dict):
            return {key: _rename(item, shape.value_type, f"{at}.{key}") for key, item in value.items()}
        case inspect.ListType() | inspect.VarTupleType() if isinstance(value, list):
            return [_rename(item, shape.item_type, f"{at}[{index}]") for index, item in enumerate(value)]
    return value


def _rename_struct(value: dict[str, Any], shape: inspect.StructType, at: str) -> dict[str, Any]:
    fields = {field.encode_name: field.type for field in shape.fields}
    renamed: dict[str, Any] = {}
    for key, item in value.items():
        name = key if key in fields else snake_name(key)
        if name not in fields:
            renamed[key] = item
            continue
        where = f"{at}.{name}".removeprefix(".")
        read = _rename(item, fields[name], where)
        if name in renamed and renamed[name] != read:
            raise invalid(FieldError(where, "given twice, in snake_case and in camelCase, and not the same"))
        renamed[name] = read
    return renamed


REQUEST_ID_HEADERS: Final = ("Idempotency-Key", "X-Request-Id")
"""Where a caller's request id may stand; the first that is there counts."""


@dataclass(frozen=True, kw_only=True)
class Ask[Q, B]:
    """A request that was found sound: by which token, under which id, and what. `http` is for answers that are streamed.

    `token` is None where the route is open to all.
    """

    token: TokenRecord | None
    request_id: str
    path: Mapping[str, str]
    query: Q
    body: B
    http: web.Request


def read_request_id(headers: Mapping[str, str]) -> str | None:
    """The caller's request id, if it chose one. Raises FaultError `invalid` naming the header."""
    for header in REQUEST_ID_HEADERS:
        if (given := headers.get(header)) is not None:
            return str(convert(given, RequestId, header))
    return None


def read_path(given: Mapping[str, str]) -> dict[str, str]:
    """The ids that stand in the path. Raises FaultError `invalid` for one that could be no id."""
    return {name: _path_id(name, value) for name, value in given.items()}


@lru_cache(maxsize=_PATHS)
def _path_id(name: str, value: str) -> str:
    return str(convert(value, PATH_TYPES[name], name))


def read_query[Q: msgspec.Struct](given: Iterable[tuple[str, str]], into: type[Q]) -> Q:
    """The query parameters as a struct. Raises FaultError `invalid` that names every one that is wrong, unknown or given twice."""
    fields = _fields(into)
    values: dict[str, Any] = {}
    problems: list[FieldError] = []
    named: set[str] = set()
    for key, text in given:
        name = key if key in fields else snake_name(key)
        if name not in fields:
            problems.append(FieldError(key[:100], "unknown query parameter"))
        elif name in named:
            problems.append(FieldError(name, "given twice"))
        else:
            named.add(name)
            try:
                values[fields[name].name] = _parsed(text, fields[name].type)
            except msgspec.ValidationError as error:
                said = with_choices(str(error), "", fields[name].type)
                problems.append(FieldError(name, _meant(fields[name].type, said)))
    problems += [
        FieldError(name, "missing") for name, field in fields.items() if field.required and name not in named
    ]
    if problems:
        raise invalid(*problems)
    return into(**values)


@cache
def _fields(into: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """By their names outside."""
    return {field.encode_name: field for field in msgspec.structs.fields(into)}


def read_body[B](body: bytes, into: type[B], *, is_optional: bool, fill: Mapping[str, str]) -> B:
    """The body as a struct; keys may be snake_case or camelCase.

    `fill` gives values that stand elsewhere too, by their path in the body (`config.instance_id`): each is put in where it is
    missing, and a different one is refused. Raises FaultError as schemas.decoding.decode does.
    """
    if not body and is_optional:
        value: Any = {}
    elif not body:
        raise fault(FaultCode.MALFORMED, "body is empty; a JSON object is needed")
    else:
        value = snake_keys(_decoded(body, into), into)
    for path, wanted in fill.items():
        _fill(value, path, wanted)
    return convert(value, into)


def _parsed(text: str, wanted: Any) -> Any:
    return msgspec.convert(text.split(",") if _is_list(wanted) else text, wanted, strict=False)


def _meant(wanted: Any, said: str) -> str:
    """What is wrong with a text that is not of a form; the description of its type says that form better than its pattern does."""
    found = _description(inspect.type_info(wanted)) if "matching regex" in said else ""
    return f"not understood; wanted: {found}" if found else said


def _description(shape: inspect.Type) -> str:
    match shape:
        case inspect.Metadata():
            return str((shape.extra_json_schema or {}).get("description", "")) or _description(shape.type)
        case inspect.UnionType():
            return next(filter(None, map(_description, shape.types)), "")
    return ""


@cache
def _is_list(wanted: Any) -> bool:
    shape = inspect.type_info(wanted)
    while isinstance(shape, inspect.Metadata):
        shape = shape.type
    return isinstance(shape, inspect.VarTupleType)


def _decoded(body: bytes, into: Any) -> Any:
    try:
        return decode(body, Any)
    except FaultError:
        # Fields are named as ours, also where the body writes them in camelCase.
        if (at := infinite_at(snake_keys(read_leniently(body), into))) is not None:
            raise invalid(FieldError(at or "body", "number out of range")) from None
        raise


def _fill(value: Any, path: str, wanted: str) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        value = value.get(parent) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        return  # The conversion says what is wrong with it.
    if value.get(name) is None:
        value[name] = wanted
    elif value[name] != wanted:
        raise invalid(FieldError(path, f"differs from {wanted!r} in the URL"))
