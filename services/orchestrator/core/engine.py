"""What is decided when somebody asks to start, stop or restart an engine."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.config import EngineConfig
from schemas.engine import EngineAccepted, StopEngine
from schemas.fault import FaultCode, FieldError, fault, invalid
from schemas.session import SessionSpec, container_name
from schemas.states import DesiredState, FailureReason, RunState
from services.orchestrator.core.decision import Decision, begin, recorded
from services.orchestrator.core.model import Engine, Session
from services.orchestrator.core.placement import HostLoad
from services.orchestrator.core.session import move
from services.orchestrator.core.stopping import order_stop, stop_step
from services.orchestrator.core.views import client_state


def guard_live(config: EngineConfig, *, is_confirmed: bool) -> None:
    """Raises FaultError unless money may be traded with this configuration, or none would be."""
    if not config.trades_money:
        return
    if not is_confirmed:
        raise fault(
            FaultCode.CONFIRMATION_REQUIRED,
            "engine_type live with trading_mode live trades money: set confirm_live_trading to true",
            FieldError("confirm_live_trading", "must be true for live trading"),
        )
    if not config.risk_engine_enabled:
        raise invalid(FieldError("config.risk_engine_enabled", "must be true for live trading"))


def start(
    engine: Engine | None,
    config: EngineConfig,
    spec: SessionSpec,
    *,
    request_id: str,
    hosts: Sequence[HostLoad],
    now: datetime,
) -> Decision:
    """A new session of an engine that is not active. Raises FaultError `conflict` naming the session that is."""
    if engine is not None and engine.session is not None and engine.is_active:
        raise _is_active(engine.session)
    before = engine or Engine(
        instance_id=config.instance_id,
        desired=DesiredState.RUNNING,
        config=config,
        generation=0,
        created_at=now,
        updated_at=now,
    )
    wanted = msgspec.structs.replace(before, desired=DesiredState.RUNNING, config=config)
    begun = begin(wanted, _next(spec, before), hosts, now)
    reply = _accepted(begun.engine, request_id, "is starting", spec.session_id)
    reply = msgspec.structs.replace(reply, started_at=now, config=config)
    return recorded(engine, msgspec.structs.replace(begun, reply=reply), now)


def restart(
    engine: Engine, spec: SessionSpec, *, request_id: str, hosts: Sequence[HostLoad], now: datetime
) -> Decision:
    """A new session with the last configuration, now or as soon as the present one has ended.

    Raises FaultError `conflict` when a restart is under way already.
    """
    session = engine.session
    if session is None or session.is_over:
        return start(engine, engine.config, spec, request_id=request_id, hosts=hosts, now=now)
    if engine.pending is not None:
        pending = engine.pending.session_id
        raise fault(FaultCode.CONFLICT, f"engine {engine.instance_id} restarts already, as session {pending}")
    spec = _next(spec, engine)
    wanted = msgspec.structs.replace(engine, desired=DesiredState.RUNNING, pending=spec)
    decision = _stopped(wanted, session, StopEngine(), hosts, now)
    reply = _accepted(decision.engine, request_id, "is restarting", spec.session_id)
    reply = msgspec.structs.replace(reply, config=engine.config)
    return recorded(engine, msgspec.structs.replace(decision, reply=reply), now)


def stop(engine: Engine, request: StopEngine, *, request_id: str, now: datetime) -> Decision:
    """The end of the present session; a success also when there is none. Takes back a restart that is under way."""
    session = engine.session
    wanted = msgspec.structs.replace(engine, desired=DesiredState.STOPPED, pending=None)
    if session is None or session.is_over:
        decision, message = Decision(engine=wanted), "is stopped"
    else:
        decision = _stopped(wanted, session, request, (), now)
        message = _stop_message(decision.engine.session or session)
    reply = _accepted(decision.engine, request_id, message, session.session_id if session else None)
    return recorded(engine, msgspec.structs.replace(decision, reply=reply), now)


def idle(instance_id: str, request_id: str) -> EngineAccepted:
    """The answer to a stop when no engine ever ran."""
    return EngineAccepted(
        request_id=request_id,
        instance_id=instance_id,
        message="no engine is active",
        state=client_state(None),
    )


def _stopped(
    engine: Engine, session: Session, request: StopEngine, hosts: Sequence[HostLoad], now: datetime
) -> Decision:
    if session.state == RunState.SCHEDULED:
        ended = move(session, RunState.STOPPED, now, detail="stopped before it began")
    elif session.state == RunState.UNKNOWN and request.force:
        detail = "given up while its host was out of sight; it is stopped if it comes back"
        ended = move(session, RunState.FAILED, now, reason=FailureReason.OPERATOR, detail=detail)
    else:
        ended = order_stop(session, request.policy, is_forced=request.force, now=now)
    effects = () if ended.is_over else stop_step(ended, now)
    changed = msgspec.structs.replace(engine, session=ended)
    if ended.is_over and engine.pending is not None:
        return begin(changed, engine.pending, hosts, now)
    return Decision(engine=changed, effects=effects)


def _stop_message(session: Session) -> str:
    if session.is_over:
        return "is stopped" if session.state == RunState.STOPPED else "is given up"
    if session.state == RunState.UNKNOWN:
        return "is out of sight and will be stopped when it comes back"
    return "is being killed" if session.stop and session.stop.is_forced else "is stopping"


def _next(spec: SessionSpec, engine: Engine) -> SessionSpec:
    return msgspec.structs.replace(spec, generation=engine.generation + 1)


def _is_active(session: Session) -> Exception:
    return fault(
        FaultCode.CONFLICT,
        f"engine {session.instance_id} is active: session {session.session_id} is {session.state}",
    )


def _accepted(engine: Engine, request_id: str, message: str, session_id: str | None) -> EngineAccepted:
    return EngineAccepted(
        request_id=request_id,
        instance_id=engine.instance_id,
        message=f"engine {engine.instance_id} {message}",
        state=client_state(engine.session),
        session_id=session_id,
        container_name=container_name(session_id) if session_id else None,
        started_at=engine.session.started_at if engine.session else None,
    )
