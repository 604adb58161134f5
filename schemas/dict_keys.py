"""The key of a dict's entry that is wrong, of which msgspec says `axes[...]` only."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

UNNAMED: Final = "[...]"
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_MOST: Final = 64


def with_key(value: Any, text: str, complaint: Callable[[Any], str | None]) -> str:
    """The text of msgspec's error with the key in it; as it is where that cannot be told.

    The key is that of the entry for which `complaint`, which tells what is wrong with a value, says the same without the others.
    """
    before = text.rpartition("`$")[2].partition(UNNAMED)[0]
    steps = [int(index) if index else name for name, index in _STEP.findall(before)]
    for key in list(_entries(value, steps))[:_MOST]:
        if complaint(_alone(value, steps, key)) == text:
            return text.replace(UNNAMED, f".{key}", 1)
    return text


def _entries(value: Any, steps: Sequence[int | str]) -> dict[str, Any]:
    for step in steps:
        value = value[step]
    return value if isinstance(value, dict) else {}


def _alone(value: Any, steps: Sequence[int | str], key: str) -> Any:
    """The value, of whose dict only that entry is left."""
    if not steps:
        return {key: value[key]}
    copy = value.copy()
    copy[steps[0]] = _alone(value[steps[0]], steps[1:], key)
    return copy
