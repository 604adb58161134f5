"""What may be chosen where a value is none of an enumeration: msgspec says that it is none, and not what there is."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import inspect

_WRONG: Final = "Invalid enum value "
_STEP: Final = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


def with_choices(text: str, path: str, into: Any) -> str:
    """A message of msgspec about the value at `path` of a type, with what may stand there instead; the same for all other messages."""
    if not text.startswith(_WRONG):
        return text
    found = dict.fromkeys(_choices_at(inspect.type_info(into), _STEP.findall(path)))
    return f"{text}; choose from {', '.join(found)}" if found else text


def _choices_at(shape: inspect.Type, steps: Sequence[str]) -> Iterator[str]:
    match shape:
        case inspect.Metadata():
            yield from _choices_at(shape.type, steps)
        case inspect.UnionType():
            for option in shape.types:
                yield from _choices_at(option, steps)
        case inspect.EnumType() if not steps:
            yield from (str(one.value) for one in shape.cls)
        case inspect.LiteralType() if not steps:
            yield from map(str, shape.values)
        case inspect.StructType() if steps:
            for field in shape.fields:
                if field.encode_name == steps[0]:
                    yield from _choices_at(field.type, steps[1:])
        case inspect.DictType() if steps:
            yield from _choices_at(shape.value_type, steps[1:])
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType() if (
            steps
        ):
            yield from _choices_at(shape.item_type, steps[1:])
