"""How a stop is carried through: the sidecar is asked, then SIGTERM, then SIGKILL."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.states import RunState, StopPolicy
from services.orchestrator.core.effects import CommandStop, Effect, KillContainer, StopContainer
from services.orchestrator.core.model import Session, StopOrder
from services.orchestrator.core.session import MOVES, move

COMMAND_PATIENCE: Final = timedelta(seconds=5)
"""How long a sidecar may leave a stop unanswered, and by how much a stop may pass its time."""
OVERDUE_TERMINATION_S: Final = 10.0
KILL_AGAIN: Final = timedelta(seconds=10)


def order_stop(session: Session, policy: StopPolicy | None, *, is_forced: bool, now: datetime) -> Session:
    """The session with a stop on order; a forced one takes the place of one that is under way."""
    order = session.stop
    if order is None or (is_forced and not order.is_forced):
        asked = order.asked_at if order else now
        order = StopOrder(asked_at=asked, policy=policy or session.stop_policy, is_forced=is_forced)
    session = msgspec.structs.replace(session, stop=order)
    is_out_of_sight = session.state == RunState.UNKNOWN
    if RunState.STOPPING in MOVES[session.state] and not is_out_of_sight:
        return move(session, RunState.STOPPING, now)
    return session


def stop_step(session: Session, now: datetime) -> tuple[Effect, ...]:
    """What is to be done now about the stop on order; the same again until it is known to have been taken."""
    order, host = session.stop, session.host
    if order is None or host is None:
        return ()
    name = (session.instance_id, session.session_id)
    if order.is_forced or _is_past_termination(session, order, now):
        is_due = order.killed_at is None or now - order.killed_at >= KILL_AGAIN
        return (KillContainer(*name, host),) if is_due else ()
    if order.terminated_at is None and _is_deaf(session, order, now):
        overdue = order.acknowledged_at is not None
        return (StopContainer(*name, host, OVERDUE_TERMINATION_S if overdue else session.stop_timeout_s),)
    if order.acknowledged_at is None and order.terminated_at is None:
        return (CommandStop(*name, order.policy),)
    return ()


def _is_deaf(session: Session, order: StopOrder, now: datetime) -> bool:
    """True when asking the sidecar has led nowhere: it never ran, never answered, or did not finish."""
    if session.started_at is None:
        return True
    if order.acknowledged_at is None:
        return now - order.asked_at >= COMMAND_PATIENCE
    return now - order.acknowledged_at >= timedelta(seconds=session.stop_timeout_s) + COMMAND_PATIENCE


def _is_past_termination(session: Session, order: StopOrder, now: datetime) -> bool:
    if order.terminated_at is None:
        return False
    return now - order.terminated_at >= timedelta(seconds=session.stop_timeout_s) + COMMAND_PATIENCE
