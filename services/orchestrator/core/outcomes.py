"""What an effect's outcome means for the engine it was performed for."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.fault import Fault, FaultCode
from schemas.states import FailureReason, RunState
from services.orchestrator.core.decision import Decision, conclude
from services.orchestrator.core.effects import (
    CommandStop,
    ContainerEffect,
    KillContainer,
    StartContainer,
    StopContainer,
)
from services.orchestrator.core.events import storable
from services.orchestrator.core.model import Engine, Session
from services.orchestrator.core.placement import HostLoad
from services.orchestrator.core.session import move


def done(engine: Engine, effect: ContainerEffect, now: datetime) -> Decision:
    """An effect was taken by whom it was sent to: notes how far the stop got."""
    session = _present(engine, effect)
    if session is None:
        return Decision(engine=engine, is_change=False)
    return conclude(engine, noted(session, effect, now), (), (), now)


def noted(session: Session, effect: ContainerEffect, now: datetime) -> Session:
    """The session whose stop got as far as this effect."""
    if session.stop is None:
        return session
    match effect:
        case CommandStop():
            stop = msgspec.structs.replace(session.stop, acknowledged_at=now)
        case StopContainer():
            stop = msgspec.structs.replace(session.stop, terminated_at=now)
        case KillContainer():
            stop = msgspec.structs.replace(session.stop, killed_at=now)
        case _:
            return session
    return msgspec.structs.replace(session, stop=stop)


def failed(
    engine: Engine, effect: ContainerEffect, fault: Fault, hosts: Sequence[HostLoad], now: datetime
) -> Decision:
    """An effect was refused or lost. A start that can never succeed ends its session; all else is tried again."""
    session = _present(engine, effect)
    if session is None or not isinstance(effect, StartContainer) or session.started_at is not None:
        return Decision(engine=engine, is_change=False)
    detail = storable(f"host {effect.host}: {fault.message}")
    if _may_pass(fault) or session.stop is not None:
        return conclude(engine, msgspec.structs.replace(session, detail=detail), (), hosts, now)
    reason = FailureReason.CONFIG if fault.code == FaultCode.INVALID else FailureReason.HOST
    return conclude(engine, move(session, RunState.FAILED, now, reason=reason, detail=detail), (), hosts, now)


def _may_pass(fault: Fault) -> bool:
    """True when trying again makes sense: `unavailable` without a time to try again is there to stay."""
    if fault.code == FaultCode.UNAVAILABLE:
        return fault.retry_after_s is not None
    return fault.code in (FaultCode.OUTCOME_UNKNOWN, FaultCode.BUSY)


def _present(engine: Engine, effect: ContainerEffect) -> Session | None:
    """The session that the effect was for, if it is the engine's present one and has not ended."""
    session = engine.session
    return session if session and session.session_id == effect.session_id and not session.is_over else None
