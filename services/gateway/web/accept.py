"""What a client says it can read: in the `Accept` header, which a browser may set without asking for leave first."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

PROBLEM: Final = "application/problem+json"
_JSON: Final = "application/json"
_EXACT: Final = 2**53
"""Beyond this a reader whose numbers are floats, as those of JavaScript are, loses digits."""


def takes_problems(accept: Sequence[str]) -> bool:
    """True for who asks for problem details (RFC 9457) by name."""
    return any(media == PROBLEM and more.get("q") not in ("0", "0.0") for media, more in _named(accept))


def wants_integers_as_text(accept: Sequence[str]) -> bool:
    """True for `application/json;integers=string`."""
    # Asked of every reply, and hardly ever so: the header is not taken apart for nothing.
    if not any("integers" in each for each in accept):
        return False
    return any(media == _JSON and more.get("integers") == "string" for media, more in _named(accept))


def with_text_integers(value: Any) -> Any:
    """Plain JSON data, with integers beyond 2^53 as decimal strings."""
    match value:
        case bool():
            return value
        case int():
            return value if -_EXACT <= value <= _EXACT else str(value)
        case list():
            return [with_text_integers(each) for each in value]
        case dict():
            return {key: with_text_integers(each) for key, each in value.items()}
    return value


def _named(accept: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for each in ",".join(accept).split(","):
        media, *parameters = (part.strip().lower() for part in each.split(";"))
        yield (
            media,
            {name.strip(): text.strip() for name, _, text in (one.partition("=") for one in parameters)},
        )
