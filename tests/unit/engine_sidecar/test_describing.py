"""Config classes as typed parameters: types and ranges of annotations, help of docstrings, defaults as JSON."""

import enum
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pandas as pd
import pytest
from msgspec import Meta
from nautilus_trader.config import PositiveInt, StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Venue

from flotilla.engine_sidecar.checking.describing import parameters_of
from flotilla.schemas.catalog import Parameter

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"


class Speed(enum.Enum):
    SLOW = "s"
    FAST = "f"


class Window(msgspec.Struct, frozen=True):
    days: int = 3
    share: Decimal = Decimal("0.5")


def described(annotation: Any, default: Any = msgspec.NODEFAULT) -> Parameter:
    """The parameter of a config class that has this one field of its own."""
    field = ("value", annotation) if default is msgspec.NODEFAULT else ("value", annotation, default)
    kind = msgspec.defstruct("Config", [field], bases=(StrategyConfig,), frozen=True, kw_only=True)
    parameters, wrong = parameters_of(kind)
    assert wrong == {}
    assert list(parameters) == ["value"]
    return parameters["value"]


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (int, 5, {"type": "integer", "default": 5}),
        (Annotated[int, Meta(gt=0, le=9, description="d")], 5, {"help": "d", "above": 0, "max": 9}),
        (PositiveInt, 5, {"type": "integer", "above": 0}),
        (float | None, None, {"type": "number", "default": None}),
        (int | float, 1, {"type": "number", "default": 1}),
        (bool, True, {"type": "boolean", "default": True}),
        (str, "a", {"type": "string", "default": "a"}),
        (Decimal, Decimal("1.50"), {"type": "decimal", "default": "1.50"}),
        (
            Annotated[Decimal, Meta(extra_json_schema={"exclusiveMinimum": 0, "maximum": 9})],
            Decimal(1),
            {"type": "decimal", "above": 0, "max": 9},
        ),
        (InstrumentId, InstrumentId.from_str("SPX.SIM"), {"type": "instrument", "default": "SPX.SIM"}),
        (BarType, BarType.from_str(BARS), {"type": "bar_type", "default": BARS}),
        (Venue | None, None, {"type": "string"}),
        (pd.Timestamp | None, None, {"type": "string"}),
        (date, date(2020, 1, 31), {"type": "date", "default": "2020-01-31"}),
        (datetime, datetime(2020, 1, 31), {"type": "datetime", "default": "2020-01-31T00:00:00"}),
        (timedelta, timedelta(minutes=5), {"type": "duration", "default": "PT300S"}),
        (OrderSide, OrderSide.BUY, {"type": "enum", "default": "BUY"}),
        (Speed, Speed.FAST, {"type": "enum", "default": "FAST", "codes": {"SLOW": "s", "FAST": "f"}}),
        (Literal["x", "y"], "y", {"type": "enum", "choices": ("x", "y"), "codes": {}, "default": "y"}),
        (Literal[1, 2], 2, {"type": "enum", "codes": {"1": 1, "2": 2}, "default": "2"}),
        (Window, Window(), {"type": "object", "default": {"days": 3, "share": "0.5"}}),
        (dict[str, float], {}, {"type": "map", "default": {}}),
        (dict[str, Any] | None, None, {"type": "map", "default": None}),
        (str | OrderSide, "BUY", {"type": "string", "default": "BUY"}),
    ],
)
def test_a_field_becomes_a_parameter(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    found = msgspec.structs.asdict(described(annotation, default))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("annotation", [list[OrderSide], tuple[OrderSide, ...], set[OrderSide]])
def test_what_a_list_holds_is_described_too(annotation: Any) -> None:
    found = described(annotation)
    assert (found.type, found.required) == ("list", True)
    assert found.items is not None
    assert found.items.codes == {"NO_ORDER_SIDE": 0, "BUY": 1, "SELL": 2}


def bad_default() -> None:
    """Stands for what JSON cannot express."""


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int | BarType, "no value of JSON can be read as"),
        (int | str, "several alternatives"),
        (Callable[[], int], "no value of JSON can be read as"),
        (Annotated[Decimal, Meta(gt=0)], "no value of JSON can be read as"),
        (list[list[list[list[list[int]]]]], "nested deeper"),
        (bytes, "no parameter"),
        (dict[int, str], "no parameter"),
    ],
)
def test_a_field_that_cannot_be_described_is_named(annotation: Any, words: str) -> None:
    kind = msgspec.defstruct(
        "Config", [("value", annotation)], bases=(StrategyConfig,), kw_only=True, frozen=True
    )
    parameters, wrong = parameters_of(kind)
    assert parameters == {}
    assert words in wrong["value"]


def test_a_name_that_no_parameter_can_have_is_told() -> None:
    kind = msgspec.defstruct("Config", [("MaxSize", int)], bases=(StrategyConfig,), kw_only=True, frozen=True)
    assert "cannot name a parameter" in parameters_of(kind)[1]["MaxSize"]


class Base(StrategyConfig, frozen=True, kw_only=True):
    """
    What is common.

    Parameters
    ----------
    fast, slow : int
        Bars of
        the average.
    size : Decimal, default 1
        Of an order.

    Raises
    ------
    ValueError
        Not a parameter.
    """

    fast: int = 5
    slow: int = 20
    size: Decimal = Decimal(1)


class Derived(Base, frozen=True, kw_only=True):
    """
    More of it.

    Parameters
    ----------
    size : Decimal
        Of each order.
    """

    more: int = 0


def test_help_is_read_from_docstrings_and_the_nearest_class_counts() -> None:
    parameters, wrong = parameters_of(Derived)
    assert wrong == {}
    assert {name: each.help for name, each in parameters.items()} == {
        "fast": "Bars of the average.",
        "slow": "Bars of the average.",
        "size": "Of each order.",
        "more": "",
    }
