from datetime import datetime, timedelta
from typing import Any

import pytest

from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    Effect,
    KillContainer,
    LookAgain,
    PublishState,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop, Session
from flotilla.services.orchestrator.engines.core.reconcile import leftovers, reconcile
from flotilla.services.orchestrator.engines.core.sightings import Sight
from tests.unit.orchestrator.makers import (
    HOSTS,
    NOW,
    STARTED,
    after,
    beat,
    engine,
    facts,
    replace,
    session,
    spec,
)

FINAL_EVENT_GRACE = timedelta(seconds=2)

SEEN = Sight(is_host_in_sight=True, is_listed=True)
RUNNING = replace(SEEN, container=facts(), heartbeat=beat())
LOST = Sight(is_unheard=True)


def exited(code: int = 1, **more: object) -> Sight:
    return replace(SEEN, container=facts(ContainerStatus.EXITED, exit_code=code, **more))


def step(present: Session, sight: Sight, seconds: float = 0.0) -> tuple[Session, list[Effect]]:
    """The session after one reconciliation, and what it is to have done besides telling the fleet."""
    decision = reconcile(engine(present), sight, HOSTS, after(seconds))
    if decision is None:
        return present, []
    assert decision.engine.session is not None
    return decision.engine.session, [e for e in decision.effects if not isinstance(e, PublishState)]


def ended(present: Session, sight: Sight) -> Session:
    """The session once the sidecar's account was waited for in vain."""
    waiting, effects = step(present, sight)
    assert waiting.state == present.state
    assert effects == [LookAgain("e1", NOW + FINAL_EVENT_GRACE)]
    return step(waiting, sight, FINAL_EVENT_GRACE.total_seconds())[0]


@pytest.mark.parametrize("state", STARTED)
def test_a_session_that_runs_as_it_should_needs_nothing(state: RunState) -> None:
    assert reconcile(engine(session(state)), RUNNING, HOSTS, after(3600)) is None


def test_an_engine_that_never_ran_needs_nothing() -> None:
    assert reconcile(engine(None), Sight(), HOSTS, NOW) is None


def test_a_waiting_session_is_placed_when_a_host_comes_in_sight() -> None:
    placed, effects = step(session(RunState.SCHEDULED), Sight(), 29)
    assert (placed.state, placed.host) == (RunState.CREATING, "h1")
    assert effects == [StartContainer("e1", "s1", "h1")]


def test_a_waiting_session_fails_when_no_host_comes_in_sight() -> None:
    waiting = engine(session(RunState.SCHEDULED))
    assert reconcile(waiting, Sight(), (), after(29)) is None
    decision = reconcile(waiting, Sight(), (), after(30))
    assert decision is not None
    assert decision.engine.session is not None
    assert (decision.engine.session.state, decision.engine.session.reason) == ("failed", "host")
    assert "no host" in (decision.engine.session.detail or "")


@pytest.mark.parametrize("container", [None, facts(ContainerStatus.CREATED), facts(ContainerStatus.GONE)])
def test_an_early_session_without_a_running_container_is_started_again_on_its_host(
    container: ContainerFacts | None,
) -> None:
    present = session(RunState.CREATING, host="h9")
    after_step, effects = step(present, replace(SEEN, container=container), 60)
    assert after_step == present
    assert effects == [StartContainer("e1", "s1", "h9")]


def test_an_early_session_whose_host_is_out_of_sight_is_not_started_elsewhere() -> None:
    assert step(session(RunState.CREATING), Sight(), 5) == (session(RunState.CREATING), [])
    unknown, effects = step(session(RunState.CREATING), LOST, 60)
    assert (unknown.state, unknown.host, effects) == (RunState.UNKNOWN, "h1", [])
    again, effects = step(unknown, SEEN, 90)
    assert (again.state, effects) == (RunState.CREATING, [StartContainer("e1", "s1", "h1")])


def test_an_early_session_that_never_gets_a_container_is_called_off() -> None:
    late, effects = step(session(RunState.CREATING, detail="host h1: disk full"), SEEN, 120)
    assert (late.state, effects) == (RunState.CREATING, [CallOff("e1", "s1", "h1")])
    assert late.detail == "host h1 did not start it within 120 s: host h1: disk full"
    assert step(late, SEEN, 122) == (late, effects)


def test_a_running_container_is_a_booting_session() -> None:
    booting, _ = step(session(RunState.CREATING), replace(SEEN, container=facts(started_at=after(-1))), 1)
    assert (booting.state, booting.started_at) == (RunState.BOOTING, after(-1))


def test_the_sidecars_own_account_is_waited_for_before_the_container_tells() -> None:
    waiting, _ = step(session(), exited())
    assert (waiting.state, waiting.exit_seen_at) == (RunState.TRADING, NOW)
    assert step(waiting, exited(), 1.9) == (waiting, [])


@pytest.mark.parametrize(
    ("sight", "reason", "code"),
    [
        (exited(137, is_oom_killed=True), FailureReason.OOM, 137),
        (exited(1), FailureReason.CRASH, 1),
        (exited(-9), FailureReason.KILLED, -9),
        (exited(-9, is_oom_killed=True), FailureReason.OOM, -9),
        (exited(78), FailureReason.CONFIG, 78),
        (SEEN, FailureReason.CRASH, None),
        (replace(SEEN, container=facts(ContainerStatus.GONE)), FailureReason.CRASH, None),
    ],
)
@pytest.mark.parametrize("state", [*STARTED, RunState.UNKNOWN])
def test_a_container_that_ended_unasked_is_a_failure_that_says_how(
    state: RunState, sight: Sight, reason: FailureReason, code: int | None
) -> None:
    failed = ended(session(state), sight)
    assert (failed.state, failed.reason, failed.exit_code) == (RunState.FAILED, reason, code)
    assert failed.is_provisional
    assert (str(code) if code is not None else "gone") in (failed.detail or "")


@pytest.mark.parametrize(("said", "kept"), [(7, 7), (2**62, 2**62), (2**63, 0), (-1, 0)])
def test_a_lost_tail_is_known_by_the_last_heartbeat_unless_no_event_can_have_that_number(
    said: int, kept: int
) -> None:
    assert ended(session(), replace(exited(1), last_seq=said)).told_seq == kept


def test_a_container_that_ended_cleanly_is_a_stopped_session() -> None:
    stopped = ended(session(), exited(0))
    assert (stopped.state, stopped.exit_code) == (RunState.STOPPED, 0)


@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_container_that_ended_while_stopping_is_a_stopped_session(code: int) -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    stopped = ended(session(RunState.STOPPING, stop=order), exited(code))
    assert (stopped.state, stopped.exit_code) == (RunState.STOPPED, code)


@pytest.mark.parametrize("code", [1, 137])
def test_one_that_stopped_because_it_failed_and_was_killed_meanwhile_has_failed(code: int) -> None:
    """Else it would count as stopped by somebody, and not be started again."""
    failing = session(RunState.STOPPING, reason=FailureReason.VENUE, detail="did not connect in time: X")
    found = ended(failing, exited(code))
    assert (found.state, found.reason, found.exit_code) == (RunState.FAILED, FailureReason.VENUE, code)
    assert (found.detail or "").startswith("did not connect in time: X; ")
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    assert ended(replace(failing, stop=order), exited(code)).state == RunState.STOPPED


def test_a_killed_session_is_over_as_soon_as_its_container_is() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL, is_forced=True)
    stopped, effects = step(session(RunState.STOPPING, stop=order), exited(137))
    assert stopped.state == RunState.STOPPED
    assert effects == [RemoveContainer("e1", "s1", "h1")]


UNBEGUN = session(
    RunState.STOPPING, started_at=None, stop=OrderedStop(asked_at=NOW, policy=StopPolicy.FLATTEN)
)


@pytest.mark.parametrize("status", [None, ContainerStatus.GONE, ContainerStatus.CREATED])
@pytest.mark.parametrize("seconds", [0, 5, 60, 3600])
def test_a_session_whose_start_may_be_under_way_is_called_off_and_not_taken_for_ended(
    status: ContainerStatus | None, seconds: float
) -> None:
    sight = replace(SEEN, container=facts(status) if status else None)
    assert step(UNBEGUN, sight, seconds) == (UNBEGUN, [CallOff("e1", "s1", "h1")])


@pytest.mark.parametrize("sight", [replace(SEEN, container=facts()), replace(SEEN, heartbeat=beat())])
def test_a_session_that_came_up_although_it_was_to_stop_is_told_by_its_policy_before_any_signal(
    sight: Sight,
) -> None:
    told, effects = step(UNBEGUN, sight, 7)
    assert told.started_at is not None
    assert effects == [
        CommandStop("e1", "s1", StopPolicy.FLATTEN, after(30)),
        LookAgain("e1", after(12)),
    ]
    assert step(told, replace(SEEN, container=facts()), 12)[1] == [StopContainer("e1", "s1", "h1", 21.0)]
    _, (late, _) = step(UNBEGUN, sight, 40)
    assert late == CommandStop("e1", "s1", StopPolicy.FLATTEN, after(50))


@pytest.mark.parametrize("state", [RunState.STOPPING, RunState.TRADING])
@pytest.mark.parametrize(("code", "trading_at"), [(-9, None), (-9, NOW), (-15, NOW), (0, None), (1, NOW)])
def test_a_session_that_ended_without_an_account_says_what_is_not_known(
    state: RunState, code: int, trading_at: datetime | None
) -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.FLATTEN) if state == RunState.STOPPING else None
    over = ended(session(state, stop=order, trading_at=trading_at), exited(code))
    assert over.not_confirmed == ("the engine gave no account of its orders and positions",)


@pytest.mark.parametrize("code", [-15, 78])
def test_a_sidecar_that_ended_before_there_was_an_engine_leaves_nothing_in_doubt(code: int) -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.FLATTEN)
    assert ended(session(RunState.STOPPING, stop=order), exited(code)).not_confirmed == ()
    heard = session(RunState.STOPPING, stop=order, state_seq=1)
    assert ended(heard, exited(code)).not_confirmed != ()


@pytest.mark.parametrize("claim", [RunState.STOPPED, RunState.FAILED, RunState.COMPLETED])
def test_a_claimed_end_puts_the_kill_off_by_no_more_than_a_moment(claim: RunState) -> None:
    ending = stopping(acknowledged_at=NOW)
    delivering = replace(RUNNING, heartbeat=beat(claim))
    # 30 s for the stop, 3 s for its sidecar to end it: then 1.5 s for what it has to deliver, and all within 35 s.
    assert step(ending, delivering, 33) == (ending, [LookAgain("e1", after(34.5))])
    assert step(ending, delivering, 34.4) == (ending, [LookAgain("e1", after(34.5))])
    assert step(ending, delivering, 34.5)[1] == [KILL]
    assert step(ending, replace(RUNNING, heartbeat=beat(RunState.STOPPING)), 33)[1] == [KILL]
    assert step(stopping(is_forced=True), delivering, 0)[1] == [KILL]


def test_a_list_without_the_container_is_not_believed_while_its_sidecar_is_heard() -> None:
    assert step(session(), replace(SEEN, heartbeat=beat())) == (session(), [])


def test_a_list_from_before_the_session_changed_says_nothing() -> None:
    assert step(session(), Sight(is_host_in_sight=True)) == (session(), [])


@pytest.mark.parametrize("state", [*STARTED, RunState.STOPPING])
def test_a_session_out_of_sight_is_unknown(state: RunState) -> None:
    assert step(session(state), LOST)[0].state == RunState.UNKNOWN


def test_a_session_is_not_unknown_while_either_host_or_sidecar_is_heard() -> None:
    assert reconcile(engine(session()), replace(RUNNING, is_host_in_sight=False), (), NOW) is None
    assert reconcile(engine(session()), replace(SEEN, container=facts(), is_unheard=True), (), NOW) is None


@pytest.mark.parametrize("state", [*STARTED, RunState.STOPPING])
def test_an_unknown_session_that_is_heard_again_is_where_its_sidecar_says(state: RunState) -> None:
    assert step(session(RunState.UNKNOWN), replace(RUNNING, heartbeat=beat(state)))[0].state == state


def test_an_unknown_session_whose_container_is_merely_seen_stays_unknown() -> None:
    assert step(session(RunState.UNKNOWN), replace(SEEN, container=facts()))[0].state == RunState.UNKNOWN


def test_a_stop_that_was_asked_for_out_of_sight_goes_on_when_it_is_back() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.FLATTEN)
    back, effects = step(session(RunState.UNKNOWN, stop=order), RUNNING)
    assert back.state == RunState.STOPPING
    assert effects == [CommandStop("e1", "s1", StopPolicy.FLATTEN, after(30))]


def stopping(**done: Any) -> Session:
    return session(RunState.STOPPING, stop=OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL, **done))


COMMAND = CommandStop("e1", "s1", StopPolicy.CANCEL, after(30))
KILL = KillContainer("e1", "s1", "h1")
BACK = {"in_reach_at": after(7), "until": after(37)}
LATE = {"in_reach_at": after(20), "until": after(30)}


@pytest.mark.parametrize(
    ("present", "seconds", "expected"),
    [
        (stopping(), 0, [COMMAND]),
        (stopping(), 4.9, [COMMAND]),
        (stopping(), 5, [StopContainer("e1", "s1", "h1", 28.0)]),
        (stopping(**BACK), 11.9, [replace(COMMAND, until=after(37))]),
        (stopping(**BACK), 12, [StopContainer("e1", "s1", "h1", 28.0)]),
        (stopping(**LATE), 24.9, [replace(COMMAND, until=after(30))]),
        (stopping(**LATE), 25, [StopContainer("e1", "s1", "h1", 8.0)]),
        (stopping(acknowledged_at=NOW), 32.9, []),
        (stopping(acknowledged_at=NOW), 33, [KILL]),
        (stopping(**BACK, acknowledged_at=after(9)), 39.9, []),
        (stopping(**BACK, acknowledged_at=after(9)), 40, [KILL]),
        (stopping(terminated_at=after(5)), 34.9, []),
        (stopping(terminated_at=after(5)), 35, [KILL]),
        (stopping(terminated_at=NOW, killed_at=after(35)), 40, []),
        (stopping(terminated_at=NOW, killed_at=after(35)), 45, [KILL]),
        (stopping(is_forced=True), 0, [KILL]),
    ],
)
def test_a_stop_is_carried_through_step_by_step(
    present: Session, seconds: float, expected: list[Effect]
) -> None:
    assert step(present, RUNNING, seconds) == (present, expected)


@pytest.mark.parametrize("state", [RunState.STOPPED, RunState.FAILED])
@pytest.mark.parametrize(
    ("container", "seconds", "expected"),
    [
        (None, 60, []),
        (facts(ContainerStatus.GONE), 60, []),
        (facts(ContainerStatus.EXITED), 0, [RemoveContainer("e1", "s1", "h1")]),
        (facts(ContainerStatus.CREATED), 0, [RemoveContainer("e1", "s1", "h1")]),
        (facts(), 9, []),
        (facts(), 10, [StopContainer("e1", "s1", "h1", 10.0)]),
    ],
)
def test_what_is_left_of_an_ended_session_is_tidied_away(
    state: RunState, container: ContainerFacts | None, seconds: float, expected: list[Effect]
) -> None:
    assert step(session(state), replace(SEEN, container=container), seconds) == (session(state), expected)


def test_containers_of_older_sessions_are_tidied_and_unknown_ones_left_alone() -> None:
    old, foreign = facts(session_id="s0"), facts(session_id="who")
    effects = leftovers([old, foreign], {"s0": session(RunState.STOPPED, session_id="s0")}, after(60))
    assert effects == (StopContainer("e1", "s0", "h1", 10.0),)


def restarting(state: RunState) -> Engine:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL, is_forced=True)
    return engine(session(state, stop=order), pending=spec("s2", 2))


def test_the_end_of_a_session_begins_its_restart_in_the_same_change() -> None:
    decision = reconcile(restarting(RunState.STOPPING), exited(0), HOSTS, NOW)
    assert isinstance(decision, Decision)
    assert decision.ended is not None
    assert (decision.ended.session_id, decision.ended.state) == ("s1", RunState.STOPPED)
    assert decision.engine.session is not None
    assert (decision.engine.session.session_id, decision.engine.generation) == ("s2", 2)
    assert decision.engine.pending is None
    assert decision.spec == spec("s2", 2)
    assert StartContainer("e1", "s2", "h1") in decision.effects
    assert RemoveContainer("e1", "s1", "h1") in decision.effects


def test_nothing_restarts_a_failed_engine() -> None:
    assert reconcile(engine(session(RunState.FAILED)), SEEN, HOSTS, after(3600)) is None
