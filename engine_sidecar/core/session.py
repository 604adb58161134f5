"""The life of one session as its sidecar sees it: a message in, the new session and what to do about it out."""

import math
from enum import StrEnum
from typing import Final

import msgspec

from engine_sidecar.core import watch
from engine_sidecar.core.messages import (
    BusFound,
    Checked,
    Conclude,
    Effect,
    Fork,
    KillEngine,
    KillZygote,
    LinkClosed,
    Message,
    Publish,
    Send,
    StopAsked,
    ZygoteGone,
)
from engine_sidecar.core.watch import Pulse, Verdict
from engine_sidecar.link import Ended, Exited, Forked, Phase, Stop, Tick, ZygoteReady
from schemas.session import SessionSpec
from schemas.states import RunState
from schemas.telemetry import Alert, Severity, StateChange

END_GRACE_S: Final = 5.0
"""From the engine's last word to its exit."""
LINK_GRACE_S: Final = 2.0
"""From the end of the link to the news of the exit."""
REAP_S: Final = 2.0
"""From SIGKILL to the news of the exit; then the zygote is taken for dead."""
STOP_SHARE: Final = 0.9
"""How much of the time for a stop the engine is told to use, so that it ends by itself before it is killed."""

_NEXT: Final = {
    RunState.BOOTING: (RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING, RunState.STOPPING),
    RunState.CONNECTING: (RunState.RECONCILING, RunState.TRADING, RunState.STOPPING),
    RunState.RECONCILING: (RunState.TRADING, RunState.STOPPING),
    RunState.TRADING: (RunState.STOPPING,),
    RunState.STOPPING: (),
}
_BEFORE_TRADING: Final = (RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING)


class KillCause(StrEnum):
    """Why the sidecar killed the engine."""

    FROZEN = "frozen"
    MEMORY = "memory"
    BOOT = "boot"
    STOP = "stop"
    LINK = "link"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the session. The deadlines are monotonic seconds, infinite while nothing is awaited."""

    spec: SessionSpec
    state: RunState = RunState.BOOTING
    pulse: Pulse | None = None
    loop_lag_s: float = 0.0
    is_bus_found: bool = False
    is_zygote_ready: bool = False
    is_forked: bool = False
    is_stop_asked: bool = False
    is_over: bool = False
    engine_pid: int | None = None
    boot_until: float = math.inf
    stop_until: float = math.inf
    reap_until: float = math.inf
    killed_for: KillCause | None = None
    is_zygote_killed: bool = False
    ended: Ended | None = None
    exit_code: int | None = None
    zygote_exit: int | None = None
    link_error: str = ""

    @property
    def is_frozen(self) -> bool:
        """True from the alert until the loop turns again."""
        return self.pulse is not None and self.pulse.is_frozen


type Step = tuple[Session, tuple[Effect, ...]]


def begin(spec: SessionSpec) -> Step:
    """A session that has just been read from stdin."""
    return Session(spec=spec), (Publish(StateChange(state=RunState.BOOTING)),)


def decide(session: Session, message: Message, now: float) -> Step:  # noqa: PLR0911  one row per message
    """The session after `message`, and the effects in the order in which to carry them out."""
    match message:
        case Phase():
            return _phase(session, message, now)
        case Ended():
            stop_until = min(session.stop_until, now + END_GRACE_S)
            return msgspec.structs.replace(session, ended=message, stop_until=stop_until), ()
        case _ if session.is_over:
            return session, ()
        case Tick(loop_age_s=age, loop_lag_s=lag):
            pulse = watch.ticked(session.pulse or watch.started(now), age, now)
            return msgspec.structs.replace(session, pulse=pulse, loop_lag_s=lag), ()
        case Checked():
            return _checked(session, message, now)
        case BusFound():
            boot_until = now + session.spec.boot_timeout_s
            return _fork(msgspec.structs.replace(session, is_bus_found=True, boot_until=boot_until))
        case ZygoteReady():
            return _fork(msgspec.structs.replace(session, is_zygote_ready=True))
        case Forked(pid=pid):
            return msgspec.structs.replace(session, engine_pid=pid, pulse=watch.started(now)), ()
        case StopAsked():
            return _stop(session, message, now)
        case LinkClosed(error=error):
            reap_until = min(session.reap_until, now + LINK_GRACE_S)
            return msgspec.structs.replace(session, reap_until=reap_until, link_error=error), ()
        case Exited(exit_code=exit_code):
            return _over(msgspec.structs.replace(session, exit_code=exit_code))
        case ZygoteGone(exit_code=exit_code):
            return _orphaned(msgspec.structs.replace(session, zygote_exit=exit_code), now)


def _fork(session: Session) -> Step:
    # An engine that cannot be commanded is not safe, so the first one to wait for is the bus.
    if not (session.is_bus_found and session.is_zygote_ready) or session.is_forked:
        return session, ()
    return msgspec.structs.replace(session, is_forked=True), (Fork(),)


def _phase(session: Session, phase: Phase, now: float) -> Step:
    if phase.state not in _NEXT[session.state]:
        return session, ()
    stop_until = session.stop_until
    if phase.state == RunState.STOPPING:
        stop_until = min(stop_until, now + session.spec.stop_timeout_s + END_GRACE_S)
    # A slow boot (a large catalog) is no freeze: the pulse counts from the first phase on.
    pulse = watch.started(now) if session.state == RunState.BOOTING else session.pulse
    session = msgspec.structs.replace(session, state=phase.state, stop_until=stop_until, pulse=pulse)
    return session, (Publish(StateChange(state=phase.state, detail=phase.detail)),)


def _stop(session: Session, asked: StopAsked, now: float) -> Step:
    if session.is_stop_asked or session.killed_for:
        return session, ()
    timeout_s = session.spec.stop_timeout_s
    effects: list[Effect] = []
    if session.state != RunState.STOPPING:
        effects.append(Publish(StateChange(state=RunState.STOPPING, detail=f"asked to: {asked.policy}")))
    session = msgspec.structs.replace(
        session,
        state=RunState.STOPPING,
        is_stop_asked=True,
        stop_until=min(session.stop_until, now + timeout_s),
    )
    if not session.is_forked:
        session, over = _over(session)
        return session, (*effects, *over)
    return session, (*effects, Send(Stop(policy=asked.policy, timeout_s=timeout_s * STOP_SHARE)))


def _checked(session: Session, checked: Checked, now: float) -> Step:
    if now > session.reap_until:
        return _overdue(session, now)
    if session.killed_for or session.zygote_exit is not None:
        return session, ()
    if (checked.engine_rss_bytes or 0) > session.spec.memory_bytes:
        return _kill(session, KillCause.MEMORY, now)
    if now > session.stop_until:
        return _kill(session, KillCause.STOP, now)
    if session.state in _BEFORE_TRADING and now > session.boot_until:
        return _kill(session, KillCause.BOOT, now)
    return _check_pulse(session, now)


def _check_pulse(session: Session, now: float) -> Step:
    if session.pulse is None or session.state == RunState.BOOTING or session.ended:
        return session, ()
    spec = session.spec
    silent_s = session.pulse.silent_s(now)
    pulse, verdict = watch.check(
        session.pulse, now, frozen_after_s=spec.frozen_after_s, kill_after_s=spec.kill_frozen_after_s
    )
    session = msgspec.structs.replace(session, pulse=pulse)
    match verdict:
        case Verdict.FROZEN:
            message = f"the engine's loop has been silent for {silent_s:.1f} s"
            return session, (_alert(Severity.CRITICAL, "frozen", message),)
        case Verdict.RECOVERED:
            return session, (_alert(Severity.INFO, "recovered", "the engine's loop turns again"),)
        # A stop has its own deadline, and killing earlier would only confirm less.
        case Verdict.KILL if not session.is_stop_asked:
            return _kill(session, KillCause.FROZEN, now)
    return session, ()


def _kill(session: Session, cause: KillCause, now: float) -> Step:
    session = msgspec.structs.replace(session, killed_for=cause, reap_until=now + REAP_S)
    return _kill_zygote(session, now) if session.engine_pid is None else (session, (KillEngine(),))


def _kill_zygote(session: Session, now: float) -> Step:
    session = msgspec.structs.replace(session, is_zygote_killed=True, reap_until=now + REAP_S)
    return session, (KillZygote(),)


def _overdue(session: Session, now: float) -> Step:
    if session.killed_for is None:
        return _kill(session, KillCause.LINK, now)
    if session.zygote_exit is None and not session.is_zygote_killed:
        return _kill_zygote(session, now)
    return _over(session)


def _orphaned(session: Session, now: float) -> Step:
    if session.engine_pid is None:
        return _over(session)
    return msgspec.structs.replace(session, reap_until=now + REAP_S), (KillEngine(),)


def _over(session: Session) -> Step:
    return msgspec.structs.replace(session, is_over=True), (Conclude(),)


def _alert(severity: Severity, code: str, message: str) -> Publish:
    return Publish(Alert(severity=severity, code=code, message=message))
