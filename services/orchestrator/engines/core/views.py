"""The record as people see it."""

from datetime import datetime

import msgspec

from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.host import HostView
from flotilla.schemas.loss_limits import NOTHING_KEPT, LossesView
from flotilla.schemas.states import ClientState
from flotilla.services.orchestrator.core.record_time import on_wall
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.restarts import recent, until
from flotilla.services.orchestrator.engines.core.session import WITH_PROBLEMS
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings


def client_state(session: Session | None) -> ClientState:
    """One of the five states that clients of the REST contract know."""
    return session.state.for_clients if session else ClientState.STOPPED


def session_view(session: Session) -> SessionView:
    """A session as people see it."""
    return SessionView(
        session_id=session.session_id,
        instance_id=session.instance_id,
        generation=session.generation,
        state=session.state,
        container_name=session.container_name,
        created_at=session.created_at,
        host=session.host,
        reason=session.reason,
        detail=session.detail,
        exit_code=session.exit_code,
        log_tail=session.log_tail,
        started_at=session.started_at,
        trading_at=session.trading_at,
        ended_at=session.ended_at,
        last_seq=session.known_seq,
        not_confirmed=session.not_confirmed,
        stop=session.stop_report,
    )


def record_view(engine: Engine, now: datetime) -> EngineView:
    """An engine as the record has it, without telemetry."""
    counted = recent(engine, now)
    return EngineView(
        instance_id=engine.instance_id,
        state=client_state(engine.session),
        desired=engine.desired,
        config=engine.shown_config,
        session=session_view(engine.session) if engine.session else None,
        restarts=len(counted),
        restart_at=on_wall(engine.restart_at, now) if engine.restart_at else None,
        brake=engine.brake,
        losses=_losses(engine),
        is_removed=engine.is_removed,
        version=engine.version,
        created_at=engine.created_at,
        restarts_until=tuple(on_wall(until(engine, at), now) for at in counted),
    )


def live_view(engine: Engine, sightings: FleetSightings, now: datetime) -> EngineView:
    """An engine with what was heard of its present session."""
    view = msgspec.structs.replace(
        record_view(engine, now),
        stop_flag=sightings.stop_flag(engine.instance_id, now, is_worker=engine.is_worker),
    )
    session = engine.session
    heard = sightings.telemetry(session, now) if session and not session.is_over else None
    known = _known_problems(session) if session else ()
    if heard is None:
        return msgspec.structs.replace(view, problems=known)
    age_s, beat, metrics = heard
    return msgspec.structs.replace(
        view,
        heartbeat_age_s=round(age_s, 3),
        is_frozen=beat.is_frozen,
        problems=beat.problems or known,
        notes=beat.notes,
        event_age_s=beat.event_age_s,
        resources=beat.resources,
        metrics=metrics,
        losses=beat.losses or view.losses,
        trading_hours=beat.trading_hours,
        dead_man=beat.dead_man,
        is_brake_taken=beat.is_brake_taken and beat.brake.number == engine.brake.number,
    )


def _losses(engine: Engine) -> LossesView | None:
    """What the record keeps of its losses; None where nothing is limited and nothing kept."""
    limits = engine.shown_config.loss_limits
    if limits is None and engine.losses == NOTHING_KEPT:
        return None
    return LossesView(limits=limits, kept=engine.losses)


def host_views(sightings: FleetSightings, now: datetime) -> tuple[HostView, ...]:
    """Every host that was heard, by name."""
    return tuple(
        HostView(
            host=seen.value.host,
            is_in_sight=sightings.is_in_sight(seen.value.host, now),
            heartbeat_age_s=round(max(0.0, (now - seen.at).total_seconds()), 3),
            labels=seen.value.labels,
            runtime=seen.value.runtime,
            is_runtime_up=seen.value.is_runtime_up,
            cpus=seen.value.cpus,
            memory_bytes=seen.value.memory_bytes,
            sessions=seen.value.sessions,
            version=seen.value.version,
            has_cache=seen.value.has_cache,
            stop_flags=seen.value.stop_flags,
        )
        for seen in sightings.known_hosts()
    )


def _known_problems(session: Session) -> tuple[str, ...]:
    """What impairs the session as the record has it: its event may come before the heartbeat that says the same."""
    return (session.detail,) if session.state in WITH_PROBLEMS and session.detail else ()
