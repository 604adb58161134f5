"""A value that is none of an enumeration is refused with what there is to choose from, wherever it stands."""

from enum import StrEnum
from typing import Any, Literal

import msgspec
import pytest

from flotilla.schemas.decoding import convert, decode
from flotilla.schemas.fault import FaultError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct):
    colour: Colour | None = None
    size: Literal["s", "m"] = msgspec.field(default="s", name="class")


class Outer(msgspec.Struct):
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("given", "field", "choices"),
    [
        ({"inner": {"colour": "green"}}, "inner.colour", "red, blue"),
        ({"inner": {"class": "xl"}}, "inner.class", "m, s"),
        ({"many": [{}, {"colour": "green"}]}, "many[1].colour", "red, blue"),
        ({"by_name": {"a": {"class": "xl"}}}, "by_name.a.class", "m, s"),
    ],
)
def test_the_choices_are_listed(given: dict[str, Any], field: str, choices: str) -> None:
    for read in (lambda: convert(given, Outer), lambda: decode(msgspec.json.encode(given), Outer)):
        with pytest.raises(FaultError) as refused:
            read()
        (error,) = refused.value.fault.errors
        assert (error.field, error.message.partition("; ")[2]) == (field, f"choose from {choices}")


def test_a_value_by_itself_too() -> None:
    with pytest.raises(FaultError, match="kind: Invalid enum value 'x'; choose from red, blue"):
        convert("x", Colour, "kind")
