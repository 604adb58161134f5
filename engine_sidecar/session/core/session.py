"""The life of one session as its sidecar sees it: a message in, the new session and what to do about it out."""

from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    Ended,
    Exited,
    Forked,
    GateShut,
    Phase,
    Reduce,
    Tick,
    ZygoteReady,
)
from flotilla.engine_sidecar.link.messages import (
    AtRest,
    Attended,
    BrakeAsked,
    BusFound,
    CannotRun,
    Checked,
    CommandedDirectly,
    EndAsked,
    Flattened,
    Fork,
    LeaseRenewed,
    LinkClosed,
    Message,
    Observed,
    Publish,
    Send,
    StopAsked,
    ZygoteGone,
)
from flotilla.engine_sidecar.session.core import dead_man, ending, losses, trading, watch
from flotilla.engine_sidecar.session.core.ending import END_GRACE_S, LINK_GRACE_S, OBEY_S
from flotilla.engine_sidecar.session.core.facts import KillCause, Session, Step, alert, granted
from flotilla.engine_sidecar.session.core.watch import Finding
from flotilla.schemas.alerts import COMMANDED_DIRECTLY, FROZEN, RECOVERED, UNEXPECTED_PHASE
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import FailureReason, RunState, TradingMode
from flotilla.schemas.telemetry import StateChange

_S: Final = RunState
_PHASES: Final = (_S.BOOTING, _S.CONNECTING, _S.RECONCILING, _S.MISMATCH, _S.TRADING, _S.STOPPING)
"""All that an engine may say of itself."""
# n: the next phase · s: a skip · e: may come at any time · a: said again · m: broken or mended · .: illegal
_ROWS: Final = {
    #                boo con rec mis tra sto
    _S.BOOTING: "     a   n   s   s   s   e ",
    _S.CONNECTING: "  .   a   n   s   s   e ",
    _S.RECONCILING: " .   .   a   n   n   e ",
    _S.MISMATCH: "    .   .   .   a   m   e ",
    _S.TRADING: "     .   .   .   m   a   n ",
    _S.STOPPING: "    .   .   .   .   .   a ",
}
FOLLOWS: Final = {
    phase: frozenset(said for said, mark in zip(_PHASES, row.split(), strict=True) if mark != ".")
    for phase, row in _ROWS.items()
}
"""What an engine may say after each phase. All else is refused: its session stays as it was, people are alerted."""
_SAYS_MORE: Final = (_S.BOOTING, _S.CONNECTING, _S.RECONCILING, _S.MISMATCH)
"""The phases whose detail changes while they last: how far it got, what is waited for, what does not agree."""
_DIRECTLY: Final = "was asked for with the operator's credential"
_BEFORE_TRADING: Final = (RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING)


def begin(spec: SessionSpec, now: float) -> Step:
    """A session that has just been read from stdin."""
    lease = granted(spec.lease, now) if spec.lease is not None else None
    session = Session(spec=spec, lease=lease, brake=spec.brake, taken=spec.brake, losses=spec.losses)
    return session, (Publish(StateChange(state=RunState.BOOTING)),)


def decide(session: Session, message: Message, now: float) -> Step:  # noqa: PLR0911, PLR0912  one row per message
    """The session after `message`, and the effects in the order in which to carry them out."""
    match message:
        case Phase():
            return _phase(session, message, now)
        case GateShut():
            return msgspec.structs.replace(session, is_gate_shut=True), ()
        case Ended():
            stop_until = min(session.stop_until, now + END_GRACE_S)
            return msgspec.structs.replace(session, ended=message, stop_until=stop_until), ()
        case _ if session.is_over:
            return session, ()
        case Tick():
            return _ticked(session, message, now), ()
        case Checked():
            return _checked(session, message, now)
        case BusFound():
            return _bus_found(session, now)
        case CannotRun(detail=detail, reason=reason):
            return _cannot_run(session, Ended(reason, detail))
        case ZygoteReady(cannot_confine=why):
            return _zygote_ready(session, why)
        case Forked(pid=pid):
            return _forked(session, pid, now), ()
        case StopAsked():
            return _stop_asked(session, message, now)
        case EndAsked(deadline_s=deadline_s):
            return ending.end_now(session, deadline_s, now)
        case CommandedDirectly(command=command, caller=caller):
            return _commanded(session, command, caller)
        case LeaseRenewed():
            return trading.lease_renewed(session, message, now)
        case Attended():
            return dead_man.attended(session, message, now)
        case Flattened():
            return dead_man.flattened(session, message, now)
        case BrakeAsked(brake=brake):
            return trading.brake_asked(session, brake)
        case BrakeTaken(brake=brake):
            return trading.brake_taken(session, brake, now)
        case Observed():
            return _observed(session, message, now)
        case AtRest(strategy_id=name, is_at_rest=is_at_rest):
            return _at_rest(session, name, is_at_rest=is_at_rest), ()
        case LinkClosed(error=error):
            return _link_closed(session, error, now), ()
        case Exited(exit_code=exit_code):
            return ending.over(msgspec.structs.replace(session, exit_code=exit_code))
        case ZygoteGone(exit_code=exit_code):
            return ending.orphaned(msgspec.structs.replace(session, zygote_exit=exit_code), now)


def _commanded(session: Session, command: str, caller: str) -> Step:
    by = f", by {caller}" if caller else ""
    return session, (alert(COMMANDED_DIRECTLY, f"{command} {_DIRECTLY}{by}"),)


def _link_closed(session: Session, error: str, now: float) -> Session:
    reap_until = min(session.reap_until, now + LINK_GRACE_S)
    return msgspec.structs.replace(session, reap_until=reap_until, link_error=error)


def _bus_found(session: Session, now: float) -> Step:
    boot_until = now + session.spec.boot_timeout_s
    return _fork(msgspec.structs.replace(session, is_bus_found=True, boot_until=boot_until))


def _ticked(session: Session, tick: Tick, now: float) -> Session:
    pulse = watch.ticked(session.pulse or watch.started(now), tick.loop_age_s, now)
    return msgspec.structs.replace(session, pulse=pulse, loop_lag_s=tick.loop_lag_s)


def _forked(session: Session, pid: int, now: float) -> Session:
    contact = dead_man.begun(session.spec.dead_man, now)
    return msgspec.structs.replace(session, engine_pid=pid, pulse=watch.started(now), contact=contact)


def _observed(session: Session, seen: Observed, now: float) -> Step:
    session, effects = trading.observed(session, seen, now)
    session, more = losses.weighed(session, seen.metrics, now)
    return session, (*effects, *more)


def _at_rest(session: Session, name: str, *, is_at_rest: bool) -> Session:
    at_rest = session.at_rest | {name} if is_at_rest else session.at_rest - {name}
    return msgspec.structs.replace(session, at_rest=at_rest)


def _stop_asked(session: Session, asked: StopAsked, now: float) -> Step:
    if not session.is_stop_asked:
        session = msgspec.structs.replace(session, stop_cause=asked.cause)
    return ending.stop(session, asked, f"asked to: {asked.policy}", now)


def _cannot_run(session: Session, ended: Ended) -> Step:
    """An engine that was forked meanwhile runs: only one that never was is over."""
    return (session, ()) if session.is_forked else ending.over(msgspec.structs.replace(session, ended=ended))


def _zygote_ready(session: Session, cannot_confine: str) -> Step:
    session = msgspec.structs.replace(session, is_zygote_ready=True)
    if cannot_confine and session.spec.trading_mode == TradingMode.LIVE:
        ended = Ended(FailureReason.CONFIG, f"live trading is refused here: {cannot_confine}")
        return ending.over(msgspec.structs.replace(session, ended=ended))
    return _fork(session)


def _fork(session: Session) -> Step:
    # An engine that cannot be commanded is not safe, so the first one to wait for is the bus.
    if not (session.is_bus_found and session.is_zygote_ready) or session.is_forked:
        return session, ()
    reduce = (Send(Reduce()),) if session.lease and session.lease.is_lost else ()
    return msgspec.structs.replace(session, is_forked=True), (Fork(), *reduce)


def _phase(session: Session, phase: Phase, now: float) -> Step:
    if session.state.is_terminal:
        return session, ()  # its last state is on record, and nothing follows that
    if phase.state not in FOLLOWS[session.phase]:
        return _refuse(session, phase.state)
    is_booting = phase.state == RunState.BOOTING
    is_first = session.phase == RunState.BOOTING and not is_booting
    is_other = phase.state in _SAYS_MORE and phase.detail != session.said
    is_news = phase.state != session.phase or is_other
    session = msgspec.structs.replace(session, phase=phase.state, said=phase.detail, failing=phase.reason)
    # One that was asked to stop may have said more before it heard of it.
    if not is_news or session.state == RunState.STOPPING:
        return session, ()
    stop_until = session.stop_until
    if phase.state == RunState.STOPPING:
        stop_until = min(stop_until, now + session.spec.stop_timeout_s + END_GRACE_S)
    # A slow boot (a large catalog) is no freeze: the pulse counts from the first phase on.
    pulse = watch.started(now) if is_first else session.pulse
    # One that still reads what it kept gets on: it has its time for venues from then on.
    boot_until = now + session.spec.boot_timeout_s if is_booting else session.boot_until
    session = msgspec.structs.replace(session, stop_until=stop_until, pulse=pulse, boot_until=boot_until)
    if phase.state == RunState.TRADING:
        return trading.begun(session, now)
    found = (phase.detail,) if phase.state == RunState.MISMATCH else ()
    session = msgspec.structs.replace(session, state=phase.state, problems=found)
    change = StateChange(state=phase.state, reason=phase.reason, detail=phase.detail)
    return session, (Publish(change),)


def _refuse(session: Session, said: RunState) -> Step:
    pair = (session.phase, said)
    if pair in session.refused:
        return session, ()
    text = f"the engine says {said} after {session.phase}, which cannot be: its session stays {session.state}"
    session = msgspec.structs.replace(session, refused=session.refused | {pair})
    return session, (alert(UNEXPECTED_PHASE, text),)


def _checked(session: Session, checked: Checked, now: float) -> Step:
    if now > session.reap_until:
        return ending.overdue(session, now)
    if session.killed_for or session.zygote_exit is not None:
        return session, ()
    if (checked.engine_rss_bytes or 0) > session.spec.memory_bytes:
        return ending.kill(session, KillCause.MEMORY, now)
    if now > session.stop_until:
        return ending.kill(session, KillCause.STOP, now)
    if session.state in _BEFORE_TRADING and now > session.boot_until:
        return ending.kill(session, KillCause.BOOT, now)
    session, effects = trading.check_lease(session, now)
    session, acts = dead_man.check(session, now)
    session, more = _check_pulse(session, now)
    return session, (*effects, *acts, *more)


def _check_pulse(session: Session, now: float) -> Step:
    if session.pulse is None or session.state == RunState.BOOTING or session.ended:
        return session, ()
    spec = session.spec
    silent_s = session.pulse.silent_s(now)
    kill_after_s = spec.kill_frozen_after_s
    if session.is_stop_asked:
        kill_after_s = min(kill_after_s, OBEY_S)
    pulse, finding = watch.check(
        session.pulse, now, frozen_after_s=spec.frozen_after_s, kill_after_s=kill_after_s
    )
    session = msgspec.structs.replace(session, pulse=pulse)
    match finding:
        case Finding.FROZEN:
            message = f"the engine's loop has been silent for {silent_s:.1f} s"
            return session, (alert(FROZEN, message),)
        case Finding.RECOVERED:
            return session, (alert(RECOVERED, "the engine's loop turns again"),)
        # What it does not hear it will not obey; but it may be in the midst of obeying, so it has time to wake up.
        case Finding.KILL if now > session.obey_until or not session.is_stop_asked:
            cause = KillCause.STOP if session.is_stop_asked else KillCause.FROZEN
            return ending.kill(session, cause, now)
    return session, ()
