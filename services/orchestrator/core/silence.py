"""Engines that are not heard while their containers are up: noticed, told, and ended where their policy says so."""

from datetime import datetime
from typing import Final

import msgspec

from schemas.session import ContainerStatus
from schemas.states import DesiredState, RunState, SilencePolicy
from schemas.telemetry import Severity
from services.orchestrator.core.alerts import about_engine
from services.orchestrator.core.effects import Effect
from services.orchestrator.core.live import SILENT_AFTER, Sight
from services.orchestrator.core.model import Engine, Session
from services.orchestrator.core.session import MOVES, move
from services.orchestrator.core.stopping import order_stop

DETAIL: Final = f"no heartbeat for {SILENT_AFTER.total_seconds():.0f} s while its container is up"


def noticed(session: Session, sight: Sight, now: datetime) -> Session | None:
    """The session that has fallen silent, if it has. A stop that was ordered has a bound of its own."""
    if not (sight.is_mute and sight.is_host_in_sight and _is_up(sight)) or session.stop is not None:
        return None
    return (
        move(session, RunState.SILENT, now, detail=DETAIL)
        if RunState.SILENT in MOVES[session.state]
        else None
    )


def ended_by_policy(engine: Engine, sight: Sight, now: datetime) -> tuple[Engine, Session] | None:
    """The engine whose policy ends its silent session, and that session with the stop on order; None where it only reports."""
    session, policy = engine.session, policy_of(engine)
    if session is None or session.state != RunState.SILENT or policy == SilencePolicy.REPORT:
        return None
    if sight.heartbeat is not None or session.stop is not None or not sight.is_host_in_sight:
        return None
    if not _is_up(sight):
        return None  # It has ended by itself, and its container tells how.
    ordered = order_stop(session, None, is_forced=False, now=now)
    if ordered.stop is not None:
        ordered = msgspec.structs.replace(
            ordered, stop=msgspec.structs.replace(ordered.stop, is_for_silence=True)
        )
    if policy == SilencePolicy.STOP:
        engine = msgspec.structs.replace(engine, desired=DesiredState.STOPPED)
    return engine, ordered


def alerts(engine: Engine, after: Session, now: datetime) -> tuple[Effect, ...]:
    """What people are told when a session falls silent, and when it is heard again."""
    before = engine.session
    if before is None or before.state == after.state:
        return ()
    key = f"{after.session_id}-{now.timestamp():.0f}"
    if after.state == RunState.SILENT:
        message = f"engine {engine.instance_id} is silent: {DETAIL}; what follows: {policy_of(engine)}"
        return (about_engine(engine, Severity.CRITICAL, "silent", message, now, key=key),)
    if before.state == RunState.SILENT and after.state != RunState.UNKNOWN and not after.is_over:
        if after.stop is not None:
            return ()
        message = f"engine {engine.instance_id} is heard again: it is {after.state}"
        return (about_engine(engine, Severity.INFO, "heard_again", message, now, key=key),)
    return ()


def _is_up(sight: Sight) -> bool:
    return sight.container is not None and sight.container.status == ContainerStatus.RUNNING


def policy_of(engine: Engine) -> SilencePolicy:
    """What follows its silence."""
    return engine.restart_policy.on_silence if engine.restart_policy else SilencePolicy.REPORT
