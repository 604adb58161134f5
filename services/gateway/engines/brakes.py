"""Brakes short of a stop: a success only when the engine has confirmed all that was asked of it."""

from typing import Any

from flotilla.schemas import contract
from flotilla.schemas.brakes import AcceptMismatch, BrakeEngine, FlattenEngine
from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.fault import Fault, FaultCode
from flotilla.services.gateway.engines.replies import CommandReply
from flotilla.services.gateway.engines.views import command_reply
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import AcceptBody, BrakeBody, FlattenBody, NoQuery


async def halt_engine(gateway: Gateway, ask: Ask[NoQuery, BrakeBody]) -> CommandReply:
    """No order of its strategies passes until it is resumed. Raises FaultError `outcome_unknown`, as all here do."""
    return await _brake(gateway, contract.ENGINE_HALT, ask)


async def reduce_engine(gateway: Gateway, ask: Ask[NoQuery, BrakeBody]) -> CommandReply:
    """Only orders that reduce a position pass until it is resumed."""
    return await _brake(gateway, contract.ENGINE_REDUCE, ask)


async def resume_engine(gateway: Gateway, ask: Ask[NoQuery, BrakeBody]) -> CommandReply:
    """Its strategies trade freely again."""
    return await _brake(gateway, contract.ENGINE_RESUME, ask)


async def accept_difference(gateway: Gateway, ask: Ask[NoQuery, AcceptBody]) -> CommandReply:
    """What it and its venue do not agree on is taken as it is."""
    request = AcceptMismatch(
        instance_id=ask.path["instance_id"], shown=ask.body.shown, request_id=ask.request_id
    )
    return _reply(await gateway.bus.call(contract.ENGINE_ACCEPT, request))


async def cancel_orders(gateway: Gateway, ask: Ask[NoQuery, BrakeBody]) -> CommandReply:
    """No order of it is open; its strategies go on."""
    return await _brake(gateway, contract.ENGINE_CANCEL_ORDERS, ask)


async def flatten_engine(gateway: Gateway, ask: Ask[NoQuery, FlattenBody]) -> CommandReply:
    """No order and no position of it is open, and its strategies are halted unless told otherwise."""
    request = FlattenEngine(
        instance_id=ask.path["instance_id"], then=ask.body.then, request_id=ask.request_id
    )
    return _reply(await gateway.bus.call(contract.ENGINE_FLATTEN, request))


async def _brake(
    gateway: Gateway, call: contract.Call[BrakeEngine, EngineAccepted], ask: Ask[Any, Any]
) -> CommandReply:
    request = BrakeEngine(instance_id=ask.path["instance_id"], request_id=ask.request_id)
    return _reply(await gateway.bus.call(call, request))


def _reply(accepted: EngineAccepted) -> CommandReply:
    reply = command_reply(accepted)
    if accepted.is_taken:
        return reply
    problem = Fault(code=FaultCode.OUTCOME_UNKNOWN, message=reply.message)
    raise RefusedError(problem, {"state": reply.state, "data": reply.data})
