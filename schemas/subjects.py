"""Subject names: the only place where one is put together or taken apart."""

import re
from collections.abc import Mapping
from functools import lru_cache

from flotilla.schemas.ids import is_backtest_id, is_id

_PLACEHOLDER = re.compile(r"<([a-z_]+)>")


@lru_cache(maxsize=1024)
def _tokens(pattern: str) -> tuple[tuple[str, str], ...]:
    """Each token of the pattern with the name of its placeholder, empty for one that is meant as it stands."""
    tokens = pattern.split(".")
    return tuple((each, found[1] if (found := _PLACEHOLDER.fullmatch(each)) else "") for each in tokens)


def subject(pattern: str, **ids: str) -> str:
    """`engine.<instance_id>.fill` with its ids filled in. Raises ValueError for an id that could change the subject's shape."""
    if "<" not in pattern:
        return pattern
    return ".".join(_id(name, ids.get(name, "")) if name else token for token, name in _tokens(pattern))


def _id(placeholder: str, value: str) -> str:
    if not _fits(placeholder, value):
        raise ValueError(f"{placeholder} {value!r} is no id")
    return value


def wildcard(pattern: str) -> str:
    """The pattern as a subscription: every placeholder becomes `*`."""
    return _PLACEHOLDER.sub("*", pattern)


def parse(pattern: str, actual: str) -> Mapping[str, str] | None:
    """The ids that stand in `actual`, or None when it does not fit the pattern."""
    wanted, tokens = _tokens(pattern), actual.split(".")
    if len(wanted) != len(tokens):
        return None
    ids: dict[str, str] = {}
    for (want, placeholder), token in zip(wanted, tokens, strict=True):
        if placeholder:
            if not _fits(placeholder, token):
                return None
            ids[placeholder] = token
        elif want != token:
            return None
    return ids


def _fits(placeholder: str, value: str) -> bool:
    return is_backtest_id(value) if placeholder == "backtest_id" else is_id(value)
