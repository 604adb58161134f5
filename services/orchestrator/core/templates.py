"""Engine and strategy templates: what their files may say, and how parameters are put into them. Nothing is ever evaluated."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from schemas.catalog import Parameter, TemplateView
from schemas.config import StrategyChoice
from schemas.fault import FieldError
from schemas.ids import NAME_PATTERN, Name
from schemas.states import EngineType, StopPolicy, TradingMode
from services.orchestrator.core.parameters import Value, WrongValue, check

PREDEFINED: Final = ("instance_id", "trader_id", "log_level", "max_order_rate", "max_position_size")
_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]{0,62})\}")
_NAME: Final = re.compile(NAME_PATTERN)


class Defaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine template does where the operator says nothing."""

    stop_policy: StopPolicy = StopPolicy.CANCEL
    strategies: tuple[StrategyChoice, ...] = ()


class EngineTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an engine is put together: `node` is the JSON of a TradingNodeConfig with `{parameter}` placeholders."""

    name: Name
    description: str
    engine_type: EngineType
    trading_mode: TradingMode
    node: dict[str, Any]
    parameters: dict[str, Parameter] = {}
    defaults: Defaults = Defaults()
    exec_factories: dict[str, str] = {}


class StrategyTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strategy with typed parameters: `config` is the JSON of its config class with `{parameter}` placeholders."""

    name: Name
    description: str
    strategy_class: str
    strategy_path: str
    config_path: str
    config: dict[str, Any]
    parameters: dict[str, Parameter] = {}
    risk_parameters: dict[str, Any] = {}


type Template = EngineTemplate | StrategyTemplate


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """Every sound template, by name."""

    engines: dict[str, EngineTemplate] = {}
    strategies: dict[str, StrategyTemplate] = {}


def load[T: (EngineTemplate, StrategyTemplate)](raw: bytes, kind: type[T], name: str) -> T:
    """The template in a file called `name`. Raises ValueError naming everything that is wrong with it."""
    try:
        template: T = msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    problems = [] if template.name == name else [f"its name is {template.name}"]
    problems += _parameter_problems(template.parameters)
    known = {*template.parameters, *PREDEFINED}
    problems += [
        f"{{{used}}} is no parameter" for used in sorted(set(_placeholders(_body(template))) - known)
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return template


def substitute(body: Any, values: Mapping[str, Value]) -> Any:
    """The body with its placeholders replaced.

    A string that is nothing but a placeholder takes the typed value; within a longer string, and in keys, the value is written
    out. Values are not searched for placeholders. Raises WrongValue where a value is missing that would have to be written out.
    """
    if isinstance(body, str):
        whole = _PLACEHOLDER.fullmatch(body)
        return values[whole[1]] if whole else _written(body, values)
    if isinstance(body, dict):
        return {_written(key, values): substitute(item, values) for key, item in body.items()}
    if isinstance(body, list):
        return [substitute(item, values) for item in body]
    return body


def view(template: Template) -> TemplateView:
    """The template as people see it."""
    is_strategy = isinstance(template, StrategyTemplate)
    kind = "strategy" if is_strategy else "engine"
    return TemplateView(
        name=template.name,
        kind=kind,
        file=f"{template.name}.json",
        description=template.description,
        parameters=template.parameters,
        strategy_class=template.strategy_class if isinstance(template, StrategyTemplate) else None,
        risk_parameters=template.risk_parameters if isinstance(template, StrategyTemplate) else {},
    )


def _parameter_problems(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    for name, parameter in parameters.items():
        if not _NAME.match(name) or name in PREDEFINED:
            yield f"{name!r} cannot name a parameter"
        if parameter.required and parameter.default is not None:
            yield f"{name} is required and has a default"
        try:
            check(msgspec.structs.replace(parameter, required=False), parameter.default, None)
        except WrongValue as error:
            yield f"the default of {name} {error}"


def _body(template: Template) -> Any:
    if isinstance(template, StrategyTemplate):
        return template.config
    return [template.node, template.exec_factories, msgspec.to_builtins(template.defaults.strategies)]


def _placeholders(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield from _PLACEHOLDER.findall(body)
    elif isinstance(body, dict):
        for key, item in body.items():
            yield from _placeholders(key)
            yield from _placeholders(item)
    elif isinstance(body, list | tuple):
        for item in body:
            yield from _placeholders(item)


def _written(text: str, values: Mapping[str, Value]) -> str:
    def write(match: re.Match[str]) -> str:
        value = values[match[1]]
        if value is None:
            raise WrongValue(f"{match[1]} has no value, and {text!r} needs one")
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _PLACEHOLDER.sub(write, text)


def unknown_template(field: str, name: str, known: Mapping[str, Template]) -> FieldError:
    """What is wrong with a name that no template has."""
    return FieldError(field, f"there is no template {name}; there are {', '.join(sorted(known)) or 'none'}")
