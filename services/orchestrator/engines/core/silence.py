"""Engines that are not heard while their containers are up: noticed, told, and ended where their policy says so."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.alerts import HEARD_AGAIN, SILENT
from flotilla.schemas.heartbeats import ENGINE_SILENT_AFTER
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import DesiredState, RunState, SilencePolicy
from flotilla.services.orchestrator.engines.core.alerts import about_engine
from flotilla.services.orchestrator.engines.core.effects import Effect
from flotilla.services.orchestrator.engines.core.model import Engine, Session, Silence
from flotilla.services.orchestrator.engines.core.session import MOVES, move
from flotilla.services.orchestrator.engines.core.sightings import Sight
from flotilla.services.orchestrator.engines.core.stopping import order_stop

DETAIL: Final = f"no heartbeat for {ENGINE_SILENT_AFTER.total_seconds():.0f} s while its container is up"

CALM: Final = timedelta(seconds=300)
"""How long an engine that fell silent more than once must be heard until people are told that it is."""


def noticed(session: Session, sight: Sight, now: datetime) -> Session | None:
    """The session that has fallen silent, if it has. A stop that was ordered has a bound of its own."""
    if not (sight.is_silent and sight.is_host_in_sight and _is_up(sight)) or session.stop is not None:
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
    return ended(engine, session, policy, now)


def ended(engine: Engine, session: Session, policy: SilencePolicy, now: datetime) -> tuple[Engine, Session]:
    """The engine whose policy ends its session, and that session with the stop on order."""
    ordered = order_stop(session, None, is_forced=False, now=now)
    if ordered.stop is not None:
        ordered = msgspec.structs.replace(
            ordered, stop=msgspec.structs.replace(ordered.stop, is_for_silence=True)
        )
    if policy == SilencePolicy.STOP:
        engine = msgspec.structs.replace(engine, desired=DesiredState.STOPPED)
    return engine, ordered


def told(engine: Engine, after: Session, now: datetime) -> tuple[Session, tuple[Effect, ...]]:
    """The session with what people are told of its silence, and that. Bad news is told at once; one that falls silent again and
    again is not called well between, but once it was heard for CALM, with how often it was not.

    The alert of a session that ends meanwhile is closed with its end: see ends.py.
    """
    before = after.silence
    if after.is_over or (before is None and after.state != RunState.SILENT):
        return after, ()
    if after.state == RunState.SILENT:
        return _fallen(engine, after, before, now)
    is_heard = after.state != RunState.UNKNOWN and after.stop is None
    if before is None or not before.is_open or not is_heard:
        return after, ()
    heard_at = before.heard_at or now
    is_well = before.times == 1 or now - heard_at >= CALM
    silence = msgspec.structs.replace(before, heard_at=heard_at, is_open=not is_well)
    again = msgspec.structs.replace(after, silence=silence)
    if not is_well:
        return again, ()
    often = (
        f", for {CALM.total_seconds():.0f} s; it was silent {before.times} times" if before.times > 1 else ""
    )
    message = f"engine {engine.instance_id} is heard again{often}: it is {after.state}"
    key = _key(after, now)
    return again, (about_engine(engine, HEARD_AGAIN, message, now, key=key),)


def _fallen(
    engine: Engine, after: Session, before: Silence | None, now: datetime
) -> tuple[Session, tuple[Effect, ...]]:
    if before is not None and before.heard_at is None:
        return after, ()
    is_repeated = before is not None and before.heard_at is not None and now - before.heard_at < CALM
    times = before.times + 1 if before is not None and is_repeated else 1
    silent = msgspec.structs.replace(after, silence=Silence(times=times))
    if before is not None and is_repeated and before.is_open:
        return silent, ()
    return silent, (_silent(engine, silent, times, now),)


def standing(engine: Engine, now: datetime) -> tuple[Effect, ...]:
    """The alert that goes with the silence on record, for whoever takes over from one that died before it was told."""
    session = engine.session
    if session is None or session.state != RunState.SILENT or session.silence is None:
        return ()
    # The third time and later ones are not told.
    return (_silent(engine, session, session.silence.times, now),) if session.silence.times <= 2 else ()


def _silent(engine: Engine, session: Session, times: int, now: datetime) -> Effect:
    often = f" again within {CALM.total_seconds():.0f} s, {times} times by now" if times > 1 else ""
    message = f"engine {engine.instance_id} is silent{often}: {DETAIL}; what follows: {policy_of(engine)}"
    key = _key(session, session.changed_at)
    return about_engine(engine, SILENT, message, now, key=key)


def _key(session: Session, at: datetime) -> str:
    return f"{session.session_id}-{at.timestamp():.0f}"


def _is_up(sight: Sight) -> bool:
    return sight.container is not None and sight.container.status == ContainerStatus.RUNNING


def policy_of(engine: Engine) -> SilencePolicy:
    """What follows its silence."""
    return engine.restart_policy.on_silence if engine.restart_policy else SilencePolicy.REPORT
