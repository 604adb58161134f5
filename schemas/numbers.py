"""Numbers in JSON that are too large to be one: floats beyond the range of a double, integers of more than 64 bits."""

import json
import math
import re
from typing import Any, Final

_LONG: Final = re.compile(rb"\d{19}")
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_TOO_LARGE: Final = math.inf


def may_be_out_of_range(body: bytes) -> bool:
    """False for a body that surely has no integer of more than 64 bits; quick, because it is asked of every body."""
    return _LONG.search(body) is not None


def out_of_range_at(body: bytes) -> str | None:
    """Where the first such number stands in a JSON document (`config.axes[0]`, or "" for the whole); None when there is none.

    Also None for what is no JSON.
    """
    return infinite_at(read_leniently(body))


def read_leniently(body: bytes) -> Any:
    """A JSON document with infinity for each number that is out of range; None for what is no JSON.

    Python refuses to read an integer of more than 4,300 digits, and JSON's other readers anything over 64 bits: what one
    part of the fleet takes, another must be able to read.
    """
    try:
        return json.loads(body, parse_int=_integer, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int | float:
    # A sign and the 20 digits of 2**64.
    number = int(digits) if len(digits) <= 21 else _TOO_LARGE
    return number if _LEAST <= number <= _MOST else _TOO_LARGE


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def infinite_at(value: Any, at: str = "") -> str | None:
    """Where the first number stands in a decoded document that is not finite; None when there is none."""
    match value:
        case float() if not math.isfinite(value):
            return at
        case dict():
            inner = [(f"{at}.{key}".removeprefix("."), item) for key, item in value.items()]
        case list():
            inner = [(f"{at}[{index}]", item) for index, item in enumerate(value)]
        case _:
            return None
    return next((where for path, item in inner if (where := infinite_at(item, path)) is not None), None)
