"""Numbers that are too large to be one are refused by every reader of the fleet, and named by where they stand."""

from typing import Any

import pytest

from flotilla.schemas.decoding import decode
from flotilla.schemas.engine import StartEngine
from flotilla.schemas.fault import FaultError
from flotilla.schemas.numbers import out_of_range_at

LONG = "9" * 5000


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (LONG, ""),
        ("[" + LONG + "]", "[0]"),
        ('{"a":[1,{"b":' + LONG + "}]}", "a[1].b"),
        ('{"a":{"b":{"c":-' + LONG + '}},"d":1e999}', "a.b.c"),
        ('{"d":1e999}', "d"),
        ('{"d":-1e999}', "d"),
        ('{"a":18446744073709551616}', "a"),
        ('{"a":-9223372036854775809}', "a"),
        ('{"a":' + "9" * 400 + ".5}", "a"),
    ],
)
def test_a_number_out_of_range_is_named(body: str, where: str) -> None:
    assert out_of_range_at(body.encode()) == where
    with pytest.raises(FaultError) as refused:
        decode(body.encode(), Any)
    assert (refused.value.fault.status, refused.value.fault.message) == (
        422,
        f"{where or 'body'}: number out of range",
    )


@pytest.mark.parametrize(
    "body",
    [
        "18446744073709551615",
        "-9223372036854775808",
        "1764368280000000000",
        "1e300",
        "0." + LONG,
        "1e-999",
        '{"a":"' + LONG + '"}',
        '{"' + LONG + '":1}',
        '[1,2.5,{"b":"inf"},null,true]',
    ],
)
def test_any_other_is_taken(body: str) -> None:
    assert out_of_range_at(body.encode()) is None
    decode(body.encode(), Any)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff", b"[" * 100_000, b"[NaN]"])
def test_what_is_no_json_is_told_as_that(body: bytes) -> None:
    assert out_of_range_at(body) is None
    with pytest.raises(FaultError) as refused:
        decode(body, Any)
    assert refused.value.fault.status == 400


def test_a_typed_request_names_the_field_too() -> None:
    body = '{"config":{"strategy":{"template":"grid","parameters":{"levels":' + LONG + "}}}}"
    with pytest.raises(FaultError) as refused:
        decode(body.encode(), StartEngine)
    assert [one.field for one in refused.value.fault.errors] == ["config.strategy.parameters.levels"]
