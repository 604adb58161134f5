"""Whether a strategy template takes some parameters: everything at once, and NautilusTrader has the last word."""

from typing import Any

import msgspec
import pytest

from flotilla.schemas.catalog import StrategyVerdict, ValidateStrategy
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import PlanProblems
from flotilla.services.orchestrator.templates.core.loading import load
from flotilla.services.orchestrator.templates.core.templates import StrategyTemplate, TemplateSet
from flotilla.services.orchestrator.templates.core.validation import examine, judged
from tests.unit.orchestrator.test_rendering import RULES, STRATEGY

PARAMETERS: dict[str, Any] = {
    **STRATEGY["parameters"],
    "horizon": {"type": "integer", "help": "h", "required": True},
    "label": {"type": "string", "help": "h", "required": True},
}
BODY = {
    **STRATEGY,
    "parameters": PARAMETERS,
    "rules": RULES,
    "config": {**STRATEGY["config"], "h": "{horizon}"},
}
SHELF = TemplateSet(strategies={"ema_cross": load(msgspec.json.encode(BODY), StrategyTemplate, "ema_cross")})
GOOD: dict[str, Any] = {"horizon": 3, "label": "a"}


def verdict(name: str = "ema_cross", /, **parameters: Any) -> StrategyVerdict:
    return examine(ValidateStrategy(strategy_name=name, parameters=parameters), SHELF)[0]


def test_parameters_that_are_taken_come_back_as_a_config() -> None:
    found = verdict(**GOOD, trade_size="70.5")
    assert (found.is_valid, found.errors, found.missing_parameters) == (True, (), ())
    assert found.required_parameters == ("horizon", "label")
    assert found.config is not None
    assert (found.config["trade_size"], found.config["h"]) == ("70.5", 3)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = verdict(trade_size=-5, colour="red", fast="ten", bar_type="SPX", horizon=None)
    assert not found.is_valid
    assert found.config is None
    assert found.missing_parameters == ("horizon", "label")
    assert {error.field for error in found.errors} == {
        "parameters.trade_size",
        "parameters.colour",
        "parameters.fast",
        "parameters.bar_type",
        "parameters.horizon",
        "parameters.label",
    }
    assert all(error.field in found.message for error in found.errors)


def test_a_rule_is_told_beside_what_else_is_wrong() -> None:
    found = verdict(**GOOD, fast=200, colour="red")
    assert [error.field for error in found.errors] == ["parameters.colour", "parameters.fast"]
    assert "must be less than trade_size" in found.message


def test_a_template_that_is_not_there_is_named() -> None:
    found = verdict("ema_crosses")
    assert [error.field for error in found.errors] == ["strategy_name"]
    assert "there are ema_cross" in found.message


@pytest.mark.parametrize("value", ["{trader_id}", "{0.__class__}", "%(x)s", "${HOME}", "__import__('os')"])
def test_a_value_is_taken_as_it_stands(value: str) -> None:
    template_set = TemplateSet(
        strategies={
            "ema_cross": load(
                msgspec.json.encode({**BODY, "config": {"label": "{label}", "within": "<{label}>"}}),
                StrategyTemplate,
                "ema_cross",
            )
        }
    )
    request = ValidateStrategy(strategy_name="ema_cross", parameters={**GOOD, "label": value})
    found, rendered = examine(request, template_set)
    assert found.config == {"label": value, "within": f"<{value}>"}
    assert rendered is not None


def test_nautilustrader_has_the_last_word() -> None:
    ours = verdict(**GOOD)
    refused = judged(ours, PlanProblems(problems=(FieldError("strategies[0]", "no such class"),)))
    assert (refused.is_valid, refused.config) == (False, None)
    assert refused.errors == (FieldError("parameters", "NautilusTrader says: no such class"),)
    assert judged(ours, PlanProblems(problems=())).is_valid
    unasked = judged(ours, None)
    assert unasked.is_valid
    assert "was not asked" in unasked.message
