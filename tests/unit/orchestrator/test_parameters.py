import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.catalog import CatalogEntry, Parameter
from flotilla.services.orchestrator.templates.core.parameters import (
    Known,
    WrongValue,
    check,
    check_all,
    instrument_of,
)
from tests.unit.orchestrator.makers import NOW

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
KNOWN = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset({BARS}))


def parameter(kind: str, **more: Any) -> Parameter:
    return Parameter(**{"type": kind, "help": "h", **more})


@pytest.mark.parametrize(
    ("kind", "given_value", "taken"),
    [
        ("integer", 5, 5),
        ("number", 0.5, 0.5),
        ("number", 3, 3),
        ("decimal", "100000", "100000"),
        ("decimal", "0.10", "0.10"),
        ("decimal", 100, "100"),
        ("decimal", 0.5, "0.5"),
        ("decimal", 1e-7, "0.0000001"),
        ("decimal", 1e5, "100000"),
        ("boolean", False, False),
        ("string", "a b", "a b"),
        ("instrument", "SPX.SIM", "SPX.SIM"),
        ("bar_type", BARS, BARS),
        ("bar_type", "SPX.SIM-5-MINUTE-LAST-INTERNAL", "SPX.SIM-5-MINUTE-LAST-INTERNAL"),
    ],
)
def test_a_value_of_its_type_is_taken(kind: str, given_value: Any, taken: Any) -> None:
    value = check(parameter(kind), given_value, KNOWN)
    assert value == taken
    assert type(value) is type(taken)


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        ("integer", 5.0, "integer"),
        ("integer", "5", "integer"),
        ("integer", True, "integer"),
        ("integer", 10**400, "too large"),
        ("number", True, "number"),
        ("number", "0.5", "number"),
        ("number", math.nan, "finite"),
        ("number", math.inf, "finite"),
        ("number", -math.inf, "finite"),
        ("number", 10**400, "finite"),
        ("decimal", "NaN", "decimal"),
        ("decimal", "Infinity", "decimal"),
        ("decimal", "1e5", "decimal"),
        ("decimal", "", "decimal"),
        ("decimal", "1\n", "decimal"),
        ("decimal", "0x10", "decimal"),
        ("decimal", "\u0661", "decimal"),
        ("decimal", math.nan, "finite"),
        ("decimal", 1e30, "digits"),
        ("decimal", [1], "number"),
        ("boolean", 1, "true or false"),
        ("boolean", "true", "true or false"),
        ("string", 5, "string"),
        ("string", "a\nb", "printable"),
        ("string", "x" * 501, "printable"),
        ("instrument", "../etc", "instrument"),
        ("instrument", "SPX.SIM\n", "instrument"),
        ("instrument", "AAPL.XNAS", "not in the data catalog"),
        ("bar_type", "SPX.SIM", "bar type"),
        ("bar_type", "SPX.SIM-1-HOUR-LAST-EXTERNAL", "not in the data catalog"),
        ("bar_type", "AAPL.XNAS-5-MINUTE-LAST-INTERNAL", "not in the data catalog"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: str, value: Any, complaint: str) -> None:
    with pytest.raises(WrongValue, match=complaint):
        check(parameter(kind), value, KNOWN)


@pytest.mark.parametrize("kind", ["integer", "number", "decimal"])
def test_limits_include_their_ends(kind: str) -> None:
    limited = parameter(kind, min=1, max=10)
    for inside in (1, 10):
        check(limited, inside, None)
    for outside in (0, -5, 11):
        with pytest.raises(WrongValue, match="must be at"):
            check(limited, outside, None)


def test_a_choice_must_be_one_of_those_offered() -> None:
    offered = parameter("string", choices=("fast", "slow"))
    assert check(offered, "fast", None) == "fast"
    with pytest.raises(WrongValue, match="one of fast, slow"):
        check(offered, "faster", None)


def test_all_that_is_wrong_is_told_at_once() -> None:
    parameters = {
        "size": parameter("decimal", required=True),
        "period": parameter("integer", default=10, min=1),
        "speed": parameter("number", default=0.0),
    }
    values, errors = check_all(parameters, {"period": 0, "spede": 1, "speed": math.nan}, KNOWN, "at")
    assert {error.field for error in errors} == {"at.size", "at.period", "at.spede", "at.speed"}
    assert next(error.message for error in errors if error.field == "at.spede").endswith(
        "size, period, speed"
    )
    assert values == {}


def test_defaults_are_taken_and_null_means_the_default() -> None:
    parameters = {"period": parameter("integer", default=10), "tag": parameter("string")}
    assert check_all(parameters, {"period": None}, KNOWN, "at") == ({"period": 10, "tag": None}, [])


def test_the_name_of_an_unknown_parameter_is_shown_safely() -> None:
    _, errors = check_all({}, {"x\n" * 100: 1}, KNOWN, "at")
    assert "\n" not in errors[0].field
    assert len(errors[0].field) < 150


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
)
def test_whatever_is_given_is_taken_in_the_right_type_or_refused(value: Any) -> None:
    for kind, types in {
        "integer": (int,),
        "number": (int, float),
        "decimal": (str,),
        "boolean": (bool,),
        "string": (str,),
        "instrument": (str,),
        "bar_type": (str,),
    }.items():
        try:
            taken = check(parameter(kind), value, KNOWN)
        except WrongValue:
            continue
        assert taken is None or isinstance(taken, types)


def test_what_the_catalog_lists_is_known() -> None:
    entry = CatalogEntry(
        data_type="bars", identifier=BARS, instrument_id="SPX.SIM", start=NOW, end=NOW, files=1, size_bytes=1
    )
    assert Known.of((entry,)) == KNOWN
    assert instrument_of(BARS) == "SPX.SIM"
