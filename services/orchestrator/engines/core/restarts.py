"""Restarts that nobody asks for: only after failures that may pass, within a budget, each one later than the one before."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.alerts import ENGINE_RESTARTED, RESTART_BUDGET_SPENT
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from flotilla.services.orchestrator.engines.core.alerts import about_engine
from flotilla.services.orchestrator.engines.core.effects import Effect, LookAgain, StartAgain
from flotilla.services.orchestrator.engines.core.model import Engine, Session

MAY_PASS: Final = frozenset(
    {
        FailureReason.CRASH,
        FailureReason.KILLED,
        FailureReason.OOM,
        FailureReason.FROZEN,
        FailureReason.HOST,
        FailureReason.VENUE,
    }
)
"""What a new session may mend; what an operator, a configuration or a strategy did, it does not.

Who kills from outside may be the kernel of a host that is short of memory as well as a person, and nobody asked for a stop: within
its budget the engine is wanted back.
"""


def recent(engine: Engine, now: datetime) -> tuple[datetime, ...]:
    """The restarts that count against the budget."""
    return tuple(at for at in engine.restarts if now < until(engine, at))


def until(engine: Engine, made_at: datetime) -> datetime:
    """When a restart that was made at a time no longer counts; without a policy it never did."""
    policy = engine.restart_policy
    return made_at + timedelta(seconds=policy.window_s) if policy else made_at


def backoff(policy: RestartPolicy, made: int) -> timedelta:
    """How long the next restart waits after `made` of them: twice as long each time, up to a limit."""
    # 2**made alone would overflow a float for the largest budgets.
    return timedelta(seconds=min(policy.backoff_s * 2 ** min(made, 32), policy.max_backoff_s))


def is_owed(engine: Engine) -> bool:
    """True when the present session failed in a way that calls for another."""
    session = engine.session
    is_wanted = engine.desired == DesiredState.RUNNING and not engine.is_removed and engine.pending is None
    return is_wanted and session is not None and not was_asked(session) and _may_pass(session)


def was_asked(session: Session) -> bool:
    """True for a session that somebody ordered to end."""
    return session.stop is not None and not session.stop.is_for_silence


def plan(engine: Engine, was: Session | None, now: datetime) -> tuple[Engine, tuple[Effect, ...]]:
    """The engine once its session is over: with the time of its restart, or an alert that its budget is spent.

    `was` is the session before this change: what was decided about its failure already stays so.
    """
    if not is_owed(engine):
        return msgspec.structs.replace(engine, restart_at=None), ()
    policy = engine.restart_policy
    is_decided = engine.restart_at is not None or (was is not None and was.is_over and _may_pass(was))
    if is_decided or policy is None or policy.max_restarts == 0:
        return engine, ()
    made = recent(engine, now)
    if len(made) >= policy.max_restarts:
        return engine, (_spent(engine, policy, now),)
    at = now + backoff(policy, len(made))
    return msgspec.structs.replace(engine, restart_at=at), (LookAgain(engine.instance_id, at),)


def due(engine: Engine, now: datetime) -> tuple[Effect, ...]:
    """The restart of an engine whose session is over, once its time has come."""
    session = engine.session
    if session is None or engine.restart_at is None or now < engine.restart_at or not is_owed(engine):
        return ()
    return (StartAgain(engine.instance_id, session.session_id),)


def standing_alerts(engine: Engine, now: datetime) -> tuple[Effect, ...]:
    """The alerts that go with what is on record, for whoever takes over from one that died before they were told."""
    session, policy = engine.session, engine.restart_policy
    if session is None or policy is None or policy.max_restarts == 0:
        return ()
    if is_owed(engine) and engine.restart_at is None:
        return (_spent(engine, policy, now),)
    # A start that somebody asked for forgets them: the present session is the last that was begun unasked.
    return (restarted(engine, policy, now),) if engine.restarts else ()


def restarted(engine: Engine, policy: RestartPolicy, now: datetime) -> Effect:
    """The alert that an engine begins another session without being asked."""
    message = (
        f"engine {engine.instance_id} failed and is started again: restart {len(engine.restarts)} of at most"
        f" {policy.max_restarts} within {policy.window_s:g} s"
    )
    return about_engine(engine, ENGINE_RESTARTED, message, now)


def _may_pass(session: Session) -> bool:
    is_silenced = session.is_over and session.stop is not None and session.stop.is_for_silence
    return is_silenced or (session.state == RunState.FAILED and session.reason in MAY_PASS)


def _spent(engine: Engine, policy: RestartPolicy, now: datetime) -> Effect:
    reason = engine.session.reason if engine.session else None
    message = (
        f"engine {engine.instance_id} failed ({reason}) after {policy.max_restarts} restarts within"
        f" {policy.window_s:g} s: it stays down until somebody starts it"
    )
    return about_engine(engine, RESTART_BUDGET_SPENT, message, now)
