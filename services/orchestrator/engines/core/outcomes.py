"""What an effect's outcome means for the engine it was performed for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.fault import Fault, FaultCode
from flotilla.schemas.states import FailureReason, RunState
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    ContainerEffect,
    KillContainer,
    LookAgain,
    StartContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.events import storable
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.placement import HostLoad
from flotilla.services.orchestrator.engines.core.session import move
from flotilla.services.orchestrator.engines.core.stopping import next_look

CALLED_OFF: Final = "stopped before it began"
SIGNAL_AGAIN: Final = timedelta(milliseconds=300)
"""A signal that its host did not take is not left to the next round: the engine trades on, and its supervisor may be back."""


def done(engine: Engine, effect: ContainerEffect, now: datetime, *, is_taken: bool = False) -> Decision:
    """An effect was taken by whom it was sent to: notes how far the stop got. A start that was called off ends its session.

    `is_taken`: the engine itself has taken the stop, and not only its sidecar.
    """
    session = _present(engine, effect)
    if session is None:
        return Decision(engine=engine, is_change=False)
    if isinstance(effect, CallOff):
        return conclude(engine, _called_off(session, now), (), (), now)
    after = noted(session, effect, now, is_taken=is_taken)
    return conclude(engine, after, next_look(after, now) if after is not session else (), (), now)


def noted(session: Session, effect: ContainerEffect, now: datetime, *, is_taken: bool = False) -> Session:
    """The session whose stop got as far as this effect."""
    if session.stop is None:
        return session
    match effect:
        case CommandStop():
            acknowledged, taken = session.stop.acknowledged_at or now, session.stop.taken_at
            taken = now if is_taken and taken is None else taken
            stop = msgspec.structs.replace(session.stop, acknowledged_at=acknowledged, taken_at=taken)
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
    if session is not None and isinstance(effect, StopContainer | KillContainer):
        again = LookAgain(session.instance_id, now + SIGNAL_AGAIN)
        return Decision(engine=engine, effects=(again,), is_change=False)
    if session is None or not isinstance(effect, StartContainer) or session.started_at is not None:
        return Decision(engine=engine, is_change=False)
    detail = storable(f"host {effect.host}: {fault.message}")
    if _may_pass(fault) or session.stop is not None:
        return conclude(engine, msgspec.structs.replace(session, detail=detail), (), hosts, now)
    reason = FailureReason.CONFIG if fault.code == FaultCode.INVALID else FailureReason.HOST
    return conclude(engine, move(session, RunState.FAILED, now, reason=reason, detail=detail), (), hosts, now)


def _called_off(session: Session, now: datetime) -> Session:
    """The end of a session that never began, so that nothing about it is in doubt."""
    if session.started_at is not None:
        # It was seen to run. How it ended its container tells, or that there is none.
        return session
    if session.stop is not None:
        return move(session, RunState.STOPPED, now, detail=CALLED_OFF)
    return move(session, RunState.FAILED, now, reason=FailureReason.HOST, detail=session.detail)


def _may_pass(fault: Fault) -> bool:
    """True when trying again makes sense: what names no time to try again is there to stay."""
    return fault.retry_after_s is not None or fault.code in (FaultCode.OUTCOME_UNKNOWN, FaultCode.BUSY)


def _present(engine: Engine, effect: ContainerEffect) -> Session | None:
    """The session that the effect was for, if it is the engine's present one and has not ended."""
    session = engine.session
    return session if session and session.session_id == effect.session_id and not session.is_over else None
