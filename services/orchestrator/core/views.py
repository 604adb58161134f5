"""The record as people see it."""

from datetime import datetime

from schemas.engine import EngineView, SessionView
from schemas.states import ClientState
from services.orchestrator.core.live import Live
from services.orchestrator.core.model import Engine, Session


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
        last_seq=session.last_seq,
    )


def record_view(engine: Engine) -> EngineView:
    """An engine as the record has it, without telemetry."""
    return EngineView(
        instance_id=engine.instance_id,
        state=client_state(engine.session),
        desired=engine.desired,
        config=engine.config,
        session=session_view(engine.session) if engine.session else None,
    )


def live_view(engine: Engine, live: Live, now: datetime) -> EngineView:
    """An engine with what was heard of its present session."""
    view = record_view(engine)
    session = engine.session
    heard = live.telemetry(session, now) if session and not session.is_over else None
    if heard is None:
        return view
    age_s, beat, metrics = heard
    return EngineView(
        instance_id=view.instance_id,
        state=view.state,
        desired=view.desired,
        config=view.config,
        session=view.session,
        heartbeat_age_s=round(age_s, 3),
        is_frozen=beat.is_frozen,
        resources=beat.resources,
        metrics=metrics,
    )
