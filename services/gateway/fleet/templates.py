"""Templates: listed with the files that are not served, and strategies checked against theirs."""

from flotilla.schemas import contract
from flotilla.schemas.catalog import ListTemplates, TemplateList, ValidateStrategy
from flotilla.schemas.fault import Fault, FaultCode, fault
from flotilla.services.gateway.engines import strategy_replies
from flotilla.services.gateway.engines.views import strategy_summary, strategy_template
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery


async def list_strategy_templates(
    gateway: Gateway, _: Ask[NoQuery, None]
) -> strategy_replies.StrategyTemplatesReply:
    """Strategy templates by name."""
    found = await _templates(gateway, "strategy")
    shown = tuple(strategy_summary(template) for template in found.templates)
    return strategy_replies.StrategyTemplatesReply(
        strategies=shown, total_count=len(shown), faults=found.faults
    )


async def read_strategy_template(
    gateway: Gateway, ask: Ask[NoQuery, None]
) -> strategy_replies.StrategyTemplateReply:
    """One strategy template. Raises FaultError `not_found`."""
    name = ask.path["name"]
    for template in (await _templates(gateway, "strategy")).templates:
        if template.name == name:
            return strategy_replies.StrategyTemplateReply(template=strategy_template(template), name=name)
    raise fault(FaultCode.NOT_FOUND, f"no strategy template {name} is known")


async def list_templates(gateway: Gateway, ask: Ask[NoQuery, None]) -> strategy_replies.TemplatesReply:
    """Templates of one kind by name."""
    found = await _templates(gateway, ask.path["kind"])
    return strategy_replies.TemplatesReply(
        templates=found.templates, faults=found.faults, total_count=len(found.templates)
    )


async def validate_strategy(
    gateway: Gateway, ask: Ask[NoQuery, ValidateStrategy]
) -> strategy_replies.StrategyVerdictReply:
    """Whether a template takes the parameters. Raises FaultError `invalid` with everything that is wrong with them."""
    verdict = await gateway.bus.call(contract.STRATEGY_VALIDATE, ask.body)
    if verdict.is_valid:
        return strategy_replies.StrategyVerdictReply(
            message=verdict.message,
            required_parameters=verdict.required_parameters,
            config=verdict.config or {},
        )
    problem = Fault(code=FaultCode.INVALID, message=verdict.message, errors=verdict.errors)
    known = {
        "error": verdict.message,
        "required_parameters": verdict.required_parameters,
        "missing_parameters": verdict.missing_parameters,
        "errors": (),
    }
    raise RefusedError(problem, known)


async def _templates(gateway: Gateway, kind: str) -> TemplateList:
    found = await gateway.bus.call(contract.TEMPLATE_LIST, ListTemplates(kind=kind))
    return TemplateList(
        templates=tuple(sorted(found.templates, key=lambda one: one.name)), faults=found.faults
    )
