"""From strategies chosen to configs that NautilusTrader imports: for an engine that starts, and for one that runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, pairwise
from typing import Any

import msgspec

from flotilla.schemas.catalog import Parameter
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.package import PackageRef
from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.templates.core.parameters import (
    Known,
    Value,
    WrongValue,
    broken_rules,
    check_all,
    instrument_of,
)
from flotilla.services.orchestrator.templates.core.placeholders import substitute
from flotilla.services.orchestrator.templates.core.templates import (
    StrategyTemplate,
    TemplateSet,
    package_of,
    unknown_template,
)


def trader_id(instance_id: str) -> str:
    """The instance id in upper case with `-001` after it: nautilus-001 → NAUTILUS-001-001, alpha → ALPHA-001.

    No two engines share one: it is the prefix of an engine's keys in Redis. NautilusTrader aborts the process on a trader id
    without a hyphen and a tag after it.
    """
    return f"{instance_id.upper()}-001"


def with_order_id_tags(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The strategies' configs, each with an `order_id_tag` of its own: the one it has, else the first of 001, 002, … left."""
    taken = {str(config["order_id_tag"]) for config in configs if config.get("order_id_tag") is not None}
    free = (tag for number in count(1) if (tag := f"{number:03}") not in taken)
    return [
        config if config.get("order_id_tag") is not None else {**config, "order_id_tag": next(free)}
        for config in configs
    ]


def repeated_tags(configs: Sequence[dict[str, Any]]) -> dict[int, str]:
    """The tags that an earlier strategy has already, by the index of the later one."""
    seen: set[str] = set()
    repeated: dict[int, str] = {}
    for index, config in enumerate(configs):
        tag = config.get("order_id_tag")
        if tag is not None and str(tag) in seen:
            repeated[index] = str(tag)
        seen.add(str(tag))
    return repeated


class Rendered(msgspec.Struct, frozen=True):
    """One strategy as NautilusTrader imports it, the instruments that its parameters name, and the package that it comes from, if any."""

    config: dict[str, Any]
    instruments: tuple[str, ...]
    package: PackageRef | None = None


def predefined(config: EngineConfig, trader_id: str) -> dict[str, Value]:
    """The values that every template may use beside its parameters."""
    return {
        "instance_id": config.instance_id,
        "trader_id": trader_id,
        "log_level": config.log_level,
        "max_order_rate": config.max_order_rate,
        "max_position_size": config.max_position_size,
    }


def render_all(
    choices: Sequence[StrategyChoice],
    template_set: TemplateSet,
    known: Known | None,
    values: Mapping[str, Value],
) -> tuple[list[Rendered], list[FieldError]]:
    """The strategies of an engine that is to start, each with an order id tag of its own, and what is wrong with them.

    `known` is what the data catalog holds, null when the engine does not replay it. `values` are the predefined ones.
    """
    rendered: list[Rendered] = []
    errors: list[FieldError] = []
    for index, choice in enumerate(choices):
        one, wrong = _render(choice, template_set, known, values, f"config.strategies[{index}]")
        errors += wrong
        rendered += [one] if one else []
    return (rendered, errors) if errors else _tagged(rendered)


def render_strategy(
    choice: StrategyChoice, template_set: TemplateSet, known: Known, *, spec: SessionSpec
) -> Rendered:
    """A strategy that is to join the session of this spec.

    Its order id tag is left to the engine, which knows those taken. Raises FaultError `invalid` naming every field at fault.
    """
    config = spec.config or EngineConfig(instance_id=spec.instance_id, log_level=spec.log_level)
    values = predefined(config, spec.plan.trader_id)
    rendered, errors = _render(choice, template_set, None if config.venues else known, values, "strategy")
    if rendered is None:
        raise invalid(*errors)
    return rendered


def render_template(
    template: StrategyTemplate,
    given: Mapping[str, Any],
    known: Known | None,
    values: Mapping[str, Value],
    at: str,
) -> tuple[Rendered | None, list[FieldError]]:
    """A strategy template with these parameters, or everything that is wrong with them, named below `at`."""
    checked, errors = check_all(template.parameters, given, known, f"{at}.parameters")
    errors += broken_rules(template.rules, checked, f"{at}.parameters")
    if errors:
        return None, errors
    try:
        config = substitute(template.config, {**values, **checked})
    except WrongValue as error:
        return None, [FieldError(f"{at}.parameters", str(error))]
    importable = {
        "strategy_path": template.strategy_path,
        "config_path": template.config_path,
        "config": config,
    }
    named = tuple(instruments(template.parameters, checked))
    return Rendered(importable, named, package_of(template)), []


def instruments(parameters: Mapping[str, Parameter], values: Mapping[str, Value]) -> list[str]:
    """The instruments that typed parameters name."""
    return [found for name, parameter in parameters.items() for found in _named(parameter, values[name])]


def _named(parameter: Parameter, value: Any) -> Iterator[str]:
    if isinstance(value, str) and parameter.type == "instrument":
        yield value
    elif isinstance(value, str) and parameter.type == "bar_type":
        yield instrument_of(value)
    elif isinstance(value, list) and parameter.items:
        for each in value:
            yield from _named(parameter.items, each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if within := parameter.fields.get(key, parameter.items):
                yield from _named(within, each)


def _render(
    choice: StrategyChoice,
    template_set: TemplateSet,
    known: Known | None,
    values: Mapping[str, Value],
    at: str,
) -> tuple[Rendered | None, list[FieldError]]:
    if choice.template is None:
        return _own(choice, template_set, at)
    if (template := template_set.strategies.get(choice.template)) is None:
        return None, [
            unknown_template(
                f"{at}.template",
                choice.template,
                template_set.strategies,
                faults=template_set.faults_of("strategy"),
            )
        ]
    return render_template(template, choice.parameters, known, values, at)


def _own(
    choice: StrategyChoice, template_set: TemplateSet, at: str
) -> tuple[Rendered | None, list[FieldError]]:
    """A strategy of the operator's own is passed on as it is, when it comes from where it may; the engine checks it."""
    paths = {"strategy_path": choice.strategy_path or "", "config_path": choice.config_path or ""}
    errors = [
        FieldError(f"{at}.{field}", problem)
        for field, path in paths.items()
        if (problem := template_set.outside(path)) is not None
    ]
    return (None, errors) if errors else (Rendered({**paths, "config": dict(choice.config)}, ()), [])


def packages_of(rendered: Iterable[Rendered], at: str) -> tuple[tuple[PackageRef, ...], list[FieldError]]:
    """The packages that strategies of one process, and what runs beside them, come from; and what is wrong where they are two versions of one."""
    found = sorted({each.package for each in rendered if each.package is not None})
    errors = [
        FieldError(
            at,
            f"{one.name} is there as {one.version} and {other.version}: one engine takes one version of a package",
        )
        for one, other in pairwise(found)
        if one.name == other.name and one.digest != other.digest
    ]
    return tuple({each.digest: each for each in found}.values()), errors


def _tagged(rendered: list[Rendered]) -> tuple[list[Rendered], list[FieldError]]:
    """The strategies with order id tags; NautilusTrader refuses two with the same."""
    configs = [each.config["config"] for each in rendered]
    errors = [
        FieldError(f"config.strategies[{index}].config.order_id_tag", f"{tag} is taken by another strategy")
        for index, tag in repeated_tags(configs).items()
    ]
    tagged = [
        Rendered({**each.config, "config": config}, each.instruments, each.package)
        for each, config in zip(rendered, with_order_id_tags(configs), strict=True)
    ]
    return tagged, errors
