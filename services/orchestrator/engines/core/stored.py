"""What is decided about an engine that is not started by it: its stored configuration, and whether it is known at all."""

from datetime import datetime

import msgspec

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import DesiredState
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.answers import accepted
from flotilla.services.orchestrator.engines.core.decision import Decision, recorded
from flotilla.services.orchestrator.engines.core.model import Engine, new_engine


def configure(engine: Engine | None, config: EngineConfig, *, request_id: str, now: datetime) -> Decision:
    """The configuration stored for the engine's next start or restart; one that is active goes on with the one it has."""
    if engine is None:
        changed, message = new_engine(config, now), "has a configuration, used by its first start"
    else:
        changed = msgspec.structs.replace(engine, configured=config, removed_at=None)
        message = "has a new configuration, used by its next start"
    reply = accepted(changed, request_id, message, None)
    reply = msgspec.structs.replace(reply, config=config, started_at=None)
    return recorded(engine, Decision(engine=changed, reply=reply), now)


def remove(engine: Engine, *, request_id: str, now: datetime) -> Decision:
    """An engine that nobody sees any more; its sessions and events stay. Raises FaultError `conflict` while it is active."""
    if engine.is_active and engine.session is not None:
        raise fault(
            FaultCode.CONFLICT,
            f"engine {engine.instance_id} is active: session {engine.session.session_id} is"
            f" {engine.session.state}; stop it first",
        )
    removed = msgspec.structs.replace(
        engine,
        desired=DesiredState.STOPPED,
        removed_at=wall(now),
        configured=None,
        restart_at=None,
        restarts=(),
    )
    reply = accepted(removed, request_id, "is removed", None)
    return recorded(
        engine, Decision(engine=removed, reply=msgspec.structs.replace(reply, started_at=None)), now
    )
