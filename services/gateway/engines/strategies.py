"""The strategies of a running engine: listed, added, started, stopped and removed. What is changed ends with its session."""

from typing import Any

import msgspec

from flotilla.schemas import contract
from flotilla.schemas.states import ClientState
from flotilla.schemas.strategy import AddStrategy, ListStrategies, SendSignal, StrategyList, WhichStrategy
from flotilla.services.gateway.engines.strategy_replies import StrategiesReply, StrategyCommandReply
from flotilla.services.gateway.engines.unconfirmed import listed
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import (
    NoQuery,
    PolicyQuery,
    SignalBody,
    StrategyAddBody,
    StrategyStartBody,
    StrategyStopBody,
)

type Changed = contract.Call[WhichStrategy, StrategyList]


async def list_strategies(gateway: Gateway, ask: Ask[NoQuery, None]) -> StrategiesReply:
    """What the engine runs."""
    request = ListStrategies(instance_id=ask.path["instance_id"])
    found = await gateway.bus.call(contract.STRATEGY_LIST, request)
    return StrategiesReply(
        instance_id=found.instance_id,
        session_id=found.session_id,
        strategies=found.strategies,
        total_count=len(found.strategies),
    )


async def add_strategy(gateway: Gateway, ask: Ask[NoQuery, StrategyAddBody]) -> StrategyCommandReply:
    """One strategy more; started unless told otherwise."""
    request = AddStrategy(
        strategy=ask.body.strategy,
        instance_id=ask.path["instance_id"],
        start=ask.body.start,
        request_id=ask.request_id,
    )
    return _reply(await gateway.bus.call(contract.STRATEGY_ADD, request))


async def start_strategy(gateway: Gateway, ask: Ask[NoQuery, StrategyStartBody]) -> StrategyCommandReply:
    """A strategy that trades again."""
    return await _change(gateway, contract.STRATEGY_START, ask)


async def stop_strategy(gateway: Gateway, ask: Ask[NoQuery, StrategyStopBody]) -> StrategyCommandReply:
    """A strategy that no longer trades; the others trade on."""
    return await _change(gateway, contract.STRATEGY_STOP, ask, policy=ask.body.policy)


async def remove_strategy(gateway: Gateway, ask: Ask[PolicyQuery, None]) -> StrategyCommandReply:
    """A strategy that is stopped and gone."""
    return await _change(gateway, contract.STRATEGY_REMOVE, ask, policy=ask.query.policy)


async def send_signal(gateway: Gateway, ask: Ask[NoQuery, SignalBody]) -> StrategyCommandReply:
    """A signal that the engine's strategies hear."""
    request = SendSignal(
        name=ask.body.name,
        value=ask.body.value,
        instance_id=ask.path["instance_id"],
        request_id=ask.request_id,
    )
    return _reply(await gateway.bus.call(contract.ENGINE_SIGNAL, request))


async def _change(gateway: Gateway, call: Changed, ask: Ask[Any, Any], **more: Any) -> StrategyCommandReply:
    request = WhichStrategy(
        strategy_id=ask.path["strategy_id"],
        instance_id=ask.path["instance_id"],
        request_id=ask.request_id,
        **more,
    )
    return _reply(await gateway.bus.call(call, request))


def _reply(done: StrategyList) -> StrategyCommandReply:
    """An engine that answered runs. What it could not confirm is part of the message."""
    message = done.message or "done"
    if done.not_confirmed:
        message = f"{message}; not confirmed: {listed(done.not_confirmed)}"
    return StrategyCommandReply(
        message=message, state=ClientState.RUNNING, data=msgspec.structs.replace(done, message=message)
    )
