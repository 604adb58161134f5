"""Between the record's rows and the core's values."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.config import EngineConfig
from schemas.session import SessionSpec
from services.orchestrator.core.events import StoredEvent
from services.orchestrator.core.model import Engine, Session, StopOrder

_MOVING: Final = (
    *("state", "host", "reason", "detail", "exit_code", "log_tail", "stop", "state_seq", "is_provisional"),
    *("changed_at", "started_at", "trading_at", "ended_at", "exit_seen_at"),
)
_FIXED: Final = ("instance_id", "generation", "stop_policy", "stop_timeout_s", "created_at")


def to_json(value: object) -> str | None:
    """A document for a json column; None stays null."""
    return None if value is None else msgspec.json.encode(value).decode()


def engine_row(engine: Engine) -> tuple[Any, ...]:
    """The values of save_engine.sql."""
    return (
        engine.instance_id,
        str(engine.desired),
        to_json(engine.config),
        engine.generation,
        engine.version,
        engine.session.session_id if engine.session else None,
        to_json(engine.pending),
        engine.created_at,
        engine.updated_at,
    )


def changed_session_row(session: Session) -> tuple[Any, ...]:
    """The values of change_session.sql."""
    return (session.session_id, *(_column(getattr(session, name)) for name in _MOVING))


def new_session_row(session: Session, spec: SessionSpec) -> tuple[Any, ...]:
    """The values of add_session.sql."""
    fixed = (_column(getattr(session, name)) for name in _FIXED)
    return (*changed_session_row(session), *fixed, to_json(spec))


def event_columns(events: Sequence[StoredEvent]) -> tuple[list[Any], ...]:
    """The columns of add_events.sql."""
    names = ("session_id", "seq", "instance_id", "kind", "at", "body")
    return tuple([getattr(event, name) for event in events] for name in names)


def engine_of(row: Mapping[str, Any], session: Session | None) -> Engine:
    """An engine from a row of engines.sql and its present session."""
    return msgspec.convert(
        {
            **row,
            "config": msgspec.json.decode(row["config"], type=EngineConfig),
            "pending": msgspec.json.decode(row["pending"], type=SessionSpec) if row["pending"] else None,
            "session": session,
        },
        Engine,
    )


def session_of(row: Mapping[str, Any]) -> Session:
    """A session from a row of session_facts."""
    stop = msgspec.json.decode(row["stop"], type=StopOrder) if row["stop"] else None
    return msgspec.convert({**row, "stop": stop, "log_tail": tuple(row["log_tail"])}, Session)


def _column(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, StopOrder):
        return to_json(value)
    return str(value) if isinstance(value, str) else value
