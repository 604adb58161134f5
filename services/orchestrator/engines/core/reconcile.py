"""What follows from what the record says and what is seen. Derived anew every time, so nothing is lost when we die in between.

A session that ended stays ended; what takes its place within the restart budget is a new one. See restarts.py.
"""

import signal
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import FailureReason, RunState
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core import silence
from flotilla.services.orchestrator.engines.core.brakes import as_heard, reminder
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude, recorded
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    Effect,
    LookAgain,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.ends import UNACCOUNTED_FOR
from flotilla.services.orchestrator.engines.core.events import MAX_SEQ, storable, storable_code
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.placement import HostLoad, place
from flotilla.services.orchestrator.engines.core.restarts import due
from flotilla.services.orchestrator.engines.core.session import MOVES, WITH_PROBLEMS, move
from flotilla.services.orchestrator.engines.core.sightings import Sight
from flotilla.services.orchestrator.engines.core.stop_flags import halt
from flotilla.services.orchestrator.engines.core.stopping import in_reach, next_look, stop_step, stop_time

FINAL_EVENT_GRACE: Final = timedelta(seconds=2)
"""How long the sidecar's own account of the end is waited for once its container is seen to be over."""
START_TIMEOUT: Final = timedelta(seconds=120)
ENDED_GRACE: Final = timedelta(seconds=10)
"""How long the container of a session that reported its end may still run."""
LATE_STOP: Final = timedelta(seconds=10)
"""What a session that came up although it was to stop has for it at least: it has only just begun."""
LINGERER_TIMEOUT_S: Final = 10.0
CONFIG_EXIT_CODE: Final = 78
_KILLED: Final = -signal.SIGKILL
_OVER: Final = (ContainerStatus.EXITED, ContainerStatus.GONE)
_HEARD: Final = (
    RunState.BOOTING,
    RunState.CONNECTING,
    RunState.RECONCILING,
    RunState.TRADING,
    RunState.IMPAIRED,
    RunState.MISMATCH,
    RunState.STOPPING,
)

type Step = tuple[Session, tuple[Effect, ...]]


def reconcile(engine: Engine, sight: Sight, hosts: Sequence[HostLoad], now: datetime) -> Decision | None:
    """The next decision about an engine; None when all is as it should be."""
    heard = as_heard(engine, sight.heartbeat, now)
    after = _reconciled(heard, sight, hosts, now)
    if heard == engine or (after is not None and after.is_change):
        return after
    changed = recorded(engine, Decision(engine=heard), now)
    is_news = (heard.brake, heard.losses.tripped) != (engine.brake, engine.losses.tripped)
    effects = after.effects if after else ()
    if is_news:
        return msgspec.structs.replace(changed, effects=(*effects, *changed.effects))
    # A peak that rises is kept, and is no news to anybody.
    kept = msgspec.structs.replace(changed.engine, updated_at=engine.updated_at)
    return msgspec.structs.replace(changed, engine=kept, effects=effects)


def _reconciled(engine: Engine, sight: Sight, hosts: Sequence[HostLoad], now: datetime) -> Decision | None:
    session = engine.session
    if sight.stop_flag is not None and (halted := halt(engine, sight, now)):
        return halted
    if session is None:
        return None
    if session.is_over:
        effects = tidy(session, sight.container, now) if sight.is_host_in_sight else ()
        if not _still_runs(sight.container):
            effects = (*effects, *due(engine, now))
        return Decision(engine=engine, effects=effects, is_change=False) if effects else None
    if ending := silence.ended_by_policy(engine, sight, now):
        engine, session = ending
        effects = (*stop_step(session, now), *next_look(session, now))
        return conclude(engine, session, effects, hosts, now)
    after, effects = _step(session, sight, hosts, now)
    effects = (*effects, *reminder(engine, sight.heartbeat))
    after, alerts = silence.told(engine, after, now)
    if after is session and not effects:
        return None
    return conclude(engine, after, (*effects, *alerts), hosts, now)


def tidy(session: Session, container: ContainerFacts | None, now: datetime) -> tuple[Effect, ...]:
    """What is to be done about the container of a session that has ended."""
    if container is None or container.status == ContainerStatus.GONE:
        return ()
    name = (session.instance_id, session.session_id, container.host)
    if container.status != ContainerStatus.RUNNING:
        return (RemoveContainer(*name),)
    if now - session.changed_at < ENDED_GRACE:
        return ()
    return (StopContainer(*name, LINGERER_TIMEOUT_S),)


def leftovers(
    containers: Iterable[ContainerFacts], on_record: Mapping[str, Session], now: datetime
) -> tuple[Effect, ...]:
    """What is to be done about containers of earlier sessions; those that nobody knows are orphans, see orphans.py."""
    effects: list[Effect] = []
    for container in containers:
        session = on_record.get(container.session_id)
        if session is not None and session.is_over:
            effects += tidy(session, container, now)
    return tuple(effects)


def _step(session: Session, sight: Sight, hosts: Sequence[HostLoad], now: datetime) -> Step:
    if session.state == RunState.SCHEDULED:
        return place(session, hosts, now)
    if _is_over(session, sight):
        return _ended(session, sight, now)
    if session.started_at is None and (step := _not_begun(session, sight, now)):
        return step
    if session.state in (RunState.UNKNOWN, RunState.SILENT):
        session = _heard_again(session, sight, now)
    if session.state != RunState.UNKNOWN and not sight.is_host_in_sight and sight.is_unheard:
        return move(session, RunState.UNKNOWN, now), ()
    if silent := silence.noticed(session, sight, now):
        return silent, ()
    return session, stop_step(session, now, sight.heartbeat)


def _is_over(session: Session, sight: Sight) -> bool:
    """True when the session's container has ended, or when it began and its host has no such container."""
    container = sight.container
    if container is not None and container.status == ContainerStatus.EXITED:
        return True
    if session.started_at is None:
        # Its start may be under way where nobody sees it. It is over when its host has called it off.
        return False
    # A sidecar that is still heard contradicts a list it is not on: the heartbeats decide, they go stale soon enough.
    return sight.heartbeat is None and _is_absent(sight)


def _still_runs(container: ContainerFacts | None) -> bool:
    """True while a session that ended has a container up, as far as we know: two of an engine never run side by side."""
    return container is not None and container.status == ContainerStatus.RUNNING


def _is_absent(sight: Sight) -> bool:
    if sight.container is None:
        return sight.is_host_in_sight and sight.is_listed
    return sight.container.status == ContainerStatus.GONE


def _not_begun(session: Session, sight: Sight, now: datetime) -> Step | None:
    """A session whose container was not seen running yet: seen now, or the start is sent once more."""
    container, host = sight.container, session.host or ""
    if sight.heartbeat is not None or (container is not None and container.status == ContainerStatus.RUNNING):
        began_at = container.started_at if container else None
        if session.stop is not None:
            begun = msgspec.structs.replace(session, started_at=began_at or wall(now))
            begun = in_reach(begun, LATE_STOP, now)
            return begun, (*stop_step(begun, now, sight.heartbeat), *next_look(begun, now))
        return move(session, RunState.BOOTING, now, at=began_at), ()
    if session.stop is not None or not sight.is_host_in_sight:
        return None
    if now - session.changed_at >= START_TIMEOUT:
        return _given_up(session, host)
    start = (StartContainer(session.instance_id, session.session_id, host),)
    if session.state == RunState.UNKNOWN:
        return move(session, RunState.CREATING, now), start
    return session, start


def _given_up(session: Session, host: str) -> Step:
    """A start that took too long fails once its host has called it off; what it is waiting for may still come up till then."""
    waited = f"host {host} did not start it within {START_TIMEOUT.total_seconds():.0f} s"
    if not (session.detail or "").startswith(waited):
        detail = f"{waited}: {session.detail}" if session.detail else waited
        session = msgspec.structs.replace(session, detail=detail)
    return session, (CallOff(session.instance_id, session.session_id, host),)


def _heard_again(session: Session, sight: Sight, now: datetime) -> Session:
    """An unknown or silent session that is heard is where its sidecar says; a stop that was asked for meanwhile goes on."""
    beat = sight.heartbeat
    if beat is None or beat.state not in _HEARD:
        return session
    state = RunState.STOPPING if session.stop else beat.state
    if state not in MOVES[session.state]:
        return session
    has_problems = state in WITH_PROBLEMS
    detail = storable("; ".join(beat.problems)) if has_problems else None
    return in_reach(move(session, state, now, detail=detail), stop_time(session), now)


def _ended(session: Session, sight: Sight, now: datetime) -> Step:
    container = sight.container
    is_killed = session.stop is not None and session.stop.is_forced
    has_run = session.started_at is not None or container is not None
    if has_run and not is_killed:
        if session.exit_seen_at is None:
            waiting = msgspec.structs.replace(session, exit_seen_at=now)
            return waiting, (LookAgain(session.instance_id, now + FINAL_EVENT_GRACE),)
        if now - session.exit_seen_at < FINAL_EVENT_GRACE:
            return session, ()
    # As the events themselves: a number that the record cannot hold would keep the end from it.
    told_seq = sight.last_seq if 0 <= sight.last_seq <= MAX_SEQ else 0
    ended = msgspec.structs.replace(_by_container(session, container, now), told_seq=told_seq)
    return ended, tidy(ended, container, now)


def _by_container(session: Session, container: ContainerFacts | None, now: datetime) -> Session:
    """How the session ended, as far as its container tells."""
    code = storable_code(container.exit_code) if container else None
    finished_at = container.finished_at if container else None
    detail = _exit_text(container)
    is_silenced = session.stop is not None and session.stop.is_for_silence
    is_failing = session.state == RunState.STOPPING and session.reason is not None
    is_asked = session.stop is not None or (session.state == RunState.STOPPING and not is_failing)
    doubts = () if _never_began(session, code) else (UNACCOUNTED_FOR,)
    if (is_asked and not is_silenced) or code == 0:
        facts = {"exit_code": code, "detail": detail, "not_confirmed": doubts, "is_provisional": True}
        return move(session, RunState.STOPPED, now, at=finished_at, **facts)
    return move(
        session,
        RunState.FAILED,
        now,
        at=finished_at,
        reason=session.reason if is_failing else _reason(session, container),
        exit_code=code,
        detail=f"{session.detail}; {detail}" if is_failing else detail,
        not_confirmed=doubts,
        is_provisional=True,
    )


def _never_began(session: Session, code: int | None) -> bool:
    """True when its sidecar ended before it looked for the bus, and so before there was an engine: only then does SIGTERM itself end it."""
    was_heard = session.state_seq > 0 or session.trading_at is not None
    return code in (-signal.SIGTERM, CONFIG_EXIT_CODE) and not was_heard


def _reason(session: Session, container: ContainerFacts | None) -> FailureReason:
    if session.stop is not None and session.stop.is_for_silence and session.silence is not None:
        return FailureReason.FROZEN
    if container is None:
        return FailureReason.CRASH
    if container.is_oom_killed:
        return FailureReason.OOM
    if container.exit_code == CONFIG_EXIT_CODE:
        return FailureReason.CONFIG
    if container.error and session.started_at is None:
        return FailureReason.HOST
    # Neither we nor its memory limit killed it: both are known above.
    return FailureReason.KILLED if container.exit_code == _KILLED else FailureReason.CRASH


def _exit_text(container: ContainerFacts | None) -> str:
    if container is None or container.status not in _OVER or container.exit_code is None:
        return "the container is gone"
    text = f"the container ended with exit code {container.exit_code}"
    if container.exit_code == _KILLED and not container.is_oom_killed:
        text += " (SIGKILL)"
    return f"{text}: {storable(container.error)}" if container.error else text
