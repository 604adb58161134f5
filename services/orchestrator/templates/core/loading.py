"""From a template file's bytes to a template that is sound as far as can be told without NautilusTrader."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from flotilla.schemas.catalog import Parameter
from flotilla.schemas.ids import NAME_PATTERN
from flotilla.services.orchestrator.templates.core.parameters import Value, WrongValue, broken_rules, check
from flotilla.services.orchestrator.templates.core.placeholders import placeholders
from flotilla.services.orchestrator.templates.core.templates import EngineTemplate, StrategyTemplate, Template
from flotilla.services.orchestrator.templates.core.venues import VenueTemplate

MAX_BYTES: Final = 256 << 10
PREDEFINED: Final = ("instance_id", "trader_id", "log_level", "max_order_rate", "max_position_size")
_MAX_DEPTH: Final = 32
_NAME: Final = re.compile(NAME_PATTERN)
_NUMERIC: Final = ("integer", "number", "decimal")
_TOO_DEEP: Final = f"it is nested deeper than {_MAX_DEPTH} levels"


def load[T: (EngineTemplate, StrategyTemplate, VenueTemplate)](raw: bytes, kind: type[T], name: str) -> T:
    """The template in a file called `name`. Raises ValueError naming everything that is wrong with it."""
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 10} KiB")
    try:
        _check_depth(msgspec.json.decode(raw))
        template: T = msgspec.json.decode(raw, type=kind)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    problems = [] if template.name == name else [f"its name is {template.name}"]
    problems += _problems(template)
    if problems:
        raise ValueError("; ".join(problems))
    return template


def _check_depth(body: Any) -> None:
    level = [body]
    for _ in range(_MAX_DEPTH):
        level = [item for each in level for item in _within(each)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _within(body: Any) -> Iterator[Any]:
    if isinstance(body, dict):
        yield from body.values()
    elif isinstance(body, list):
        yield from body


def _problems(template: Template) -> Iterator[str]:
    if isinstance(template, VenueTemplate):
        yield from template.problems()
        return
    wrong = list(_parameter_problems(template.parameters))
    yield from wrong
    if isinstance(template, StrategyTemplate) and not wrong:
        yield from _rule_problems(template)
    used = {*placeholders(template.bodies)}
    if isinstance(template, EngineTemplate) and template.venues and template.venues.simulated:
        used |= {*placeholders(template.venues.simulated.config)} - {"venue"}
    for name in sorted(used - {*template.parameters, *PREDEFINED}):
        yield f"{{{name}}} is no parameter"


def _parameter_problems(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    for name, parameter in parameters.items():
        if not _NAME.match(name) or name in (*PREDEFINED, "venue"):
            yield f"{name!r} cannot name a parameter"
        if parameter.required and parameter.default is not None:
            yield f"{name} is required and has a default"
        try:
            check(msgspec.structs.replace(parameter, required=False), parameter.default, None)
        except WrongValue as error:
            yield f"the default of {name} {error}"


def _rule_problems(template: StrategyTemplate) -> Iterator[str]:
    for rule in template.rules:
        for name in rule.less:
            if name not in template.parameters or template.parameters[name].type not in _NUMERIC:
                yield f"a rule compares {name}, which is no numeric parameter"
                return
    defaults: dict[str, Value] = {name: each.default for name, each in template.parameters.items()}
    for error in broken_rules(template.rules, defaults, "defaults"):
        yield f"its defaults break a rule: {error.message}"
