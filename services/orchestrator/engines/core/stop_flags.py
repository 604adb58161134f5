"""Emergency stops in force: what they name does not start, and what was to run is wanted no more."""

from datetime import datetime

import msgspec

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import DesiredState, RunState, StopPolicy
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.engines.core.decision import Decision, recorded
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.session import move
from flotilla.services.orchestrator.engines.core.sightings import Sight
from flotilla.services.orchestrator.engines.core.stopping import order_stop, stop_step


def refuse_stopped(instance_id: str, flag: StopFlag | None) -> None:
    """Raises FaultError `conflict` while a stop flag names the engine, saying how to lift it."""
    if flag is None:
        return
    what = f"engine {flag.instance_id}" if flag.instance_id else "all engines"
    why = f" ({flag.reason})" if flag.reason else ""
    raise fault(
        FaultCode.CONFLICT,
        f"engine {instance_id} does not start: an emergency stop of {what} is in force since"
        f" {flag.since:%Y-%m-%dT%H:%M:%SZ}{why}; lift it with `flotilla emergency-stop --lift` or fleet.engine.lift_stop",
    )


def halt(engine: Engine, sight: Sight, now: datetime) -> Decision | None:
    """An engine that a stop flag names: it is wanted no more, and what runs of it is stopped. None when that is so already."""
    session = engine.session
    is_running_on = session is not None and engine.is_active and session.stop is None
    is_wanted = engine.desired == DesiredState.RUNNING or engine.pending or engine.restart_at
    if not is_running_on and not is_wanted:
        return None
    halted = msgspec.structs.replace(engine, desired=DesiredState.STOPPED, pending=None, restart_at=None)
    if session is None or not is_running_on:
        return recorded(engine, Decision(engine=halted), now)
    ended = _stopped(session, sight, now)
    effects = () if ended.is_over else stop_step(ended, now)
    return recorded(
        engine, Decision(engine=msgspec.structs.replace(halted, session=ended), effects=effects), now
    )


def _stopped(session: Session, sight: Sight, now: datetime) -> Session:
    if session.state == RunState.SCHEDULED:
        return move(session, RunState.STOPPED, now, detail="stopped before it began, by an emergency stop")
    ordered = order_stop(session, StopPolicy.FLATTEN, is_forced=False, now=now)
    if ordered.stop is None or not sight.is_host_flagged:
        return ordered
    # Its own host carries the stop through, within the deadline that was asked for; we step in when that led nowhere.
    taken = msgspec.structs.replace(ordered.stop, acknowledged_at=now)
    return msgspec.structs.replace(ordered, stop=taken)
