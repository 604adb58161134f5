import msgspec
import pytest

from flotilla.schemas.fault import Fault, FaultCode
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import Alert, EngineEvent, EventKind, Severity
from flotilla.services.orchestrator.engines.core import outcomes
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    ContainerEffect,
    KillContainer,
    LookAgain,
    StartContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.events import apply_states, read, time_of
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop, Session
from tests.unit.orchestrator.makers import HOSTS, NOW, STARTED, after, engine, session, spec, state_event


def applied(present: Session, *events: object, **facts: object) -> Session:
    decision = apply_states(engine(present, **facts), events, HOSTS, after(5))  # type: ignore[arg-type]
    assert decision.engine.session is not None
    return decision.engine.session


@pytest.mark.parametrize("state", STARTED)
def test_a_session_goes_where_its_sidecar_says(state: RunState) -> None:
    moved = applied(session(RunState.CREATING), state_event(1, state))
    assert (moved.state, moved.state_seq, moved.changed_at) == (state, 1, after(5))
    assert moved.started_at == time_of(state_event(1, state).at_ns)


def test_a_burst_is_applied_in_the_order_of_its_numbers() -> None:
    burst = [state_event(number, state) for number, state in enumerate(STARTED, 1)]
    assert applied(session(RunState.CREATING), *reversed(burst)).state == RunState.TRADING


def test_one_that_stops_because_it_failed_says_so_while_it_does() -> None:
    failed = state_event(1, RunState.STOPPING, reason=FailureReason.VENUE, detail="no answer")
    for event, told in (
        (failed, (FailureReason.VENUE, "no answer")),
        (state_event(1, RunState.STOPPING), (None, None)),
    ):
        stopping = applied(session(RunState.TRADING), event)
        assert (stopping.state, stopping.reason, stopping.detail) == (RunState.STOPPING, *told)


def test_an_event_that_comes_again_changes_nothing() -> None:
    before = engine(session(RunState.TRADING, state_seq=4))
    decision = apply_states(before, [state_event(3, RunState.FAILED)], HOSTS, NOW)
    assert not decision.is_change
    assert decision.engine == before
    assert decision.effects == ()


def test_an_event_of_an_earlier_session_changes_nothing() -> None:
    before = engine(session(generation=2, session_id="s2"))
    for event in (state_event(9, RunState.FAILED), state_event(9, RunState.FAILED, generation=3)):
        assert apply_states(before, [event], HOSTS, NOW).engine == before


def test_a_late_event_never_moves_a_session_back() -> None:
    assert applied(session(RunState.TRADING), state_event(2, RunState.RECONCILING)).state == RunState.TRADING


def test_what_impairs_a_session_is_kept_as_long_as_it_does() -> None:
    present = session(RunState.TRADING)
    told = (("impaired", "A is STOPPED"), ("impaired", "A is STOPPED; B is away"), ("trading", ""))
    seen = []
    for number, (state, detail) in enumerate(told, 1):
        present = applied(present, state_event(number, RunState(state), detail=detail))
        seen.append((present.state.value, present.detail, present.state_seq))
    assert seen == [
        ("impaired", "A is STOPPED", 1),
        ("impaired", "A is STOPPED; B is away", 2),
        ("trading", None, 3),
    ]


def test_what_a_start_waits_for_is_on_record_while_it_does() -> None:
    present = session(RunState.BOOTING)
    told = (
        ("connecting", ""),
        ("connecting", "A: no DNS"),
        ("connecting", "A: refused"),
        ("reconciling", ""),
        ("reconciling", "no report"),
        ("trading", ""),
    )
    seen = []
    for number, (state, detail) in enumerate(told, 1):
        present = applied(present, state_event(number, RunState(state), detail=detail))
        seen.append((present.state.value, present.detail or ""))
    assert tuple(seen) == told


def test_an_engine_that_is_impaired_from_its_start_never_traded() -> None:
    impaired = applied(session(RunState.RECONCILING), state_event(1, RunState.IMPAIRED, detail="why"))
    assert (impaired.state, impaired.trading_at) == (RunState.IMPAIRED, None)


def test_a_failure_keeps_all_that_the_sidecar_tells() -> None:
    event = state_event(
        7,
        RunState.FAILED,
        reason=FailureReason.STRATEGY,
        detail="ValueError: boom\x00",
        exit_code=-6,
        log_tail=("one", "two\x00"),
        not_confirmed=("order O-1 still open",),
    )
    failed = applied(session(), event)
    assert (failed.state, failed.reason, failed.exit_code) == ("failed", "strategy", -6)
    assert failed.detail == "ValueError: boom\ufffd; not confirmed: order O-1 still open"
    assert failed.log_tail == ("one", "two\ufffd")
    assert not failed.is_provisional


def test_of_more_doubts_than_are_kept_their_number_is() -> None:
    doubts = tuple(f"order O-{number} still open" for number in range(103))
    failed = applied(session(), state_event(7, RunState.FAILED, not_confirmed=doubts))
    assert failed.not_confirmed == (*doubts[:100], "and 3 more")


def test_an_exit_code_that_no_process_can_have_is_not_kept() -> None:
    assert applied(session(), state_event(7, RunState.FAILED, exit_code=2**40)).exit_code is None


def test_the_sidecars_account_replaces_what_the_container_told() -> None:
    by_container = session(RunState.FAILED, reason=FailureReason.CRASH, is_provisional=True, exit_code=1)
    event = state_event(7, RunState.FAILED, reason=FailureReason.FROZEN, exit_code=-9, log_tail=("last",))
    told = applied(by_container, event)
    assert (told.state, told.reason, told.log_tail) == ("failed", "frozen", ("last",))
    again = applied(told, state_event(8, RunState.FAILED, reason=FailureReason.CRASH))
    assert again.reason == FailureReason.FROZEN


def test_the_last_event_of_a_session_begins_its_restart() -> None:
    before = engine(session(RunState.STOPPING), pending=spec("s2", 2))
    decision = apply_states(before, [state_event(9, RunState.STOPPED)], HOSTS, NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.session_id == "s2"
    assert StartContainer("e1", "s2", "h1") in decision.effects


def encoded(**changes: object) -> bytes:
    event = EngineEvent(
        instance_id="e1",
        session_id="s1",
        generation=1,
        seq=1,
        at_ns=1_700_000_000_123_456_789,
        kind=EventKind.ALERT,
        data=Alert(severity=Severity.INFO, code="x", message="y"),
    )
    return msgspec.json.encode({**msgspec.to_builtins(event), **changes})


def test_an_event_is_stored_as_it_was_published() -> None:
    stored = read("engine.e1.alert", encoded())
    assert stored.body.encode() == encoded()
    assert (stored.instance_id, stored.session_id, stored.seq, stored.kind) == ("e1", "s1", 1, "alert")
    assert stored.at.microsecond == 123456
    assert stored.state is None


@pytest.mark.parametrize(
    ("subject", "body", "complaint"),
    [
        ("engine.e1.alert", b"", "does not fit"),
        ("engine.e1.alert", b"\xff\xfe", "does not fit"),
        ("engine.e1.alert", b"[" * 100_000, "does not fit"),
        ("engine.e1.alert", encoded(data={"severity": "loud", "code": "x", "message": "y"}), "does not fit"),
        ("engine.e1.alert", encoded(session_id="a.b"), "does not fit"),
        ("engine.e1.fill", encoded(), "does not fit"),
        ("engine.e2.alert", encoded(), "about engine e1"),
        ("engine.e1.alert", encoded(kind="fill"), "of kind fill"),
        ("engine.e1.alert", encoded(seq=0), "out of range"),
        ("engine.e1.alert", encoded(seq=2**70), "out of range"),
        ("engine.e1.alert", encoded(at_ns=-1), "out of range"),
        ("engine.e1.alert", encoded(at_ns=2**80), "out of range"),
        ("engine.e1.heartbeat", encoded(), "no engine event"),
        ("engine.e1.x.alert", encoded(), "no engine event"),
        ("alert", encoded(), "no engine event"),
    ],
)
def test_a_poisoned_message_is_refused_with_a_reason(subject: str, body: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(subject, body)


START = StartContainer("e1", "s1", "h1")
COMMAND = CommandStop("e1", "s1", StopPolicy.CANCEL, after(30))
STOP = StopContainer("e1", "s1", "h1", 30.0)
KILL = KillContainer("e1", "s1", "h1")


def stopping() -> Engine:
    return engine(session(RunState.STOPPING, stop=OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)))


@pytest.mark.parametrize(
    ("effect", "field"), [(COMMAND, "acknowledged_at"), (STOP, "terminated_at"), (KILL, "killed_at")]
)
def test_how_far_a_stop_got_is_recorded(effect: object, field: str) -> None:
    decision = outcomes.done(stopping(), effect, after(3))  # type: ignore[arg-type]
    assert decision.engine.session is not None
    assert getattr(decision.engine.session.stop, field) == after(3)


@pytest.mark.parametrize(
    ("code", "retry_after_s"),
    [(FaultCode.UNAVAILABLE, 1.0), (FaultCode.OUTCOME_UNKNOWN, None), (FaultCode.BUSY, None)],
)
def test_a_start_that_may_yet_succeed_is_noted_and_tried_again(
    code: FaultCode, retry_after_s: float | None
) -> None:
    problem = Fault(code=code, message="not now", retry_after_s=retry_after_s)
    decision = outcomes.failed(engine(session(RunState.CREATING)), START, problem, HOSTS, NOW)
    assert decision.engine.session is not None
    assert (decision.engine.session.state, decision.engine.session.detail) == ("creating", "host h1: not now")
    assert not outcomes.failed(decision.engine, START, problem, HOSTS, NOW).is_change


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (FaultCode.INVALID, FailureReason.CONFIG),
        (FaultCode.UNAVAILABLE, FailureReason.HOST),
        (FaultCode.CONFLICT, FailureReason.HOST),
        (FaultCode.INTERNAL, FailureReason.HOST),
    ],
)
def test_a_start_that_can_never_succeed_ends_the_session(code: FaultCode, reason: FailureReason) -> None:
    problem = Fault(code=code, message="no such image")
    decision = outcomes.failed(engine(session(RunState.CREATING)), START, problem, HOSTS, NOW)
    assert decision.engine.session is not None
    assert (decision.engine.session.state, decision.engine.session.reason) == ("failed", reason)
    assert decision.engine.session.detail == "host h1: no such image"


def test_a_start_that_is_refused_for_now_is_tried_again_whatever_the_code() -> None:
    problem = Fault(code=FaultCode.CONFLICT, message="the name does not come free", retry_after_s=1.0)
    decision = outcomes.failed(engine(session(RunState.CREATING)), START, problem, HOSTS, NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.CREATING


CALL_OFF = CallOff("e1", "s1", "h1")


def called_off(present: Session) -> Session:
    decision = outcomes.done(engine(present), CALL_OFF, after(3))
    assert decision.engine.session is not None
    return decision.engine.session


def test_a_stop_whose_start_was_called_off_is_over_and_nothing_is_in_doubt() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    over = called_off(session(RunState.STOPPING, started_at=None, stop=order))
    assert (over.state, over.detail) == (RunState.STOPPED, "stopped before it began")
    assert (over.not_confirmed, over.ended_at) == ((), after(3))


def test_a_start_that_took_too_long_fails_once_it_is_called_off() -> None:
    over = called_off(session(RunState.CREATING, detail="host h1 did not start it within 120 s"))
    assert (over.state, over.reason) == (RunState.FAILED, FailureReason.HOST)
    assert over.detail == "host h1 did not start it within 120 s"


def test_a_session_that_was_seen_to_run_does_not_end_by_a_call_off() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    assert called_off(session(RunState.STOPPING, stop=order)).state == RunState.STOPPING


@pytest.mark.parametrize("code", list(FaultCode))
def test_a_call_off_that_is_not_confirmed_ends_nothing(code: FaultCode) -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    present = engine(session(RunState.STOPPING, started_at=None, stop=order))
    problem = Fault(code=code, message="no")
    assert not outcomes.failed(present, CALL_OFF, problem, HOSTS, NOW).is_change


@pytest.mark.parametrize("present", [None, session(RunState.STOPPED), session(session_id="s2", generation=2)])
def test_the_outcome_of_an_effect_for_another_session_changes_nothing(present: Session | None) -> None:
    problem = Fault(code=FaultCode.INTERNAL, message="no")
    assert not outcomes.done(engine(present), KILL, NOW).is_change
    assert not outcomes.failed(engine(present), START, problem, HOSTS, NOW).is_change


@pytest.mark.parametrize("effect", [STOP, KILL])
def test_a_signal_that_its_host_did_not_take_is_not_left_to_the_next_round(effect: ContainerEffect) -> None:
    present = engine(session(RunState.STOPPING, stop=OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)))
    problem = Fault(code=FaultCode.OUTCOME_UNKNOWN, message="no answer")
    decision = outcomes.failed(present, effect, problem, HOSTS, NOW)
    assert (decision.engine, decision.is_change) == (present, False)
    assert decision.effects == (LookAgain("e1", after(0.3)),)


NEXT = {"session_id": "s2", "generation": 2, "started_at": None}
ORDERED = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)


@pytest.mark.parametrize("effect", [CALL_OFF, COMMAND, STOP, KILL])
def test_a_late_answer_for_the_session_before_says_nothing_of_the_stop_of_this_one(effect: object) -> None:
    present = engine(session(RunState.STOPPING, stop=ORDERED, **NEXT))
    assert outcomes.done(present, effect, after(3)).engine == present  # type: ignore[arg-type]


def test_a_late_refusal_of_the_session_before_does_not_fail_this_one() -> None:
    problem = Fault(code=FaultCode.INVALID, message="no")
    present = engine(session(RunState.CREATING, **NEXT))
    assert outcomes.failed(present, START, problem, HOSTS, NOW).engine == present


@pytest.mark.parametrize("code", list(FaultCode))
def test_a_start_that_is_refused_while_it_is_to_stop_is_noted_and_called_off(code: FaultCode) -> None:
    present = engine(session(RunState.STOPPING, started_at=None, stop=ORDERED))
    problem = Fault(code=code, message="no")
    after_it = outcomes.failed(present, START, problem, HOSTS, NOW).engine.session
    assert after_it is not None
    assert (after_it.state, after_it.detail) == (RunState.STOPPING, "host h1: no")


def test_a_running_session_does_not_fail_because_its_start_was_sent_again() -> None:
    problem = Fault(code=FaultCode.CONFLICT, message="no")
    assert not outcomes.failed(engine(session()), START, problem, HOSTS, NOW).is_change
