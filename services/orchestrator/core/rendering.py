"""From what an operator chose, and templates, to the spec of a session. Everything that is wrong is told at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.config import EngineConfig, StrategyChoice, cpu_count, memory_bytes
from schemas.fault import FieldError, invalid
from schemas.session import EnginePlan, SessionSpec
from schemas.states import EngineType, TradingMode
from services.orchestrator.core.parameters import Known, Value, WrongValue, check_all, instrument_of
from services.orchestrator.core.risk import limit_risk
from services.orchestrator.core.templates import (
    EngineTemplate,
    Shelf,
    StrategyTemplate,
    substitute,
    unknown_template,
)
from services.orchestrator.core.traders import repeated_tags, trader_id, with_order_id_tags

DEFAULT_TEMPLATE: Final = "sandbox"


class _Rendered(msgspec.Struct, frozen=True):
    """One strategy as NautilusTrader imports it, and the instruments that its parameters name."""

    config: dict[str, Any]
    instruments: tuple[str, ...]


def render(config: EngineConfig, shelf: Shelf, known: Known, *, session_id: str) -> SessionSpec:
    """The spec of a session of this engine; its generation is set when it begins.

    `known` is what the data catalog holds. Raises FaultError `invalid` naming every field at fault.
    """
    template = _engine_template(config, shelf)
    errors = _not_offered(config)
    predefined = _predefined(config)
    values, wrong = check_all(template.parameters, config.parameters, known, "config.parameters")
    errors += wrong
    if wrong:
        raise invalid(*errors)
    values = {**predefined, **values}
    chosen = config.strategies if config.strategies is not None else _defaults(template, values)
    strategies, wrong = _strategies(chosen, shelf, known, predefined)
    errors += wrong
    named = _instruments(template, values)
    instruments = sorted({*named, *(name for each in strategies for name in each.instruments)})
    node = _filled(template.node, values, "config.template")
    errors += limit_risk(node, config, instruments, [each.config for each in strategies])
    if errors:
        raise invalid(*errors)
    plan = EnginePlan(
        trader_id=str(predefined["trader_id"]),
        node=node,
        strategies=tuple(each.config for each in strategies),
        exec_factories=_filled(template.exec_factories, values, "config.template"),
        instruments=tuple(instruments),
    )
    return _spec(config, template, plan, session_id)


def _spec(config: EngineConfig, template: EngineTemplate, plan: EnginePlan, session_id: str) -> SessionSpec:
    return SessionSpec(
        instance_id=config.instance_id,
        session_id=session_id,
        generation=1,
        engine_type=EngineType(config.engine_type),
        trading_mode=TradingMode(config.trading_mode),
        plan=plan,
        memory_bytes=memory_bytes(config.max_memory),
        cpus=min(cpu_count(config.max_cpu), 1024.0),
        log_level=config.log_level,
        stop_policy=template.defaults.stop_policy,
        confirm_live_trading=config.trades_money,
    )


def _engine_template(config: EngineConfig, shelf: Shelf) -> EngineTemplate:
    """The template named, or the one that goes with the engine's type and mode."""
    if config.engine_type == EngineType.BACKTEST:
        raise invalid(FieldError("config.engine_type", "a backtest is not started as an engine"))
    if config.template is None and config.trades_money:
        raise invalid(FieldError("config.template", "there is no engine template that trades live yet"))
    name = config.template or DEFAULT_TEMPLATE
    if (template := shelf.engines.get(name)) is None:
        raise invalid(unknown_template("config.template", name, shelf.engines))
    if (template.trading_mode == TradingMode.LIVE) != config.trades_money:
        wanted = "live" if config.trades_money else "paper"
        raise invalid(FieldError("config.template", f"template {name} is not for {wanted} trading"))
    return template


def _not_offered(config: EngineConfig) -> list[FieldError]:
    if config.venues:
        return [FieldError("config.venues", "venues come from the template; others cannot be added yet")]
    return []


def _predefined(config: EngineConfig) -> dict[str, Value]:
    return {
        "instance_id": config.instance_id,
        "trader_id": trader_id(config.instance_id),
        "log_level": config.log_level,
        "max_order_rate": config.max_order_rate,
        "max_position_size": config.max_position_size,
    }


def _defaults(template: EngineTemplate, values: Mapping[str, Value]) -> Sequence[StrategyChoice]:
    raw = msgspec.to_builtins(list(template.defaults.strategies))
    return msgspec.convert(_filled(raw, values, "config.template"), tuple[StrategyChoice, ...])


def _filled(body: Any, values: Mapping[str, Value], at: str) -> Any:
    try:
        return substitute(body, values)
    except WrongValue as error:
        raise invalid(FieldError(at, str(error))) from None


def _strategies(
    choices: Sequence[StrategyChoice], shelf: Shelf, known: Known, predefined: Mapping[str, Value]
) -> tuple[list[_Rendered], list[FieldError]]:
    rendered: list[_Rendered] = []
    errors: list[FieldError] = []
    for index, choice in enumerate(choices):
        at = f"config.strategies[{index}]"
        if choice.template is None:
            rendered.append(_own(choice))
        elif (template := shelf.strategies.get(choice.template)) is None:
            errors.append(unknown_template(f"{at}.template", choice.template, shelf.strategies))
        else:
            values, wrong = check_all(template.parameters, choice.parameters, known, f"{at}.parameters")
            errors += wrong
            if not wrong:
                rendered.append(_from_template(template, {**predefined, **values}, at))
    return (rendered, errors) if errors else _tagged(rendered)


def _tagged(rendered: list[_Rendered]) -> tuple[list[_Rendered], list[FieldError]]:
    """The strategies with order id tags; NautilusTrader refuses two with the same."""
    configs = [each.config["config"] for each in rendered]
    errors = [
        FieldError(f"config.strategies[{index}].config.order_id_tag", f"{tag} is taken by another strategy")
        for index, tag in repeated_tags(configs).items()
    ]
    tagged = [
        _Rendered({**each.config, "config": config}, each.instruments)
        for each, config in zip(rendered, with_order_id_tags(configs), strict=True)
    ]
    return tagged, errors


def _own(choice: StrategyChoice) -> _Rendered:
    """A strategy of the operator's own is passed on as it is; the engine checks it."""
    config = {
        "strategy_path": choice.strategy_path,
        "config_path": choice.config_path,
        "config": dict(choice.config),
    }
    return _Rendered(config, ())


def _from_template(template: StrategyTemplate, values: Mapping[str, Value], at: str) -> _Rendered:
    config = {
        "strategy_path": template.strategy_path,
        "config_path": template.config_path,
        "config": _filled(template.config, values, at),
    }
    return _Rendered(config, tuple(_instruments(template, values)))


def _instruments(template: EngineTemplate | StrategyTemplate, values: Mapping[str, Value]) -> list[str]:
    """The instruments that a template's typed parameters name."""
    named: list[str] = []
    for name, parameter in template.parameters.items():
        value = values[name]
        if isinstance(value, str) and parameter.type == "instrument":
            named.append(value)
        elif isinstance(value, str) and parameter.type == "bar_type":
            named.append(instrument_of(value))
    return named
