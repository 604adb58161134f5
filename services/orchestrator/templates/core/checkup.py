"""What NautilusTrader is to be asked about templates, and what its answers mean. Classes can be found nowhere but there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.catalog import Parameter, TemplateFault
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FaultError, FieldError
from flotilla.schemas.session import PlanCheck, PlanProblems
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.strategies import render_template
from flotilla.services.orchestrator.templates.core.templates import (
    EngineTemplate,
    Kind,
    TemplateSet,
    package_of,
)
from flotilla.services.orchestrator.templates.core.validation import in_words, plain_values

_INDEX: Final = re.compile(r"\Astrategies\[(\d{1,4})\]")
_BARS: Final = "SPX.SIM-1-DAY-LAST-EXTERNAL"
_SAMPLE_KNOWN: Final = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset({_BARS}))
_FOLDER: Final[dict[Kind, str]] = {"engine": "engines", "strategy": "strategies", "venue": "venues"}


class Content(msgspec.Struct, frozen=True):
    """One template as it is now."""

    kind: Kind
    name: str
    digest: str


class Checkup(msgspec.Struct, frozen=True):
    """One question to NautilusTrader: the templates it is about, those of strategies in the order of `request`."""

    contents: tuple[Content, ...]
    request: PlanCheck


type Verdicts = Mapping[Content, str | None]
"""What NautilusTrader refuses a template for; null when it takes it."""


def due(template_set: TemplateSet, verdicts: Verdicts) -> list[Checkup]:
    """The questions not answered yet: all strategies at once, and each engine template that is not ours (tests build ours).

    A template that cannot be rendered without an operator's choices is not asked about.
    """
    strategies: dict[Content, dict[str, Any]] = {}
    engines: list[Checkup] = []
    for (kind, name), digest in template_set.digests.items():
        content = Content(kind, name, digest)
        if content in verdicts:
            continue
        if kind == "strategy" and (config := _strategy(template_set, name)) is not None:
            strategies[content] = config
        elif (
            kind == "engine"
            and (kind, name) not in template_set.ours
            and (check := _engine(template_set, name))
        ):
            engines.append(Checkup((content,), check))
    if not strategies:
        return engines
    return [Checkup(tuple(strategies), PlanCheck(strategies=tuple(strategies.values()))), *engines]


def verdicts_of(checkup: Checkup, found: PlanProblems) -> dict[Content, str | None]:
    """What an answer says of each template that was asked about."""
    told: dict[Content, list[str]] = {content: [] for content in checkup.contents}
    for problem in found.problems:
        told[_meant(checkup, problem)].append(in_words(problem))
    return {content: "; ".join(texts) or None for content, texts in told.items()}


def is_checked(template_set: TemplateSet, kind: Kind, name: str, verdicts: Verdicts) -> bool:
    """Whether NautilusTrader is known to take a served template as it is now. Our engine templates it takes: tests build them;
    and strategies of packages, which were built when they were pushed.
    """
    is_ours = kind == "engine" and (kind, name) in template_set.ours
    if kind == "strategy" and package_of(template_set.strategies[name]) is not None:
        return True
    return is_ours or Content(kind, name, template_set.digests.get((kind, name), "")) in verdicts


def without_refused(template_set: TemplateSet, verdicts: Verdicts) -> TemplateSet:
    """The shelf without the templates that NautilusTrader refuses, which are among its faults instead."""
    refused = {
        (kind, name): problem
        for (kind, name), digest in template_set.digests.items()
        if (problem := verdicts.get(Content(kind, name, digest)))
    }
    if not refused:
        return template_set
    faults = [
        TemplateFault(
            file=f"{_FOLDER[kind]}/{name}.json", kind=kind, message=f"NautilusTrader refuses it: {problem}"
        )
        for (kind, name), problem in refused.items()
    ]
    return msgspec.structs.replace(
        template_set,
        engines={name: one for name, one in template_set.engines.items() if ("engine", name) not in refused},
        strategies={
            name: one for name, one in template_set.strategies.items() if ("strategy", name) not in refused
        },
        faults=(*template_set.faults, *faults),
    )


def _meant(checkup: Checkup, problem: FieldError) -> Content:
    match = _INDEX.match(problem.field)
    index = int(match[1]) if match else 0
    return checkup.contents[min(index, len(checkup.contents) - 1)]


def _strategy(template_set: TemplateSet, name: str) -> dict[str, Any] | None:
    template = template_set.strategies[name]
    rendered, _ = render_template(template, dict(_samples(template.parameters)), None, plain_values(), "")
    return rendered.config if rendered else None


def _engine(template_set: TemplateSet, name: str) -> PlanCheck | None:
    template = template_set.engines[name]
    if template.worker is not None:
        return None
    try:
        spec = render(_config(template), template_set, _SAMPLE_KNOWN, session_id="check")
    except FaultError:
        return None
    return PlanCheck(plan=msgspec.structs.replace(spec.plan, instruments=()))


def _config(template: EngineTemplate) -> EngineConfig:
    return EngineConfig(
        engine_type=template.engine_type,
        trading_mode=template.trading_mode,
        template=template.name,
        parameters=dict(_samples(template.parameters)),
        strategies=(),
    )


def _samples(parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Any]]:
    """Values for the parameters that must be given, where some value is known to do."""
    for name, parameter in parameters.items():
        if parameter.required and (values := _fitting(parameter)):
            yield name, values[0]


def _fitting(parameter: Parameter) -> Sequence[Any]:
    match parameter.type:
        case "integer" | "number" | "decimal":
            return [int(parameter.min) + 1 if parameter.min is not None else 1]
        case "boolean":
            return [False]
        case "instrument":
            return ["SPX.SIM"]
        case "bar_type":
            return [_BARS]
        case _:
            return list(parameter.choices)
