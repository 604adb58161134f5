"""When a command that somebody waits for has been carried out, and when it never will be."""

from enum import StrEnum
from typing import Final

import msgspec

from flotilla.schemas.engine import SessionView
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.states import ClientState, FailureReason, RunState
from flotilla.services.gateway.engines.unconfirmed import doubts


class Goal(StrEnum):
    """What a command wants its session to become. One that begins with a brake on can be no more than up."""

    TRADING = "trading"
    UP = "up"
    ENDED = "ended"


class CommandOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `code` is null when the goal was reached."""

    state: ClientState
    message: str
    code: FaultCode | None = None


_AT_FAULT: Final = {
    # The configuration or the strategy that was sent cannot run; sending it again would not help.
    FailureReason.CONFIG: FaultCode.INVALID,
    FailureReason.STRATEGY: FaultCode.INVALID,
    FailureReason.OPERATOR: FaultCode.CONFLICT,
}


def judge(goal: Goal, session: SessionView) -> CommandOutcome | None:
    """What the session has become with regard to the goal; None while that is open."""
    if goal == Goal.ENDED:
        return _judge_end(session)
    if goal == Goal.UP and session.state == RunState.IMPAIRED:
        message = f"{session.instance_id} is up: {session.detail or 'it does not say what impairs it'}"
        return CommandOutcome(state=session.state.for_clients, message=message)
    return _judge_start(session)


def why_failed(session: SessionView) -> str | None:
    """`crash: …, exit code -9`, or None for a session that did not fail."""
    if session.state != RunState.FAILED:
        return None
    parts = [
        f"{session.reason or 'failed'}: {session.detail}"
        if session.detail
        else str(session.reason or "failed")
    ]
    if session.exit_code is not None:
        parts.append(f"exit code {session.exit_code}")
    return ", ".join(parts)


def last_error(session: SessionView) -> str | None:
    """Why the session is where no client wants it, or None where it is well."""
    if session.state in (RunState.IMPAIRED, RunState.MISMATCH, RunState.SILENT):
        return f"{session.state}: {session.detail}" if session.detail else str(session.state)
    if session.state == RunState.UNKNOWN:
        return "unknown: its host is out of sight"
    return why_failed(session)


def _judge_start(session: SessionView) -> CommandOutcome | None:
    name, state = session.instance_id, session.state.for_clients
    if session.state == RunState.TRADING:
        return CommandOutcome(state=state, message=f"{name} is trading")
    if session.state in (RunState.IMPAIRED, RunState.MISMATCH):
        message = f"{name} is up, but it does not trade: {session.detail or 'it does not say why'}"
        return CommandOutcome(state=state, message=message, code=FaultCode.INTERNAL)
    if session.state == RunState.FAILED:
        code = _AT_FAULT.get(session.reason, FaultCode.INTERNAL) if session.reason else FaultCode.INTERNAL
        return CommandOutcome(state=state, message=f"{name} failed: {why_failed(session)}", code=code)
    if session.state in (RunState.STOPPING, RunState.COMPLETED, RunState.STOPPED):
        if session.trading_at is not None:
            return CommandOutcome(state=state, message=f"{name} traded and is {session.state} by now")
        return CommandOutcome(
            state=state, message=f"{name} was stopped before it traded", code=FaultCode.CONFLICT
        )
    return None


def _judge_end(session: SessionView) -> CommandOutcome | None:
    if not session.state.is_terminal:
        return None
    doubt = doubts(session)
    if session.state in (RunState.COMPLETED, RunState.STOPPED):
        message = f"{session.instance_id} has {session.state}"
    else:
        message = f"{session.instance_id} no longer runs; its session failed: {why_failed(session)}"
    return CommandOutcome(
        state=session.state.for_clients, message=f"{message}; {doubt}" if doubt else message
    )
