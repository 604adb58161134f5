"""What is decided when somebody asks to start, stop or restart an engine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.alerts import CACHE_NOT_AVAILABLE
from flotilla.schemas.config import EngineConfig, RestartPolicy
from flotilla.schemas.engine import EngineAccepted, StopEngine
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.alerts import about_engine
from flotilla.services.orchestrator.engines.core.answers import accepted, told
from flotilla.services.orchestrator.engines.core.decision import Decision, begin, recorded
from flotilla.services.orchestrator.engines.core.effects import Effect
from flotilla.services.orchestrator.engines.core.model import Engine, Session, new_engine
from flotilla.services.orchestrator.engines.core.placement import HostLoad, check_runtime, settle_cache
from flotilla.services.orchestrator.engines.core.session import move
from flotilla.services.orchestrator.engines.core.stopping import (
    ask_again,
    is_taken,
    next_look,
    order_stop,
    stop_step,
)

NOT_SEEN: Final = "nobody saw it end: its orders and positions are not known"


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
    policy: RestartPolicy | None = None,
) -> Decision:
    """A new session of an engine that is not active. Raises FaultError `conflict` naming the session that is."""
    if engine is not None and engine.session is not None and engine.is_active:
        raise _is_active(engine.session)
    before = engine or new_engine(config, now)
    wanted = msgspec.structs.replace(
        before,
        desired=DesiredState.RUNNING,
        config=config,
        configured=None,
        restart_policy=policy,
        restarts=(),
    )
    spec, effects = _fitted(_next(spec, before, config), wanted, hosts, now)
    begun = begin(wanted, spec, hosts, now)
    message = f"is starting{_with_packages(spec)}{_braked(begun.engine)}"
    reply = accepted(begun.engine, request_id, message, spec.session_id)
    reply = msgspec.structs.replace(reply, started_at=wall(now), config=config)
    return recorded(engine, _with(begun, reply, effects), now)


def restart(
    engine: Engine,
    spec: SessionSpec,
    *,
    request_id: str,
    hosts: Sequence[HostLoad],
    now: datetime,
    policy: RestartPolicy | None = None,
) -> Decision:
    """A new session with the configuration stored last, now or as soon as the present one has ended.

    Raises FaultError `conflict` when a restart is under way already.
    """
    session, config = engine.session, engine.next_config
    if session is None or session.is_over:
        return start(engine, config, spec, request_id=request_id, hosts=hosts, now=now, policy=policy)
    if engine.pending is not None:
        pending = engine.pending.session_id
        raise fault(FaultCode.CONFLICT, f"engine {engine.instance_id} restarts already, as session {pending}")
    spec, effects = _fitted(_next(spec, engine, config), engine, hosts, now)
    wanted = msgspec.structs.replace(
        engine, desired=DesiredState.RUNNING, pending=spec, restart_policy=policy, restarts=()
    )
    decision = _stopped(wanted, session, StopEngine(), hosts, now)
    has_begun = decision.engine.pending is None
    message = f"is restarting{_with_packages(spec)}{_braked(decision.engine)}"
    reply = accepted(decision.engine, request_id, message, spec.session_id)
    reply = msgspec.structs.replace(reply, config=config, started_at=wall(now) if has_begun else None)
    return recorded(engine, _with(decision, reply, effects), now)


def stop(engine: Engine, request: StopEngine, *, request_id: str, now: datetime) -> Decision:
    """The end of the present session; a success also when there is none. Takes back a restart that is under way."""
    session = engine.session
    wanted = msgspec.structs.replace(engine, desired=DesiredState.STOPPED, pending=None, restart_at=None)
    if session is None or session.is_over:
        decision, message = Decision(engine=wanted), "is stopped"
    else:
        decision = _stopped(wanted, session, request, (), now)
        message = _stop_message(decision.engine.session or session)
    reply = accepted(decision.engine, request_id, message, session.session_id if session else None)
    ended = decision.engine.session
    if ended is None or ended.is_over or is_taken(ended):
        reply = told(reply, is_taken=ended is None or is_taken(ended))
    return recorded(engine, msgspec.structs.replace(decision, reply=reply), now)


def _with_packages(spec: SessionSpec) -> str:
    names = ", ".join(each.label for each in spec.plan.packages)
    return f" with {names}" if names else ""


def _braked(engine: Engine) -> str:
    """A start lifts no brake, and whoever asks for one is told so."""
    return f", {engine.brake.text} until it is resumed" if engine.brake.is_on else ""


def _stopped(
    engine: Engine, session: Session, request: StopEngine, hosts: Sequence[HostLoad], now: datetime
) -> Decision:
    if session.state == RunState.SCHEDULED:
        ended = move(session, RunState.STOPPED, now, detail="stopped before it began")
    elif session.state == RunState.UNKNOWN and request.force:
        detail = "given up while its host was out of sight; it is stopped if it comes back"
        facts: dict[str, Any] = {"reason": FailureReason.OPERATOR, "detail": detail, "is_given_up": True}
        ended = move(session, RunState.FAILED, now, not_confirmed=(NOT_SEEN,), **facts)
    else:
        ended = order_stop(session, request.policy, is_forced=request.force, now=now)
    effects = () if ended.is_over else (*stop_step(ended, now), *ask_again(ended), *next_look(ended, now))
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


def _next(spec: SessionSpec, engine: Engine, config: EngineConfig) -> SessionSpec:
    return msgspec.structs.replace(spec, generation=engine.generation + 1, config=config)


def _fitted(
    spec: SessionSpec, engine: Engine, hosts: Sequence[HostLoad], now: datetime
) -> tuple[SessionSpec, tuple[Effect, ...]]:
    """The spec as the hosts in sight can run it. Raises FaultError `conflict` when none can."""
    check_runtime(spec, hosts)
    is_demanded = spec.config is not None and spec.config.use_cache_database is True
    fitted = settle_cache(spec, hosts, is_demanded=is_demanded)
    if fitted is spec:
        return spec, ()
    message = (
        f"engine {engine.instance_id} keeps no state in Redis: no host in sight has it, so orders and positions"
        " do not come back after a crash"
    )
    key = spec.session_id
    return fitted, (about_engine(engine, CACHE_NOT_AVAILABLE, message, now, key=key),)


def _with(decision: Decision, reply: EngineAccepted, effects: tuple[Effect, ...]) -> Decision:
    return msgspec.structs.replace(decision, reply=reply, effects=(*decision.effects, *effects))


def _is_active(session: Session) -> Exception:
    return fault(
        FaultCode.CONFLICT,
        f"engine {session.instance_id} is active: session {session.session_id} is {session.state}",
    )
