"""Subject names: the only place where one is put together or taken apart."""

import re
from collections.abc import Mapping

from flotilla.schemas.ids import is_backtest_id, is_id

_PLACEHOLDER = re.compile(r"<([a-z_]+)>")


def subject(pattern: str, **ids: str) -> str:
    """`engine.<instance_id>.fill` with its ids filled in. Raises ValueError for an id that could change the subject's shape."""

    if "<" not in pattern:
        return pattern

    def fill(match: re.Match[str]) -> str:
        value = ids.get(match[1], "")
        if not _fits(match[1], value):
            raise ValueError(f"{match[1]} {value!r} is no id")
        return value

    return _PLACEHOLDER.sub(fill, pattern)


def wildcard(pattern: str) -> str:
    """The pattern as a subscription: every placeholder becomes `*`."""
    return _PLACEHOLDER.sub("*", pattern)


def parse(pattern: str, actual: str) -> Mapping[str, str] | None:
    """The ids that stand in `actual`, or None when it does not fit the pattern."""
    wanted, tokens = pattern.split("."), actual.split(".")
    if len(wanted) != len(tokens):
        return None
    ids: dict[str, str] = {}
    for want, token in zip(wanted, tokens, strict=True):
        if placeholder := _PLACEHOLDER.fullmatch(want):
            if not _fits(placeholder[1], token):
                return None
            ids[placeholder[1]] = token
        elif want != token:
            return None
    return ids


def _fits(placeholder: str, value: str) -> bool:
    return is_backtest_id(value) if placeholder == "backtest_id" else is_id(value)
