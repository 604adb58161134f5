"""Emergency stops: asked of every supervisor directly, so that neither orchestrator nor database is needed."""

from flotilla.bus.fleet_stop import lift_stops, stop_fleet
from flotilla.schemas.fault import Fault, FaultCode, fault
from flotilla.schemas.ids import InstanceId
from flotilla.schemas.session import EmergencyStop, LiftStop, StopFlags
from flotilla.services.gateway.engines import stops
from flotilla.services.gateway.engines.stop_replies import EmergencyReply, LiftData, LiftReply
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.hosts import KNOWN_S
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import EmergencyBody, EngineQuery, NoQuery


async def emergency_stop(gateway: Gateway, ask: Ask[EngineQuery | NoQuery, EmergencyBody]) -> EmergencyReply:
    """Every engine, or the one that is named, flat and gone; a success only when all of it is confirmed.

    Raises FaultError `unavailable` when there is no host to ask, `outcome_unknown` with every receipt when something is not confirmed.
    """
    body = ask.body
    request = EmergencyStop(
        instance_id=body.instance_id,
        deadline_s=body.deadline_s,
        reason=body.reason,
        request_id=ask.request_id,
    )
    hosts = gateway.hosts
    stopped = await stop_fleet(
        gateway.bus, request, known_hosts=hosts.heard_within(KNOWN_S), quiet_hosts=hosts.quiet()
    )
    if not stopped.flags and not stopped.unreached:
        message = "no host is in sight: nothing was stopped and no stop is in force"
        raise fault(FaultCode.UNAVAILABLE, message, retry_after_s=1.0)
    reply = stops.emergency_reply(stopped, body.instance_id, ask.request_id)
    if stops.open_questions(stopped):
        problem = Fault(code=FaultCode.OUTCOME_UNKNOWN, message=reply.message)
        raise RefusedError(problem, {"state": reply.state, "data": reply.data})
    return reply


async def lift_active_stop(gateway: Gateway, ask: Ask[EngineQuery, None]) -> LiftReply:
    """Lifts the stop of the engine in the query, or every stop."""
    return await _lift(gateway, ask.query.instance_id, ask.request_id)


async def lift_stop(gateway: Gateway, ask: Ask[NoQuery, None]) -> LiftReply:
    """Lifts the stop of the engine in the path."""
    return await _lift(gateway, ask.path["instance_id"], ask.request_id)


async def _lift(gateway: Gateway, instance_id: InstanceId | None, request_id: str) -> LiftReply:
    request = LiftStop(instance_id=instance_id, request_id=request_id)
    hosts = gateway.hosts
    left = await lift_stops(
        gateway.bus, request, known_hosts=hosts.heard_within(KNOWN_S), quiet_hosts=hosts.quiet()
    )
    data = LiftData(flags=left.flags, unreached=left.unreached, untold=left.untold, request_id=request_id)
    if problem := _still_in_force(left, instance_id):
        raise RefusedError(problem, {"state": stops.IN_FORCE, "data": data})
    return LiftReply(message=stops.lifted(instance_id), state=stops.LIFTED, data=data)


def _still_in_force(left: StopFlags, instance_id: InstanceId | None) -> Fault | None:
    if left.unreached:
        hosts = ", ".join(left.unreached)
        message = f"whether the stop is lifted on these hosts is not known, they did not answer: {hosts}"
        return Fault(code=FaultCode.OUTCOME_UNKNOWN, message=message)
    if any(flag.instance_id is None for flag in left.flags):
        message = f"the stop of all engines is still in force, so {instance_id or 'nothing'} cannot start; lift it without an id"
        return Fault(code=FaultCode.CONFLICT, message=message)
    return None
