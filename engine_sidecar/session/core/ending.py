"""How a session is brought to its end: stops with a deadline, and kills where those are not enough."""

from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import EndNow, Stop
from flotilla.engine_sidecar.link.messages import (
    Conclude,
    Effect,
    KillEngine,
    KillZygote,
    Publish,
    Send,
    StopAsked,
)
from flotilla.engine_sidecar.session.core.facts import KillCause, Session, Step
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import StateChange

END_GRACE_S: Final = 5.0
"""From the engine's last word to its exit."""
LINK_GRACE_S: Final = 2.0
"""From the end of the link to the news of the exit."""
REAP_S: Final = 2.0
"""From SIGKILL to the news of the exit; then the zygote is taken for dead."""
OBEY_S: Final = 15.0
"""How long the loop of an engine that was told to stop may be silent. One that turns has the whole time for its stop."""
STOP_SHARE: Final = 0.9
"""How much of the time for a stop the engine is told to use, so that it ends by itself before it is killed."""


def stop(session: Session, asked: StopAsked, why: str, now: float) -> Step:
    """Asks the engine to stop within the time of its session, or what is left of it; asking again changes nothing."""
    if session.is_stop_asked or session.killed_for:
        return session, ()
    timeout_s = session.spec.stop_timeout_s
    if asked.timeout_s is not None:
        timeout_s = min(timeout_s, asked.timeout_s)
    order = Stop(policy=asked.policy, timeout_s=timeout_s * STOP_SHARE)
    return _end_by(session, now + timeout_s, why, order, now)


def end_now(session: Session, deadline_s: float, now: float) -> Step:
    """Asks it to be flat and gone in `deadline_s`, also when it is stopping already: the earlier deadline holds."""
    if session.killed_for:
        return session, ()
    until = min(session.stop_until, now + deadline_s)
    why = f"asked to: {StopPolicy.FLATTEN} within {deadline_s:g} s"
    return _end_by(session, until, why, EndNow(timeout_s=max(0.0, until - now) * STOP_SHARE), now)


def _end_by(session: Session, until: float, why: str, order: Stop | EndNow, now: float) -> Step:
    effects: list[Effect] = []
    if session.state != RunState.STOPPING:
        effects.append(Publish(StateChange(state=RunState.STOPPING, detail=why)))
    session = msgspec.structs.replace(
        session,
        state=RunState.STOPPING,
        is_stop_asked=True,
        stop_until=min(session.stop_until, until),
        obey_until=min(session.obey_until, now + OBEY_S),
    )
    if not session.is_forked:
        session, last = over(session)
        return session, (*effects, *last)
    return session, (*effects, Send(order))


def kill(session: Session, cause: KillCause, now: float) -> Step:
    """Kills the engine; before there is one, the zygote."""
    session = msgspec.structs.replace(session, killed_for=cause, reap_until=now + REAP_S)
    return kill_zygote(session, now) if session.engine_pid is None else (session, (KillEngine(),))


def kill_zygote(session: Session, now: float) -> Step:
    """Kills the zygote, whose engine then becomes our child."""
    session = msgspec.structs.replace(session, is_zygote_killed=True, reap_until=now + REAP_S)
    return session, (KillZygote(),)


def overdue(session: Session, now: float) -> Step:
    """No news of an exit: the next harsher step, and in the end none is waited for."""
    if session.killed_for is None:
        return kill(session, KillCause.LINK, now)
    if session.zygote_exit is None and not session.is_zygote_killed:
        return kill_zygote(session, now)
    return over(session)


def orphaned(session: Session, now: float) -> Step:
    """The zygote is gone: an engine does not outlive it."""
    if session.engine_pid is None:
        return over(session)
    return msgspec.structs.replace(session, reap_until=now + REAP_S), (KillEngine(),)


def over(session: Session) -> Step:
    """Nothing more can come: the session is concluded."""
    return msgspec.structs.replace(session, is_over=True), (Conclude(),)
