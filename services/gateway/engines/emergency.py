"""Emergency stops: asked of every supervisor directly, so that neither orchestrator nor database is needed."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from flotilla.bus.fleet_stop import lift_stops, stop_fleet
from flotilla.schemas.fault import Fault, FaultCode, fault
from flotilla.schemas.heartbeats import HOST_GONE_S
from flotilla.schemas.ids import InstanceId
from flotilla.schemas.session import (
    EmergencyReceipt,
    EmergencyStop,
    FleetStopped,
    LiftStop,
    StopFlags,
    container_name,
)
from flotilla.schemas.states import ClientState
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.gateway.engines import stop_replies
from flotilla.services.gateway.engines.stop_replies import EmergencyReply, LiftData, LiftReply
from flotilla.services.gateway.engines.unconfirmed import listed
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import scope_of
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import EmergencyBody, EngineQuery, NoQuery

LIFTED: Final = "stop_lifted"
IN_FORCE: Final = "stop_in_force"
UNKNOWN: Final = "unknown"


def open_questions(stopped: FleetStopped) -> tuple[str, ...]:
    """Everything that the stop could not confirm; none: every engine is flat and gone."""
    return (
        *(
            f"{receipt.instance_id}: {question}"
            for receipt in stopped.receipts
            for question in _questions(receipt)
        ),
        *(f"host {host} did not answer, what runs there is not known" for host in stopped.unreached),
    )


def emergency_reply(
    stopped: FleetStopped, instance_id: InstanceId | None, request_id: str
) -> stop_replies.EmergencyReply:
    """The envelope with a receipt per engine. `state` is unknown while an engine may still run."""
    all_gone = not stopped.unreached and all(receipt.is_gone for receipt in stopped.receipts)
    return stop_replies.EmergencyReply(
        message=_message(stopped, instance_id),
        state=ClientState.STOPPED if all_gone else UNKNOWN,
        data=stop_replies.EmergencyData(
            receipts=tuple(receipt_view(receipt) for receipt in stopped.receipts),
            flags=stopped.flags,
            unreached=stopped.unreached,
            milliseconds=stopped.milliseconds,
            request_id=request_id,
            untold=stopped.untold,
            is_kept=stopped.is_kept,
        ),
    )


def receipt_view(receipt: EmergencyReceipt) -> stop_replies.ReceiptView:
    """What became of one engine. Counts are null when the engine did not live to give them."""
    stop = receipt.stop
    return stop_replies.ReceiptView(
        instance_id=receipt.instance_id,
        session_id=receipt.session_id,
        container_name=container_name(receipt.session_id),
        host=receipt.host,
        orders_cancelled=stop.orders_cancelled if stop else None,
        positions_closed=stop.positions_closed if stop else None,
        confirmed_flat=receipt.is_flat,
        not_confirmed=tuple(_questions(receipt)),
        container_gone=receipt.is_gone,
        killed=receipt.is_killed,
        milliseconds=stop_replies.StepTimes(
            cancel=stop.cancel_ms if stop else None,
            close=stop.close_ms if stop else None,
            stop=stop.stop_ms if stop else None,
            engine=receipt.engine_ms,
            container_gone=receipt.gone_ms,
        ),
    )


def lifted(instance_id: InstanceId | None) -> str:
    """What to say of a stop that is lifted. Nothing starts by itself because of it."""
    return f"{instance_id or 'every engine'} may be started again"


def _questions(receipt: EmergencyReceipt) -> Iterator[str]:
    yield from receipt.not_confirmed
    if not receipt.not_confirmed and (receipt.is_killed or not receipt.is_flat):
        yield "not confirmed to be flat"
    if not receipt.is_gone:
        yield "its container is not confirmed to be gone"


def _message(stopped: FleetStopped, instance_id: InstanceId | None) -> str:
    questions = open_questions(stopped)
    if questions:
        return f"not confirmed: {listed(questions)}"
    names = sorted({receipt.instance_id for receipt in stopped.receipts})
    what = instance_id or "an engine"
    if not names:
        return f"nothing ran; {what} starts again only once the stop is lifted"
    were = f"{listed(names)} {'is' if len(names) == 1 else 'are'} flat and gone"
    return f"{were}; {what} starts again only once the stop is lifted"


async def emergency_stop(gateway: Gateway, ask: Ask[EngineQuery, EmergencyBody]) -> EmergencyReply:
    """Every engine, or the one in query or body, flat and gone. Raises FaultError `unavailable`, `outcome_unknown`."""
    return await _stop(gateway, ask.body, ask)


async def emergency_stop_engine(gateway: Gateway, ask: Ask[NoQuery, EmergencyBody]) -> EmergencyReply:
    """The engine in the path flat and gone. Raises FaultError `unavailable`, `outcome_unknown`."""
    return await _stop(gateway, ask.body, ask)


async def _stop(gateway: Gateway, body: EmergencyBody, ask: Ask[Any, Any]) -> EmergencyReply:
    """A success only when all of it is confirmed.

    Raises FaultError `unavailable` when there is no host to ask, `outcome_unknown` with every receipt when something is not confirmed.
    """
    request = EmergencyStop(
        instance_id=body.instance_id,
        deadline_s=body.deadline_s,
        reason=body.reason,
        request_id=ask.request_id,
    )
    hosts = gateway.hosts
    stopped = await stop_fleet(
        gateway.bus, request, known_hosts=hosts.heard_within(HOST_GONE_S), quiet_hosts=hosts.quiet()
    )
    if not stopped.flags and not stopped.unreached:
        message = "no host is in sight: nothing was stopped and no stop is in force"
        raise fault(FaultCode.UNAVAILABLE, message, retry_after_s=1.0)
    flags = _visible(stopped.flags, body.instance_id, ask)
    shown = msgspec.structs.replace(stopped, flags=flags)
    reply = emergency_reply(shown, body.instance_id, ask.request_id)
    if open_questions(stopped):
        problem = Fault(code=FaultCode.OUTCOME_UNKNOWN, message=reply.message)
        raise RefusedError(problem, {"state": reply.state, "data": reply.data})
    return reply


async def lift_active_stop(gateway: Gateway, ask: Ask[EngineQuery, None]) -> LiftReply:
    """Lifts the stop of the engine in the query, or every stop."""
    return await _lift(gateway, ask.query.instance_id, ask)


async def lift_stop(gateway: Gateway, ask: Ask[NoQuery, None]) -> LiftReply:
    """Lifts the stop of the engine in the path."""
    return await _lift(gateway, ask.path["instance_id"], ask)


def _visible(
    flags: tuple[StopFlag, ...], instance_id: InstanceId | None, ask: Ask[Any, Any]
) -> tuple[StopFlag, ...]:
    """The flags that whoever asks may know of: with labels, those of all engines and of the one that it asks about."""
    return tuple(flag for flag in flags if not scope_of(ask) or flag.instance_id in (None, instance_id))


async def _lift(gateway: Gateway, instance_id: InstanceId | None, ask: Ask[Any, Any]) -> LiftReply:
    request = LiftStop(instance_id=instance_id, request_id=ask.request_id)
    hosts = gateway.hosts
    left = await lift_stops(
        gateway.bus, request, known_hosts=hosts.heard_within(HOST_GONE_S), quiet_hosts=hosts.quiet()
    )
    data = LiftData(
        flags=_visible(left.flags, instance_id, ask),
        unreached=left.unreached,
        untold=left.untold,
        request_id=ask.request_id,
    )
    if problem := _still_in_force(left, instance_id):
        raise RefusedError(problem, {"state": IN_FORCE, "data": data})
    return LiftReply(message=lifted(instance_id), state=LIFTED, data=data)


def _still_in_force(left: StopFlags, instance_id: InstanceId | None) -> Fault | None:
    if left.unreached:
        hosts = ", ".join(left.unreached)
        message = f"whether the stop is lifted on these hosts is not known, they did not answer: {hosts}"
        return Fault(code=FaultCode.OUTCOME_UNKNOWN, message=message)
    if any(flag.instance_id is None for flag in left.flags):
        message = f"the stop of all engines is still in force, so {instance_id or 'nothing'} cannot start; lift it without an id"
        return Fault(code=FaultCode.CONFLICT, message=message)
    return None
