"""From what an operator chose, and templates, to the spec of a session. Everything that is wrong is told at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import TRIAL_FORMAT, WorkerPlan
from flotilla.schemas.config import EngineConfig, StrategyChoice, cpu_count, memory_bytes
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.session import EnginePlan, SessionSpec
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.orchestrator.templates.core.choice import dead_man, engine_template, keeps_state
from flotilla.services.orchestrator.templates.core.components import beside
from flotilla.services.orchestrator.templates.core.connecting import Clients, connect, simulated_elsewhere
from flotilla.services.orchestrator.templates.core.money import currency_errors
from flotilla.services.orchestrator.templates.core.parameters import (
    Known,
    Value,
    WrongValue,
    check_all,
)
from flotilla.services.orchestrator.templates.core.placeholders import merged, placeholders, substitute
from flotilla.services.orchestrator.templates.core.replay_venue import PARAMETER, replay_venue
from flotilla.services.orchestrator.templates.core.strategies import (
    instruments,
    packages_of,
    predefined,
    render_all,
    trader_id,
)
from flotilla.services.orchestrator.templates.core.templates import EngineTemplate, TemplateSet

_EVERY_INSTRUMENT: Final = "*"
"""As the engine process reads it: also for strategies that join later, and for those that do not say what they trade."""
_WAITS: Final = ("timeout_connection", "timeout_reconciliation", "timeout_portfolio")
_BASE_CURRENCY: Final = "base_currency"
_BOOT_S: Final = 60.0
_LONGEST_BOOT_S: Final = 3600.0


def risk_engine(config: EngineConfig, template: Mapping[str, Any]) -> dict[str, Any]:
    """The template's `risk_engine` with the operator's limits in it."""
    risk = dict(template)
    if not config.risk_engine_enabled:
        risk["bypass"] = True
    if config.max_order_rate is not None:
        risk["max_order_submit_rate"] = f"{config.max_order_rate}/00:01:00"
    if config.max_position_size is not None:
        risk["max_notional_per_order"] = {_EVERY_INSTRUMENT: config.max_position_size}
    return risk


def render(config: EngineConfig, template_set: TemplateSet, known: Known, *, session_id: str) -> SessionSpec:
    """The spec of a session of this engine; its generation is set when it begins, its lease when the accounts are taken.

    `known` is what the data catalog holds: an engine without venues trades what is in it. Raises FaultError `invalid` naming every
    field at fault.
    """
    template = engine_template(config, template_set)
    body = _body(template, config)
    errors = _unused(template, body, config) + _not_taken(template, config)
    given = predefined(config, trader_id(config.instance_id))
    known_here = None if config.venues else known
    values, wrong = check_all(template.parameters, config.parameters, known_here, "config.parameters")
    if wrong or errors:
        raise invalid(*errors, *(_of_a_strategy(each, template, config, template_set) for each in wrong))
    values = {**given, **values}
    clients, errors = _clients(template, config, template_set, values)
    strategies, wrong = render_all(_chosen(template, config, values), template_set, known_here, given)
    errors += wrong
    traded = {
        *instruments(template.parameters, values),
        *(name for each in strategies for name in each.instruments),
    }
    errors += simulated_elsewhere(clients, traded)
    errors += _currency_errors(template, values, () if config.venues else traded)
    values, wrong = _with_replay_venue(template, values, () if config.venues else traded)
    errors += wrong
    others, wrong = beside(config.actors, config.exec_algorithms, template_set, known_here)
    packages, mixed = packages_of((*strategies, *others.everything), "config.strategies")
    if errors := [*errors, *mixed, *wrong]:
        raise invalid(*errors)
    plan = EnginePlan(
        trader_id=str(given["trader_id"]),
        node=_node(body, values, clients, config) | others.fields,
        strategies=tuple(each.config for each in strategies),
        exec_factories=clients.factories if config.venues else _filled(template.exec_factories, values),
        instruments=() if config.venues else tuple(sorted(traded)),
        secrets=clients.secrets,
        always_open=clients.always_open,
        packages=packages,
    )
    return _spec(
        config,
        template,
        plan,
        session_id,
        has_egress=clients.has_egress or template.trading_mode == TradingMode.LIVE,
        worker=_worker(template, values),
    )


def _of_a_strategy(
    error: FieldError, template: EngineTemplate, config: EngineConfig, template_set: TemplateSet
) -> FieldError:
    """With the place where it belongs, for a strategy's parameter that was given for one of the engine's template."""
    name = error.field.rpartition(".")[2]
    if name in template.parameters:
        return error
    for index, choice in enumerate(config.strategies or ()):
        strategy = template_set.strategies.get(choice.template or "")
        if strategy is not None and name in strategy.parameters:
            place = f"config.strategies[{index}].parameters.{name} (--set)"
            return FieldError(error.field, f"is a parameter of {choice.template}: give it as {place}")
    return error


def _currency_errors(
    template: EngineTemplate, values: Mapping[str, Value], instruments: Iterable[str]
) -> list[FieldError]:
    """What is wrong with the currency of the simulated account, as far as the symbols of what is replayed tell."""
    if _BASE_CURRENCY not in template.parameters:
        return []
    chosen = values[_BASE_CURRENCY]
    field = f"config.parameters.{_BASE_CURRENCY}"
    return currency_errors(None if chosen is None else str(chosen), instruments, field)


def _with_replay_venue(
    template: EngineTemplate, values: Mapping[str, Value], instruments: Iterable[str]
) -> tuple[dict[str, Value], list[FieldError]]:
    if PARAMETER not in template.parameters:
        return dict(values), []
    chosen = values[PARAMETER]
    venue, wrong = replay_venue(None if chosen is None else str(chosen), instruments)
    return {**values, PARAMETER: venue}, wrong


def _spec(
    config: EngineConfig,
    template: EngineTemplate,
    plan: EnginePlan,
    session_id: str,
    *,
    has_egress: bool,
    worker: WorkerPlan | None,
) -> SessionSpec:
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
        boot_timeout_s=_boot_timeout_s(plan.node),
        confirm_live_trading=config.trades_money,
        config=config,
        uses_cache=keeps_state(config, template.venues),
        has_egress=has_egress,
        worker=worker,
        dead_man=dead_man(config, template),
        stale_feed_after_s=config.stale_feed_after_s or template.defaults.stale_feed_after_s,
        loss_limits=config.loss_limits or template.defaults.loss_limits,
        trading_hours=config.trading_hours or template.defaults.trading_hours,
    )


def _worker(template: EngineTemplate, values: Mapping[str, Value]) -> WorkerPlan | None:
    if template.worker is None:
        return None
    plan = msgspec.convert(_filled(template.worker, values), WorkerPlan)
    return msgspec.structs.replace(plan, trial_format=TRIAL_FORMAT)


def _body(template: EngineTemplate, config: EngineConfig) -> dict[str, Any]:
    """The template's node, with what is different when there are venues; their clients take the place of its own."""
    if not config.venues or template.venues is None:
        return template.node
    node = {key: value for key, value in template.node.items() if key not in ("data_clients", "exec_clients")}
    return merged(node, template.venues.node)


def _not_taken(template: EngineTemplate, config: EngineConfig) -> list[FieldError]:
    if config.venues and template.venues is None:
        return [FieldError("config.venues", f"template {template.name} takes no venues")]
    if not config.venues and template.venues is not None and template.venues.required:
        return [FieldError("config.venues", f"template {template.name} needs at least one venue")]
    return []


def _unused(template: EngineTemplate, body: dict[str, Any], config: EngineConfig) -> list[FieldError]:
    """Parameters that were given and change nothing, because they belong to the other way of running the template."""
    strategies = msgspec.to_builtins(template.defaults.strategies)
    simulated = template.venues.simulated if template.venues and config.venues else None
    read = {*placeholders([body, template.exec_factories, strategies, simulated.config if simulated else {}])}
    way = "with" if config.venues else "without"
    return [
        FieldError(f"config.parameters.{name}", f"changes nothing {way} venues")
        for name in template.parameters
        if name in config.parameters and template.venues and name not in read
    ]


def _clients(
    template: EngineTemplate, config: EngineConfig, template_set: TemplateSet, values: Mapping[str, Value]
) -> tuple[Clients, list[FieldError]]:
    if not config.venues or template.venues is None:
        return Clients(), []
    return connect(
        config.venues, template_set.venues, template.venues.simulated, values, is_live=config.trades_money
    )


def _node(
    body: dict[str, Any], values: Mapping[str, Value], clients: Clients, config: EngineConfig
) -> dict[str, Any]:
    node: dict[str, Any] = _filled(body, values)
    if risk := risk_engine(config, node.get("risk_engine", {})):
        node["risk_engine"] = risk
    if config.venues:
        node |= {"data_clients": clients.data, "exec_clients": clients.execution}
    return node


def _chosen(
    template: EngineTemplate, config: EngineConfig, values: Mapping[str, Value]
) -> Sequence[StrategyChoice]:
    """The strategies named; else the template's, which trade what is in the catalog, unless there are venues."""
    if config.strategies is not None:
        return config.strategies
    if config.venues:
        return ()
    raw = msgspec.to_builtins(list(template.defaults.strategies))
    return msgspec.convert(_filled(raw, values), tuple[StrategyChoice, ...])


def _filled(body: Any, values: Mapping[str, Value]) -> Any:
    try:
        return substitute(body, values)
    except WrongValue as error:
        raise invalid(FieldError("config.template", str(error))) from None


def _boot_timeout_s(node: Mapping[str, Any]) -> float:
    """What the node may wait for venues, and half a minute; at least a minute."""
    waits = sum(_seconds(node.get(name)) for name in _WAITS)
    return min(max(_BOOT_S, waits + _BOOT_S / 2), _LONGEST_BOOT_S)


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
