"""How a session ended: its final state from exit code, last word, kill cause and the out-of-memory counters."""

import signal
from collections.abc import Sequence
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import Ended
from flotilla.engine_sidecar.session.core.facts import KillCause, Session
from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import StateChange

TAIL_LINES: Final = 20
MAX_TEXT: Final = 2_000
"""Characters of one text in a state event, so that an event always fits into a message."""
UNKNOWN_ORDERS: Final = "whether orders or positions are left open is unknown"

_KILLED: Final = -signal.SIGKILL
_SIGKILL: Final = "SIGKILL that neither the fleet nor its memory limit sent"


def final_state(session: Session, *, is_oom: bool, log_tail: Sequence[str]) -> StateChange:
    """The last state of the session. `is_oom`: the kernel killed for memory within the last seconds."""
    found = _judged(session, is_oom=is_oom)
    if found.state != RunState.FAILED:
        return msgspec.structs.replace(found, exit_code=session.exit_code, detail=_cut(found.detail))
    tail = tuple(_cut(line) for line in log_tail[-TAIL_LINES:])
    return msgspec.structs.replace(
        found, exit_code=_exit_code(session), detail=_cut(found.detail), log_tail=tail
    )


def describe_exit(exit_code: int | None) -> str:
    """What the process did: `exited with 3`, `was ended by signal 11 (SIGSEGV)`."""
    if exit_code is None:
        return "ended in a way that nobody saw"
    if exit_code >= 0:
        return f"exited with {exit_code}"
    try:
        return f"was ended by signal {-exit_code} ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def _judged(session: Session, *, is_oom: bool) -> StateChange:  # noqa: PLR0911  most certain first, one per line
    if session.ended is not None:
        return _ended(session, session.ended)
    was_killed = session.exit_code in (None, _KILLED)
    cause = session.killed_for if was_killed else None
    if cause is not None and cause != KillCause.LINK:
        return _killed(session, cause)
    if is_oom and _KILLED in (session.exit_code, session.zygote_exit):
        return _failed(session, FailureReason.OOM, "killed by the kernel: out of memory")
    if cause is not None:
        return _killed(session, cause)
    if session.zygote_exit is not None and was_killed:
        return _zygote_failed(session)
    if session.is_stop_asked and session.exit_code in (None, 0):
        not_confirmed = (f"the engine gave no account of its stop: {UNKNOWN_ORDERS}",)
        return StateChange(state=RunState.STOPPED, not_confirmed=not_confirmed if session.is_forked else ())
    if session.exit_code == _KILLED:
        return _failed(session, FailureReason.KILLED, f"the engine was killed from outside ({_SIGKILL})")
    return _failed(session, FailureReason.CRASH, f"the engine {describe_exit(session.exit_code)}")


def _ended(session: Session, ended: Ended) -> StateChange:
    not_confirmed = tuple(_cut(text) for text in ended.not_confirmed)
    if ended.reason is not None:
        return StateChange(
            state=RunState.FAILED,
            reason=ended.reason,
            detail=ended.detail,
            not_confirmed=not_confirmed,
            stop=ended.stop,
        )
    detail = ended.detail or session.stop_cause
    if session.exit_code != 0:
        # Its account of orders is complete; only the teardown of the process went wrong.
        detail = f"{detail} (then it {describe_exit(session.exit_code)})".strip()
    state = RunState.COMPLETED if ended.is_completed and session.exit_code == 0 else RunState.STOPPED
    return StateChange(state=state, detail=detail, not_confirmed=not_confirmed, stop=ended.stop)


def _killed(session: Session, cause: KillCause) -> StateChange:
    spec = session.spec
    match cause:
        case KillCause.FROZEN:
            text = f"its loop was silent for more than {spec.kill_frozen_after_s:g} s, so it was killed"
            return _failed(session, FailureReason.FROZEN, text)
        case KillCause.MEMORY:
            text = f"it used more than its {spec.memory_bytes >> 20} MiB of memory, so it was killed"
            return _failed(session, FailureReason.OOM, text)
        case KillCause.BOOT:
            return _boot_failed(session)
        case KillCause.LINK:
            text = f"its link closed and it did not end, so it was killed {session.link_error}".strip()
            return _failed(session, FailureReason.CRASH, text)
        case KillCause.STOP:
            frozen = ", frozen," if session.is_frozen else ""
            text = f"the engine{frozen} did not end in time and was killed: {UNKNOWN_ORDERS}"
            if session.failing is not None and not session.is_stop_asked:
                return _failed(
                    session, session.failing, f"{session.said}; then it did not end in time and was killed"
                )
            return StateChange(state=RunState.STOPPED, detail="killed", not_confirmed=(text,))


def _boot_failed(session: Session) -> StateChange:
    after = f"after {session.spec.boot_timeout_s:g} s"
    if not session.is_zygote_ready:
        return _failed(session, FailureReason.CRASH, f"NautilusTrader was not imported {after}")
    if session.state == RunState.BOOTING:
        got = f", in which it {session.said} and got no further" if session.said else ""
        return _failed(session, FailureReason.CRASH, f"the engine was still being built {after}{got}")
    return _failed(session, FailureReason.VENUE, f"the engine was still {session.state} {after}")


def _zygote_failed(session: Session) -> StateChange:
    zygote_exit = session.zygote_exit
    if not session.is_zygote_ready:
        reason = FailureReason.CONFIG if (zygote_exit or 0) > 0 else FailureReason.CRASH
        text = f"NautilusTrader could not be imported: its process {describe_exit(zygote_exit)}"
        return _failed(session, reason, text)
    if zygote_exit == _KILLED:
        text = f"the engine's parent process was killed from outside ({_SIGKILL}), and the engine with it"
        return _failed(session, FailureReason.KILLED, text)
    text = f"the engine's parent process {describe_exit(zygote_exit)}"
    return _failed(session, FailureReason.CRASH, text)


def _failed(session: Session, reason: FailureReason, detail: str) -> StateChange:
    was_stopping = session.state == RunState.STOPPING
    return StateChange(
        state=RunState.FAILED,
        reason=reason,
        detail=detail,
        not_confirmed=(UNKNOWN_ORDERS,) if was_stopping else (),
    )


def _exit_code(session: Session) -> int | None:
    return session.zygote_exit if session.exit_code is None else session.exit_code


def _cut(text: str) -> str:
    # PostgreSQL stores no NUL.
    return text[:MAX_TEXT].replace("\0", "\ufffd")
