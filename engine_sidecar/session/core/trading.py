"""What is watched while an engine trades: whether it may, by its lease and its brake, and whether it does, by its measure."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import GoOn, HoldLease, PutBrake, Reduce
from flotilla.engine_sidecar.link.messages import Effect, LeaseRenewed, Observed, Publish, Send, StopAsked
from flotilla.engine_sidecar.session.core import losses
from flotilla.engine_sidecar.session.core.ending import stop
from flotilla.engine_sidecar.session.core.facts import Alarm, Session, Step, alert, renewed
from flotilla.schemas.alerts import IMPAIRED, LEASE_LOST, LEASE_REGAINED, TRADING_AGAIN
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.states import RunState, StopPolicy, TradingMode
from flotilla.schemas.telemetry import EngineMetrics, QuietData, StateChange

CALM_S: Final = 300.0
"""How long an engine that was impaired more than once must trade until people are told that it does."""

type Sounded = tuple[Alarm | None, tuple[Publish, ...]]


def sounded(alarm: Alarm | None, problems: tuple[str, ...], now: float, *, is_live: bool) -> Sounded:
    """The alarm at `now` (monotonic s) while these are the problems, and the alerts that go with that."""
    if problems:
        return _impaired(alarm, problems, now, is_live=is_live)
    if alarm is None or not alarm.is_open:
        return alarm, ()
    well_since = now if alarm.well_since is None else alarm.well_since
    is_well = alarm.times == 1 or now - well_since >= CALM_S
    after = msgspec.structs.replace(alarm, well_since=well_since, is_open=not is_well)
    if not is_well:
        return after, ()
    often = f" for {CALM_S:g} s, after {alarm.times} times" if alarm.times > 1 else ""
    text = f"no longer so{often}: {'; '.join(alarm.told)}"
    return after, (alert(TRADING_AGAIN, text),)


def _impaired(alarm: Alarm | None, problems: tuple[str, ...], now: float, *, is_live: bool) -> Sounded:
    if alarm is None or (alarm.well_since is not None and now - alarm.well_since >= CALM_S):
        return Alarm(told=problems), (alert(IMPAIRED, "; ".join(problems), is_critical=is_live),)
    is_again = alarm.well_since is not None
    times = alarm.times + 1 if is_again else alarm.times
    known = alarm.told if alarm.is_open else ()
    new = tuple(problem for problem in problems if problem not in known)
    after = Alarm(told=(*known, *new)[-MOST_TOLD:], times=times)
    if not new:
        return after, ()
    often = f"again within {CALM_S:g} s, {times} times by now: " if is_again else ""
    return after, (alert(IMPAIRED, f"{often}{'; '.join(new)}", is_critical=is_live),)


MOST_PROBLEMS: Final = 20
MOST_CHARACTERS: Final = 300
"""Of one problem. An engine names its strategies as it likes, and what it says must fit into a heartbeat."""
MOST_TOLD: Final = 200
BAR_GRACE_S: Final = 30.0
"""How much later than its interval a bar may come where the market is known to be open and nobody gave a limit."""
NOTED_AFTER_S: Final = 30.0
_UNWATCHED: Final = "the loss limits are not watched: "
_AT_WORK: Final = ("RUNNING", "STARTING", "RESUMING")


def problems(
    metrics: EngineMetrics, *, stale_feed_after_s: float | None, at_rest: Collection[str] = ()
) -> tuple[str, ...]:
    """Each problem in words that stay the same while it lasts. `at_rest` are strategies that somebody stopped on purpose.

    `stale_feed_after_s` is how long data may be silent, where the operator or the template says so.
    """
    found = [
        f"strategy {name} is {state}"
        for name, state in metrics.strategies.items()
        if state not in _AT_WORK and name not in at_rest
    ]
    found += metrics.not_loaded
    found += metrics.not_compared
    found += [f"{client} is not connected" for client in metrics.not_connected]
    if metrics.equity is not None and metrics.equity.amount is None:
        found.append(f"{_UNWATCHED}{', '.join(metrics.equity.unknown)}")
    for feed in metrics.feeds:
        found += [f"the replay of {feed.venue} has no {what}" for what in feed.not_there]
        if feed.is_finished:
            found.append(f"the replay of {feed.venue} is through: no more data comes")
    found += [
        f"no {quiet.what} for more than {limit_s:g} s"
        for quiet, limit_s in _judged(metrics, stale_feed_after_s)
        if limit_s is not None and quiet.age_s > limit_s
    ]
    return _few(found)


def notes(metrics: EngineMetrics, *, stale_feed_after_s: float | None) -> tuple[str, ...]:
    """What is quiet while nobody knows whether it should be: how long, and nothing more."""
    return _few(
        f"no {quiet.what} for {quiet.age_s:.0f} s"
        for quiet, limit_s in _judged(metrics, stale_feed_after_s)
        if limit_s is None and quiet.age_s > NOTED_AFTER_S + quiet.interval_s
    )


def _few(found: Iterable[str]) -> tuple[str, ...]:
    """The first of them, each cut."""
    return tuple(text[:MOST_CHARACTERS] for text in islice(found, MOST_PROBLEMS))


def _judged(
    metrics: EngineMetrics, stale_feed_after_s: float | None
) -> Iterator[tuple[QuietData, float | None]]:
    """What is quiet while its market is not known to be closed, and the limit of its silence if it has one."""
    for feed in metrics.feeds:
        for quiet in feed.quiet:
            if quiet.is_market_open is not False:
                yield quiet, _limit_s(quiet, stale_feed_after_s)


def _limit_s(quiet: QuietData, stale_feed_after_s: float | None) -> float | None:
    if stale_feed_after_s is not None:
        return quiet.interval_s + stale_feed_after_s
    if quiet.interval_s and quiet.is_market_open:
        return quiet.interval_s + BAR_GRACE_S
    return None


UP: Final = (RunState.TRADING, RunState.IMPAIRED)
"""The states of an engine whose start is done."""


def lease_renewed(session: Session, message: LeaseRenewed, now: float) -> Step:
    """The lease lasts on; an engine that had lost it trades freely again, as far as its brake allows."""
    before = session.lease
    if before is None:
        return session, ()
    after = renewed(before, message.token, message.ttl_s, now, message.as_of_s)
    if after is before:
        return session, ()
    freed = msgspec.structs.replace(session, lease=after)
    held = (Send(HoldLease(after.until)),) if session.is_forked and after.until > before.until else ()
    if not before.is_lost:
        return freed, held
    braked = f", but the engine is {freed.brake.text}" if freed.brake.is_on else ": it trades freely again"
    if freed.is_reduced:
        braked = ", but no orchestrator that hears the engine is known: it only reduces"
    go_on = () if freed.is_reduced else (Send(GoOn()),)
    text = f"the lease on its accounts was renewed{braked}"
    freed, said = judged_anew(freed, session, now)
    return freed, (alert(LEASE_REGAINED, text), *held, *go_on, *said)


def check_lease(session: Session, now: float) -> Step:
    """Without a lease an engine reduces, and after a grace it is stopped, its orders cancelled."""
    lease = session.lease
    if lease is None or session.is_stop_asked or now <= lease.until:
        return session, ()
    if not lease.is_lost:
        lost = msgspec.structs.replace(session, lease=msgspec.structs.replace(lease, is_lost=True))
        left_s = lease.stop_at - lease.until
        text = (
            f"the lease on its accounts was not renewed: it only reduces now, and is stopped in {left_s:g} s"
        )
        lost, said = judged_anew(lost, session, now)
        return lost, (alert(LEASE_LOST, text), Send(Reduce()), *said)
    if now <= lease.stop_at:
        return session, ()
    cause = "the lease on its accounts was not renewed"
    session = msgspec.structs.replace(session, stop_cause=cause)
    return stop(session, StopAsked(StopPolicy.CANCEL), cause, now)


def brake_asked(session: Session, brake: EngineBrake) -> Step:
    """The engine is told; one that was not forked yet begins with it."""
    if brake.number <= session.brake.number:
        return session, ()
    if brake.brake == session.brake.brake:
        session = losses.taken_over(session, brake)
    session = msgspec.structs.replace(session, brake=brake)
    session, lifted = losses.set_free(session, brake)
    if not session.is_forked:
        return msgspec.structs.replace(session, taken=brake), lifted
    return session, (Send(PutBrake(brake)), *lifted)


def brake_taken(session: Session, brake: EngineBrake, now: float) -> Step:
    """What the brake keeps an engine from is said of its state as soon as it does, and no longer than that."""
    if brake.number < session.taken.number:
        return session, ()
    return judged_anew(msgspec.structs.replace(session, taken=brake), session, now)


def observed(session: Session, message: Observed, now: float) -> Step:
    """Problems that last from one measure to the next impair the engine; when they have gone, it trades again."""
    limit_s = session.spec.stale_feed_after_s
    found = problems(message.metrics, stale_feed_after_s=limit_s, at_rest=session.at_rest)
    # Seen once it may be a moment's: a strategy that is being started, a client that connects again.
    lasting = tuple(problem for problem in found if problem in session.suspected)
    said = notes(message.metrics, stale_feed_after_s=limit_s)
    session = msgspec.structs.replace(session, suspected=found, notes=said)
    if session.state == RunState.MISMATCH:
        return session, ()
    if session.state not in UP:
        return msgspec.structs.replace(session, problems=()), ()
    return _judge(session, lasting, now)


def begun(session: Session, now: float) -> Step:
    """The engine says that its start is done: it trades unless its measure, which comes just before, says otherwise."""
    session = msgspec.structs.replace(session, state=RunState.TRADING, problems=())
    # What is held may have no price in the moment in which data is subscribed: that has to last.
    found = tuple(problem for problem in session.suspected if not problem.startswith(_UNWATCHED))
    if not (found or session.held_by):
        return session, (Publish(StateChange(state=RunState.TRADING)),)
    return _judge(session, found, now)


def judged_anew(session: Session, before: Session, now: float) -> Step:
    """The session once something else holds it than `before`: the problems that nobody asked for are the same."""
    if session.state not in UP:
        return session, ()
    lasting = tuple(problem for problem in before.problems if problem not in before.held_by)
    return _judge(session, lasting, now)


def _judge(session: Session, lasting: tuple[str, ...], now: float) -> Step:
    """`lasting` are the problems that nobody asked for: what holds it has alerts of its own, or is a brake that somebody put on."""
    effects: list[Effect] = []
    shown = (*session.held_by, *lasting)
    if shown != session.problems:
        state = RunState.IMPAIRED if shown else RunState.TRADING
        session = msgspec.structs.replace(session, problems=shown, state=state)
        brake = session.taken if session.taken.is_on else None
        effects.append(Publish(StateChange(state=state, detail="; ".join(shown), brake=brake)))
    is_live = session.spec.trading_mode == TradingMode.LIVE
    alarm, alerts = sounded(session.alarm, lasting, now, is_live=is_live)
    return msgspec.structs.replace(session, alarm=alarm), (*effects, *alerts)
