"""Labels: `key=value` that people give to engines and hosts, to find them by what they are for.

Both halves may stand in a URL, a Docker label, a table and a settings variable, where a comma separates pairs.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from flotilla.schemas.fault import FieldError, invalid

KEY_PATTERN: Final = r"\A[a-z][a-z0-9_.-]{0,62}\Z"
VALUE_PATTERN: Final = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z"
MOST_LABELS: Final = 16
FORM: Final = (
    "key=value: the key of lower case letters, digits, '_', '.' and '-' with a letter first, the value of letters,"
    " digits, '_', '.' and '-' with a letter or digit first, each of at most 63 characters"
)

LabelKey: TypeAlias = Annotated[str, Meta(pattern=KEY_PATTERN)]
LabelValue: TypeAlias = Annotated[str, Meta(pattern=VALUE_PATTERN)]
Labels: TypeAlias = Annotated[
    dict[LabelKey, LabelValue],
    Meta(max_length=MOST_LABELS, description=f"At most {MOST_LABELS} labels. Each is {FORM}."),
]

_KEY: Final = re.compile(KEY_PATTERN)
_VALUE: Final = re.compile(VALUE_PATTERN)
_SHOWN: Final = 140
"""Characters of what is no label that an error repeats; a label has 127 at most."""


def matches(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """True when `labels` has every pair of `wanted`.

    An empty `wanted` asks for nothing and so matches everything, what has no label too. A rule that grants something by
    labels must therefore refuse an empty selector, unless it means the whole fleet.
    """
    return wanted.items() <= labels.items()


def parse_labels(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` texts as labels. Raises ValueError for one that is none, a key that comes twice, and too many."""
    labels: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not (_KEY.match(key) and _VALUE.match(value)):
            raise ValueError(f"{pair[:_SHOWN]!r} is not {FORM}")
        if key in labels:
            raise ValueError(f"{key} is given twice")
        labels[key] = value
        if len(labels) > MOST_LABELS:
            raise ValueError(f"more than {MOST_LABELS} labels")
    return labels


def text_of(labels: Mapping[str, str]) -> str:
    """Labels as `parse_labels` reads them, one after the other separated by commas."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def read_labels(pairs: Iterable[str], field: str) -> dict[str, str]:
    """As parse_labels. Raises FaultError `invalid` that names `field`."""
    try:
        return parse_labels(pairs)
    except ValueError as error:
        raise invalid(FieldError(field, str(error))) from None
