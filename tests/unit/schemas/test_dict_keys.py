"""A value at fault in a dict is named with its key."""

from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import StudyConfig
from flotilla.schemas.decoding import convert, decode
from flotilla.schemas.fault import FaultError

BASE = {"start_date": "2000-01-01", "end_date": "2001-01-01", "instruments": ["A.X"], "strategy": "s"}


class Body(msgspec.Struct):
    configs: list[StudyConfig]


@pytest.mark.parametrize(
    ("axis", "field"),
    [
        ({"low": 2, "high": 1}, "fast.low"),
        ({"low": "x", "high": 1}, "fast.low"),
        ({"step": 0, "low": 1, "high": 2}, "fast.step"),
        ({"values": [1], "colour": 1}, "fast.colour"),
        (7, "fast"),
    ],
)
def test_the_axis_at_fault_is_named(axis: Any, field: str) -> None:
    axes = {"slow": {"values": [1]}, "fast": axis, "third": {"values": [2]}}
    body = {"configs": [{"base": BASE, "axes": axes}]}
    with pytest.raises(FaultError) as caught:
        decode(msgspec.json.encode(body), Body)
    with pytest.raises(FaultError) as again:
        convert(body, Body)
    for told in (caught, again):
        (error,) = told.value.fault.errors
        assert error.field == f"configs[0].axes.{field}"


def test_a_key_that_is_wrong_itself_is_told_by_its_dict() -> None:
    with pytest.raises(FaultError) as caught:
        convert({"base": BASE, "axes": {"NO GOOD": {"values": [1]}}}, StudyConfig, "config")
    (error,) = caught.value.fault.errors
    assert error.field == "config.axes"
    assert "matching regex" in error.message
