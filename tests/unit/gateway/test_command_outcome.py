"""When a command that somebody waits for is done."""

from datetime import UTC, datetime

import msgspec
import pytest

from flotilla.schemas.engine import SessionView
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.states import ClientState, FailureReason, RunState
from flotilla.services.gateway.engines.command_outcome import Goal, judge

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def session(
    state: RunState, reason: FailureReason | None = None, trading_at: datetime | None = None
) -> SessionView:
    return SessionView(
        session_id="s1",
        instance_id="e1",
        generation=1,
        state=state,
        container_name="c",
        created_at=NOW,
        reason=reason,
        trading_at=trading_at,
    )


def test_every_state_of_a_session_is_one_that_clients_know() -> None:
    assert {state.for_clients for state in RunState} == set(ClientState)
    errors = {state for state in RunState if state.for_clients == ClientState.ERROR}
    assert {state.value for state in errors} == {"impaired", "mismatch", "silent", "failed", "unknown"}
    assert RunState.COMPLETED.for_clients == ClientState.STOPPED


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("goal", Goal)
def test_a_command_is_open_until_its_session_trades_or_ends(goal: Goal, state: RunState) -> None:
    decides = {
        Goal.TRADING: {
            RunState.TRADING,
            RunState.IMPAIRED,
            RunState.MISMATCH,
            RunState.STOPPING,
            RunState.COMPLETED,
            RunState.STOPPED,
            RunState.FAILED,
        },
        Goal.ENDED: {RunState.COMPLETED, RunState.STOPPED, RunState.FAILED},
    }
    decides[Goal.UP] = decides[Goal.TRADING]
    assert (judge(goal, session(state)) is not None) == (state in decides[goal])


def test_what_is_started_with_a_brake_on_is_done_when_it_is_up() -> None:
    braked = msgspec.structs.replace(session(RunState.IMPAIRED), detail="halted by alice")
    done = judge(Goal.UP, braked)
    assert done is not None
    assert (done.code, done.message) == (None, "e1 is up: halted by alice")
    failed = judge(Goal.UP, session(RunState.FAILED))
    assert failed is not None
    assert failed.code is FaultCode.INTERNAL


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (session(RunState.TRADING), None),
        (session(RunState.STOPPED), FaultCode.CONFLICT),
        (session(RunState.STOPPING), FaultCode.CONFLICT),
        (session(RunState.STOPPED, trading_at=NOW), None),
        (session(RunState.FAILED, FailureReason.CRASH), FaultCode.INTERNAL),
        (session(RunState.FAILED, FailureReason.CRASH, NOW), FaultCode.INTERNAL),
        (session(RunState.FAILED, FailureReason.CONFIG), FaultCode.INVALID),
        (session(RunState.FAILED, FailureReason.OPERATOR), FaultCode.CONFLICT),
        (session(RunState.FAILED), FaultCode.INTERNAL),
    ],
)
def test_a_start_succeeds_only_when_it_traded_and_did_not_fail(
    one: SessionView, code: FaultCode | None
) -> None:
    outcome = judge(Goal.TRADING, one)
    assert outcome is not None
    assert outcome.code == code


def test_a_stop_succeeds_however_the_session_ended_and_says_how() -> None:
    clean = judge(Goal.ENDED, session(RunState.STOPPED))
    failed = judge(Goal.ENDED, session(RunState.FAILED, FailureReason.CRASH))
    assert clean is not None
    assert failed is not None
    assert (clean.code, clean.state) == (None, ClientState.STOPPED)
    assert (failed.code, failed.state) == (None, ClientState.ERROR)
    assert "crash" in failed.message
