"""`{name}` in a template, and how values are put there. Typed where a string is nothing else; nothing is ever evaluated."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flotilla.services.orchestrator.templates.core.parameters import Value, WrongValue

_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]{0,62})\}")


def substitute(body: Any, values: Mapping[str, Value]) -> Any:
    """The body with its placeholders replaced.

    A string that is nothing but a placeholder takes the typed value; within a longer string, and in keys, the value is written
    out. Values are not searched for placeholders. Raises WrongValue where a value is missing that would have to be written out.
    """
    if isinstance(body, str):
        whole = _PLACEHOLDER.fullmatch(body)
        return values[whole[1]] if whole else _written(body, values)
    if isinstance(body, dict):
        return {_written(key, values): substitute(item, values) for key, item in body.items()}
    if isinstance(body, list):
        return [substitute(item, values) for item in body]
    return body


def placeholders(body: Any) -> Iterator[str]:
    """The names that stand in braces anywhere in the body, keys included."""
    if isinstance(body, str):
        yield from _PLACEHOLDER.findall(body)
    elif isinstance(body, dict):
        for key, item in body.items():
            yield from placeholders(key)
            yield from placeholders(item)
    elif isinstance(body, list | tuple):
        for item in body:
            yield from placeholders(item)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`under` with what `over` says in its place; objects within are merged likewise. Neither is changed."""
    both = dict(under)
    for key, value in over.items():
        beneath = both.get(key)
        is_inner = isinstance(beneath, Mapping) and isinstance(value, Mapping)
        both[key] = merged(beneath, value) if is_inner else value  # type: ignore[arg-type]
    return both


def _written(text: str, values: Mapping[str, Value]) -> str:
    def write(match: re.Match[str]) -> str:
        value = values[match[1]]
        if value is None:
            raise WrongValue(f"{match[1]} has no value, and {text!r} needs one")
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _PLACEHOLDER.sub(write, text)
