"""Whether a strategy template takes some parameters: everything that is wrong at once, and the config that they make."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flotilla.schemas.catalog import Parameter, StrategyVerdict, ValidateStrategy
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import PlanProblems
from flotilla.services.orchestrator.templates.core.parameters import Value
from flotilla.services.orchestrator.templates.core.strategies import (
    Rendered,
    predefined,
    render_template,
    trader_id,
)
from flotilla.services.orchestrator.templates.core.templates import (
    StrategyTemplate,
    TemplateSet,
    unknown_template,
)

_PREFIX = "strategy."


def plain_values() -> dict[str, Value]:
    """The predefined values of an engine that nothing was chosen for."""
    config = EngineConfig()
    return predefined(config, trader_id(config.instance_id))


def examine(request: ValidateStrategy, template_set: TemplateSet) -> tuple[StrategyVerdict, Rendered | None]:
    """What we can tell ourselves, and the strategy for NautilusTrader to look at when that finds nothing wrong.

    Instruments need not be in the data catalog: the strategy may be meant for a venue.
    """
    if (template := template_set.strategies.get(request.strategy_name)) is None:
        error = unknown_template(
            "strategy_name",
            request.strategy_name,
            template_set.strategies,
            faults=template_set.faults_of("strategy"),
        )
        return StrategyVerdict(is_valid=False, message=error.message, errors=(error,)), None
    rendered, errors = render_template(template, request.parameters, None, plain_values(), "strategy")
    if rendered is None:
        named = [FieldError(error.field.removeprefix(_PREFIX), error.message) for error in errors]
        return _refused(template, request.parameters, named), None
    verdict = StrategyVerdict(
        is_valid=True,
        message=f"{template.name} takes these parameters",
        required_parameters=_required(template.parameters),
        config=rendered.config["config"],
    )
    return verdict, rendered


def judged(verdict: StrategyVerdict, found: PlanProblems | None) -> StrategyVerdict:
    """The verdict with what NautilusTrader says; `found` is null when nobody could ask it."""
    if found is None:
        text = f"{verdict.message}; NautilusTrader was not asked, since no host answers"
        return msgspec.structs.replace(verdict, message=text)
    if not found.problems:
        return msgspec.structs.replace(verdict, message=f"{verdict.message}, NautilusTrader too")
    errors = tuple(
        FieldError("parameters", f"NautilusTrader says: {in_words(one)}") for one in found.problems
    )
    return msgspec.structs.replace(verdict, is_valid=False, message=_told(errors), errors=errors, config=None)


def in_words(problem: FieldError) -> str:
    """A problem that NautilusTrader has with a strategy, with the part of the strategy's config that it is about."""
    _, _, part = problem.field.partition("].")
    return f"{part}: {problem.message}" if part else problem.message


def _refused(
    template: StrategyTemplate, given: Mapping[str, Any], errors: Sequence[FieldError]
) -> StrategyVerdict:
    required = _required(template.parameters)
    return StrategyVerdict(
        is_valid=False,
        message=_told(errors),
        required_parameters=required,
        missing_parameters=tuple(name for name in required if given.get(name) is None),
        errors=tuple(errors),
    )


def _required(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    return tuple(name for name, parameter in parameters.items() if parameter.required)


def _told(errors: Sequence[FieldError]) -> str:
    return "; ".join(f"{error.field}: {error.message}" for error in errors)
