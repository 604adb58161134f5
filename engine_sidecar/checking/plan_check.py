"""Asks NautilusTrader whether it takes a strategy or a plan. Run it in a process that may be lost: see trial."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.checking.free_texts import raised, shown
from flotilla.engine_sidecar.engine.client_configs import field_value, imported
from flotilla.engine_sidecar.engine.node_building import build_node
from flotilla.engine_sidecar.engine.node_plan import PlanRefusedError, node_plan
from flotilla.engine_sidecar.link.frames import Run
from flotilla.engine_sidecar.replay.currencies import with_base_currency
from flotilla.engine_sidecar.strategies.building import build_strategy
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import EnginePlan

_ANY_CURRENCY: Final = "USD"
"""For accounts that count in what the catalog's instruments are settled in: none is asked here."""
_KEYS: Final = ("strategy_path", "config_path", "config")


def strategy_problems(place: str, strategy: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with an importable strategy: its keys, its classes, each field of its config, and then what it raises itself."""
    if problems := [*_shape(place, strategy)]:
        return problems
    strategy_class = _class(f"{place}.strategy_path", strategy["strategy_path"], Strategy)
    config_class = _class(f"{place}.config_path", strategy["config_path"], StrategyConfig)
    problems = [found for found in (strategy_class, config_class) if isinstance(found, FieldError)]
    if not isinstance(config_class, FieldError):
        problems += _fields(f"{place}.config", config_class, strategy["config"])
    if problems:
        return problems
    try:
        build_strategy(dict(strategy), _ignore)
    except Exception as error:  # noqa: BLE001 - a constructor may raise anything
        return [FieldError(place, raised(error))]
    return []


def plan_problems(plan: EnginePlan) -> list[FieldError]:
    """What keeps the plan's node from being built. Without a connection, without secrets, and whatever the catalog holds.

    Clients that need a secret are not made, for they would ask for it: their configs and factories are checked.
    """
    run = _run(plan)
    try:
        if plan.secrets:
            node_plan(run)
        else:
            # Not asyncio.run: it would wait for the client of Interactive Brokers, which does not let itself be cancelled.
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            loop.run_until_complete(_build(run))
    except PlanRefusedError as error:
        place, _, message = str(error).partition(": ")
        return [FieldError(place, message)]
    return []


async def _build(run: Run) -> None:
    """Within a loop that runs, as an engine does: else the client of Interactive Brokers would connect at once, and wait."""
    build_node(run, asyncio.get_running_loop(), _ignore, _ignore, _ignore)


def _run(plan: EnginePlan) -> Run:
    node = with_base_currency(plan.node, _ANY_CURRENCY)
    return Run(
        instance_id=plan.trader_id.lower(),
        session_id="check",
        plan=msgspec.structs.replace(plan, node=node, instruments=(), secrets={}),
        catalog_path="/nonexistent",
        log_level="ERROR",
        stop_timeout_s=1.0,
    )


def _ignore(*_: object) -> None:
    """Nothing that is checked runs, so nothing can fail later."""


def _shape(place: str, strategy: Mapping[str, Any]) -> Iterator[FieldError]:
    for key in sorted(strategy.keys() - set(_KEYS)):
        yield FieldError(f"{place}.{key}", "is no field of an importable strategy")
    for key, kind in zip(_KEYS, (str, str, dict), strict=True):
        if not isinstance(strategy.get(key), kind):
            yield FieldError(
                f"{place}.{key}", f"must be given as {'an object' if kind is dict else 'a text'}"
            )


def _class(place: str, path: str, parent: type) -> Any:
    """The class, or what is wrong with it."""
    try:
        found = imported(path)
    except Exception as error:  # noqa: BLE001 - a module may raise anything when it is imported
        is_ours = isinstance(error, ValueError) and error.__cause__
        return FieldError(place, shown(str(error)) if is_ours else raised(error))
    if not isinstance(found, type) or not issubclass(found, parent):
        return FieldError(place, f"{path!r} is no {parent.__name__}")
    return found


def _fields(place: str, kind: Any, config: Mapping[str, Any]) -> list[FieldError]:
    """Each field by itself: NautilusTrader's own parser stops at the first that is wrong."""
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    problems = [
        FieldError(f"{place}.{name}", f"{kind.__name__} has no such field")
        for name in config
        if name not in known
    ]
    for name, field in known.items():
        if name not in config:
            if field.required:
                problems.append(FieldError(f"{place}.{name}", "is missing"))
            continue
        try:
            field_value(field.type, config[name])
        except (ValueError, TypeError) as error:
            problems.append(FieldError(f"{place}.{name}", str(error)))
    return problems
