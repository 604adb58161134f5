"""How a stop is carried through: a start is called off, a sidecar is asked, then SIGTERM, then SIGKILL, all within its bound."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import Heartbeat
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    Effect,
    KillContainer,
    LookAgain,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.model import OrderedStop, Session
from flotilla.services.orchestrator.engines.core.session import MOVES, move

COMMAND_PATIENCE: Final = timedelta(seconds=5)
"""How long a sidecar may leave a stop unanswered."""
KILL_AFTER: Final = timedelta(seconds=3)
"""By how much a session may pass its time: its sidecar kills an engine that is late, and tells so."""
LEAST_TERMINATION_S: Final = 2.0
SUPERVISOR_GRACE: Final = timedelta(seconds=2)
"""By how much a session may outlive its supervisor's deadline before we kill it ourselves."""
LAST_EVENTS: Final = timedelta(seconds=1.5)
"""What a sidecar that reports its engine's end gets besides, to deliver the last events. That it has ended is only what it
says: a claim puts the kill off by no more than this, so that every stop ends within its template's time and five seconds."""
KILL_AGAIN: Final = timedelta(seconds=10)


def order_stop(session: Session, policy: StopPolicy | None, *, is_forced: bool, now: datetime) -> Session:
    """The session with a stop on order; a forced one takes the place of one that is under way, any other of one that a policy set."""
    order = session.stop
    if order is None or (is_forced and not order.is_forced):
        asked = order.asked_at if order else now
        order = OrderedStop(asked_at=asked, policy=policy or session.stop_policy, is_forced=is_forced)
    elif order.is_for_silence:
        order = msgspec.structs.replace(order, is_for_silence=False)
    session = msgspec.structs.replace(session, stop=order)
    is_out_of_sight = session.state == RunState.UNKNOWN
    if RunState.STOPPING in MOVES[session.state] and not is_out_of_sight:
        return move(session, RunState.STOPPING, now)
    return session


def in_reach(session: Session, least: timedelta, now: datetime) -> Session:
    """The session, whose sidecar can be told from now on. It has until the end of its time, and `least` in any case."""
    order = session.stop
    if order is None or order.acknowledged_at is not None or order.terminated_at is not None:
        return session
    until = max(order.asked_at + stop_time(session), now + min(least, stop_time(session)))
    return msgspec.structs.replace(session, stop=msgspec.structs.replace(order, in_reach_at=now, until=until))


def stop_step(session: Session, now: datetime, heartbeat: Heartbeat | None = None) -> tuple[Effect, ...]:
    """What is to be done now about the stop on order; the same again until it is known to have been taken.

    No signal is sent to a sidecar that was not asked first, and none at all for a start that can still be called off.
    """
    order, host = session.stop, session.host
    if order is None or host is None:
        return ()
    name = (session.instance_id, session.session_id)
    if session.started_at is None:
        return (CallOff(*name, host),)
    kill_at = now if order.is_forced else _kill_at(session, order)
    if kill_at is not None and now >= kill_at:
        last = timedelta(0) if order.is_forced or not _delivers(heartbeat) else LAST_EVENTS
        return _kill_step(session, order, host, kill_at + last, now)
    if order.terminated_at is not None or order.acknowledged_at is not None:
        return ()
    if now - _began(order) >= COMMAND_PATIENCE:
        return (StopContainer(*name, host, _termination(session, order).total_seconds()),)
    return (CommandStop(*name, order.policy, _until(session, order)),)


def ask_again(session: Session) -> tuple[Effect, ...]:
    """The question whether its engine has taken the stop by now, for whoever orders it again; asking the sidecar again changes nothing."""
    order = session.stop
    if order is None or order.acknowledged_at is None or order.taken_at is not None or session.is_over:
        return ()
    return (CommandStop(session.instance_id, session.session_id, order.policy, _until(session, order)),)


def is_taken(session: Session) -> bool:
    """True once no order that opens or adds can leave the session any more: its engine said so, or it was seen to have ended."""
    if session.is_over:
        return not session.is_given_up
    return session.stop is not None and session.stop.taken_at is not None


def _kill_step(
    session: Session, order: OrderedStop, host: str, kill_at: datetime, now: datetime
) -> tuple[Effect, ...]:
    if now < kill_at:
        return (LookAgain(session.instance_id, kill_at),)
    is_due = order.killed_at is None or now - order.killed_at >= KILL_AGAIN
    return (KillContainer(session.instance_id, session.session_id, host),) if is_due else ()


def next_look(session: Session, now: datetime) -> tuple[Effect, ...]:
    """The moment at which the stop on order goes on by itself, so that its bound does not wait for a round."""
    order = session.stop
    if order is None or session.started_at is None or session.is_over:
        return ()
    at = _kill_at(session, order) or _began(order) + COMMAND_PATIENCE
    return (LookAgain(session.instance_id, at),) if at > now else ()


def stop_time(session: Session) -> timedelta:
    """What the session's template gives it for a stop."""
    return timedelta(seconds=session.stop_timeout_s)


def _delivers(heartbeat: Heartbeat | None) -> bool:
    """True for a sidecar that says that its engine has ended: a kill loses the events that it still delivers."""
    return heartbeat is not None and heartbeat.state.is_terminal


def _kill_at(session: Session, order: OrderedStop) -> datetime | None:
    """When the session is killed if all that was done about its stop has led nowhere; None before it was told."""
    if order.terminated_at is not None:
        # The supervisor kills a little earlier; this is for one that did not live to do it.
        return order.terminated_at + _termination(session, order) + SUPERVISOR_GRACE
    if order.acknowledged_at is not None:
        return max(_until(session, order), order.acknowledged_at) + KILL_AFTER
    return None


def _began(order: OrderedStop) -> datetime:
    return order.in_reach_at or order.asked_at


def _until(session: Session, order: OrderedStop) -> datetime:
    return order.until or order.asked_at + stop_time(session)


def _termination(session: Session, order: OrderedStop) -> timedelta:
    """From SIGTERM to SIGKILL: what is left of its time once asking it led nowhere."""
    left = _until(session, order) + KILL_AFTER - (_began(order) + COMMAND_PATIENCE)
    return max(left, timedelta(seconds=min(session.stop_timeout_s, LEAST_TERMINATION_S)))
