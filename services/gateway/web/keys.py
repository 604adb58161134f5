"""camelCase keys of a decoded body, as their snake_case fields. Only keys of our structs: what stands in a free object stays."""

import re
from functools import cache
from typing import Any

from msgspec import inspect

from flotilla.schemas.fault import FieldError, invalid

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_name(key: str) -> str:
    """`instanceId` as `instance_id`."""
    return _HUMP.sub("_", key).lower()


def snake_keys(value: Any, into: Any, at: str = "") -> Any:
    """`value` with the keys of the struct `into`, and of those within, renamed. Raises FaultError for a key given both ways."""
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
        if name in renamed:
            raise invalid(FieldError(where, "given twice, in snake_case and in camelCase"))
        renamed[name] = _rename(item, fields[name], where)
    return renamed
