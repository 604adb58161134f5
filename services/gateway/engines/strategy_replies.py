"""The bodies of answers about templates and strategies, field for field as the REST contract has them."""

from typing import Any

import msgspec

from flotilla.schemas.catalog import Parameter, TemplateFault, TemplateView
from flotilla.schemas.fault import FieldError
from flotilla.schemas.strategy import StrategyList, StrategyView
from flotilla.services.gateway.web.failure import Failure


class StrategySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy template in a list; `is_checked` is false as long as NautilusTrader has not said whether its classes are there."""

    name: str
    file: str
    strategy_class: str | None
    description: str
    risk_parameters: dict[str, Any]
    parameters: dict[str, Parameter]
    is_checked: bool


class StrategyTemplatesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Strategy templates, sorted by name; `faults` are files that are not served, and why."""

    success: bool = True
    strategies: tuple[StrategySummary, ...]
    total_count: int
    faults: tuple[TemplateFault, ...]


class StrategyTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy template. `config` is what it gives the strategy, with `{name}` where a parameter is put in."""

    strategy_class: str | None
    config: dict[str, Any]
    description: str
    risk_parameters: dict[str, Any]
    parameters: dict[str, Parameter]


class StrategyTemplateReply(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy template."""

    success: bool = True
    template: StrategyTemplate
    name: str


class TemplatesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Templates of one kind, sorted by name; `faults` are files that are not served, and why."""

    success: bool = True
    templates: tuple[TemplateView, ...]
    total_count: int
    faults: tuple[TemplateFault, ...]


class StrategyVerdictReply(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters are sound, and make this config."""

    success: bool = True
    message: str
    required_parameters: tuple[str, ...]
    config: dict[str, Any]


class StrategyVerdictFailure(Failure, frozen=True, kw_only=True):
    """Everything that is wrong with the parameters; `error` says the same as `message`."""

    error: str
    required_parameters: tuple[str, ...]
    missing_parameters: tuple[str, ...]
    errors: tuple[FieldError, ...]


class StrategiesReply(msgspec.Struct, frozen=True, kw_only=True):
    """The strategies of a running engine."""

    success: bool = True
    instance_id: str
    session_id: str
    strategies: tuple[StrategyView, ...]
    total_count: int


class StrategyCommandReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope; `data` has every strategy as it is after the change, which ends with the session."""

    success: bool = True
    message: str
    state: str
    data: StrategyList
