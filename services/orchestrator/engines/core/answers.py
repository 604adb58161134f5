"""What whoever gave a command is answered."""

import msgspec

from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.session import container_name
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.views import client_state


def accepted(engine: Engine, request_id: str, message: str, session_id: str | None) -> EngineAccepted:
    """The answer to a command, with the engine as it is on record now."""
    return EngineAccepted(
        request_id=request_id,
        instance_id=engine.instance_id,
        message=f"engine {engine.instance_id} {message}",
        state=client_state(engine.session),
        session_id=session_id,
        container_name=container_name(session_id) if session_id else None,
        started_at=engine.session.started_at if engine.session else None,
        brake=engine.brake if engine.brake.is_on else None,
    )


def idle(instance_id: str, request_id: str) -> EngineAccepted:
    """The answer to a stop when no engine ever ran."""
    return EngineAccepted(
        request_id=request_id,
        instance_id=instance_id,
        message="no engine is active",
        state=client_state(None),
        is_taken=True,
    )


def told(accepted: EngineAccepted, *, is_taken: bool) -> EngineAccepted:
    """The answer to a stop, with whether its engine has taken it."""
    doubt = (
        ""
        if is_taken
        else "; it has not taken the stop yet as far as is known, and orders may leave it until it has"
    )
    return msgspec.structs.replace(accepted, is_taken=is_taken, message=accepted.message + doubt)
