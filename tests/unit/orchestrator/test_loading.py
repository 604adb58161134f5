"""Template files: what is no sound template is refused with everything that is wrong with it."""

import json
from typing import Any

import msgspec
import pytest

from flotilla.services.orchestrator.templates.core.loading import load
from flotilla.services.orchestrator.templates.core.templates import EngineTemplate, StrategyTemplate
from flotilla.services.orchestrator.templates.core.venues import VenueTemplate
from tests.unit.orchestrator.test_rendering import ENGINE, RULES, STRATEGY

MAX_BYTES = 256 * 1024

VENUE: dict[str, Any] = {
    "name": "bazaar",
    "description": "d",
    "data": {"path": "a.b:DataConfig", "factory": "a.c:DataFactory"},
    "execution": {"path": "a.b:ExecConfig", "factory": "a.c:ExecFactory"},
    "credentials": ["api_key"],
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "other"}, "its name is other"),
        ({"nodes": {}}, "unknown field"),
        ({"node": {"a": "{sped}"}}, r"\{sped\} is no parameter"),
        ({"node": {"{sped}": 1}}, r"\{sped\} is no parameter"),
        ({"parameters": {"speed": {"type": "float", "help": "h"}}}, "enum value"),
        ({"parameters": {"speed": {"type": "number", "help": "h", "default": "x"}}}, "default of speed"),
        ({"parameters": {"Speed!": {"type": "number", "help": "h"}}, "node": {}}, "cannot name a parameter"),
        ({"parameters": {"log_level": {"type": "string", "help": "h"}}, "node": {}}, "cannot name"),
        (
            {"parameters": {"speed": {"type": "number", "help": "h", "required": True, "default": 1}}},
            "required",
        ),
        ({"defaults": {"strategies": [{}]}}, "either"),
    ],
)
def test_a_template_that_is_not_sound_is_refused_when_it_is_loaded(
    changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        load(msgspec.json.encode({**ENGINE, **changes}), EngineTemplate, "sandbox_engine")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_template_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        load(raw, StrategyTemplate, "x")


@pytest.mark.parametrize(
    "raw", [b"{}" + b" " * MAX_BYTES, b"[" * 33 + b"]" * 33, b'{"a":' * 5000 + b"1" + b"}" * 5000]
)
def test_a_file_that_is_huge_or_nested_without_end_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"larger than|nested deeper"):
        load(raw, EngineTemplate, "x")


def test_all_that_is_wrong_with_a_template_is_told_at_once() -> None:
    wrong = {**ENGINE, "name": "other", "node": {"a": "{x}", "b": "{y} {venue}"}}
    with pytest.raises(ValueError, match="its name is other") as raised:
        load(msgspec.json.encode(wrong), EngineTemplate, "sandbox_engine")
    assert str(raised.value).split("; ")[1:] == [
        "{venue} is no parameter",
        "{x} is no parameter",
        "{y} is no parameter",
    ]


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ([{"less": ["fast", "slow"], "message": "m"}], "slow, which is no numeric parameter"),
        ([{"less": ["fast", "bar_type"], "message": "m"}], "bar_type, which is no numeric"),
        ([{"less": ["trade_size", "fast"], "message": "m"}], "defaults break a rule: m"),
        ([{"less": ["fast"], "message": "m"}], "length"),
        ([{"less": ["fast", "trade_size"], "message": "m", "eval": "1"}], "unknown field"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rules: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        load(msgspec.json.encode({**STRATEGY, "rules": rules}), StrategyTemplate, "ema_cross")
    assert load(msgspec.json.encode({**STRATEGY, "rules": RULES}), StrategyTemplate, "ema_cross").rules


@pytest.mark.parametrize("path", ["os", "os:", ":system", "os:sys tem", "../x:Y", "a:b:c", "a\nb:C"])
def test_a_class_is_named_by_module_and_name_and_nothing_else(path: str) -> None:
    with pytest.raises(ValueError, match="strategy_path"):
        load(json.dumps({**STRATEGY, "strategy_path": path}).encode(), StrategyTemplate, "ema_cross")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"data": None, "execution": None}, "neither"),
        ({"execution": None, "needs_account": True}, "no execution client"),
        ({"data": None, "paper": {"data": {"port": 1}}}, "settings for data"),
        ({"defaults": {"data": {"deep": [{"api_key": "x"}]}}}, "api_key is a credential, and has a value"),
        ({"defaults": {"other": {}}}, "unknown field"),
        ({"data": {"path": "a.b:C"}}, "factory"),
    ],
)
def test_a_venue_file_that_is_not_sound_is_refused(changes: dict[str, Any], complaint: str) -> None:
    assert load(msgspec.json.encode(VENUE), VenueTemplate, "bazaar")
    with pytest.raises(ValueError, match=complaint):
        load(msgspec.json.encode({**VENUE, **changes}), VenueTemplate, "bazaar")
