"""Numbers that are too large to be one."""

import math
from typing import Any


def infinite_at(value: Any, at: str = "") -> str | None:
    """Where the first number stands in a decoded document that is not finite (`config.axes[0]`); None when there is none."""
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
