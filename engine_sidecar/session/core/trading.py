"""What is watched while an engine trades: whether it may, by its lease, and whether it does, by its measure."""

from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import GoOn, Reduce
from flotilla.engine_sidecar.link.messages import Effect, LeaseRenewed, Observed, Publish, Send, StopAsked
from flotilla.engine_sidecar.session.core import lease as leases
from flotilla.engine_sidecar.session.core.alarm import sounded
from flotilla.engine_sidecar.session.core.ending import stop
from flotilla.engine_sidecar.session.core.facts import Session, Step, alert
from flotilla.engine_sidecar.session.core.problems import notes, problems
from flotilla.schemas.states import RunState, StopPolicy, TradingMode
from flotilla.schemas.telemetry import Severity, StateChange

UP: Final = (RunState.TRADING, RunState.IMPAIRED)
"""The states of an engine whose start is done."""


def lease_renewed(session: Session, message: LeaseRenewed, now: float) -> Step:
    """The lease lasts on; an engine that had lost it trades freely again."""
    before = session.lease
    if before is None:
        return session, ()
    after = leases.renewed(before, message.token, message.ttl_s, now, message.as_of_s)
    session = msgspec.structs.replace(session, lease=after)
    if not before.is_lost or after.is_lost:
        return session, ()
    text = "the lease on its accounts was renewed: it trades freely again"
    return session, (alert(Severity.INFO, "lease_regained", text), Send(GoOn()))


def check_lease(session: Session, now: float) -> Step:
    """Without a lease an engine reduces, and after a grace it is stopped, its orders cancelled."""
    lease = session.lease
    if lease is None or session.is_stop_asked or now <= lease.until:
        return session, ()
    if not lease.is_lost:
        session = msgspec.structs.replace(session, lease=msgspec.structs.replace(lease, is_lost=True))
        left_s = lease.stop_at - lease.until
        text = (
            f"the lease on its accounts was not renewed: it only reduces now, and is stopped in {left_s:g} s"
        )
        return session, (alert(Severity.CRITICAL, "lease_lost", text), Send(Reduce()))
    if now <= lease.stop_at:
        return session, ()
    cause = "the lease on its accounts was not renewed"
    session = msgspec.structs.replace(session, stop_cause=cause)
    return stop(session, StopAsked(StopPolicy.CANCEL), cause, now)


def observed(session: Session, message: Observed, now: float) -> Step:
    """Problems that last from one measure to the next impair the engine; when they have gone, it trades again."""
    limit_s = session.spec.stale_feed_after_s
    found = problems(message.metrics, stale_feed_after_s=limit_s, at_rest=session.at_rest)
    # Seen once it may be a moment's: a strategy that is being started, a client that connects again.
    lasting = tuple(problem for problem in found if problem in session.suspected)
    said = notes(message.metrics, stale_feed_after_s=limit_s)
    session = msgspec.structs.replace(session, suspected=found, notes=said)
    if session.state not in UP:
        return msgspec.structs.replace(session, problems=()), ()
    return _judge(session, lasting, now)


def begun(session: Session, now: float) -> Step:
    """The engine says that its start is done: it trades unless its measure, which comes just before, says otherwise."""
    session = msgspec.structs.replace(session, state=RunState.TRADING)
    if not session.suspected:
        return session, (Publish(StateChange(state=RunState.TRADING)),)
    return _judge(session, session.suspected, now)


def _judge(session: Session, lasting: tuple[str, ...], now: float) -> Step:
    effects: list[Effect] = []
    if lasting != session.problems:
        state = RunState.IMPAIRED if lasting else RunState.TRADING
        session = msgspec.structs.replace(session, problems=lasting, state=state)
        effects.append(Publish(StateChange(state=state, detail="; ".join(lasting))))
    alarm, alerts = sounded(session.alarm, lasting, _gravity(session), now)
    return msgspec.structs.replace(session, alarm=alarm), (*effects, *alerts)


def _gravity(session: Session) -> Severity:
    return Severity.CRITICAL if session.spec.trading_mode == TradingMode.LIVE else Severity.WARNING
