from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import StopEngine
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import Severity
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.again import start_again
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    Effect,
    LookAgain,
    RaiseAlert,
    StartAgain,
    StartContainer,
)
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.restarts import (
    backoff,
    is_owed,
    plan,
    recent,
    standing_alerts,
)
from flotilla.services.orchestrator.engines.core.sightings import Sight
from flotilla.services.orchestrator.engines.core.views import record_view
from tests.unit.orchestrator.makers import (
    HOSTS,
    NOW,
    after,
    engine,
    facts,
    replace,
    session,
    spec,
    state_event,
)

POLICY = RestartPolicy(max_restarts=3, window_s=3600, backoff_s=2, max_backoff_s=300)
SEEN = Sight(is_host_in_sight=True, is_listed=True)


def failing(reason: FailureReason = FailureReason.CRASH, now: float = 0, **facts: object) -> Decision:
    """An engine whose session fails."""
    trading = engine(session(), **{"restart_policy": POLICY, **facts})
    return apply_states(trading, [state_event(9, RunState.FAILED, reason=reason)], HOSTS, after(now))


def alerts(decision: Decision) -> list[RaiseAlert]:
    return [effect for effect in decision.effects if isinstance(effect, RaiseAlert)]


def due(failed: Engine, now: datetime, sight: Sight = SEEN) -> list[Effect]:
    decision = reconcile(failed, sight, HOSTS, now)
    return list(decision.effects) if decision else []


IS_TRIED_AGAIN = {
    FailureReason.CRASH: True,
    FailureReason.KILLED: True,
    FailureReason.OOM: True,
    FailureReason.FROZEN: True,
    FailureReason.HOST: True,
    FailureReason.VENUE: True,
    FailureReason.CONFIG: False,
    FailureReason.STRATEGY: False,
    FailureReason.OPERATOR: False,
}


def test_of_every_reason_it_is_written_down_whether_it_is_tried_again() -> None:
    assert set(IS_TRIED_AGAIN) == set(FailureReason)


@pytest.mark.parametrize("reason", [reason for reason, again in IS_TRIED_AGAIN.items() if again])
def test_what_may_pass_is_tried_again_after_a_while(reason: FailureReason) -> None:
    decision = failing(reason)
    assert decision.engine.restart_at == after(2)
    assert LookAgain("e1", after(2)) in decision.effects
    assert due(decision.engine, after(1.9)) == []
    assert due(decision.engine, after(2)) == [StartAgain("e1", "s1")]


@pytest.mark.parametrize("reason", [reason for reason, again in IS_TRIED_AGAIN.items() if not again])
def test_what_an_operator_a_configuration_or_a_strategy_did_is_left(reason: FailureReason) -> None:
    decision = failing(reason)
    assert decision.engine.restart_at is None
    assert alerts(decision) == []


def test_an_engine_that_nobody_wants_any_more_is_left() -> None:
    stopped = failing(desired=DesiredState.STOPPED)
    assert stopped.engine.restart_at is None
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    stopping = engine(session(RunState.STOPPING, stop=order), restart_policy=POLICY)
    event = state_event(9, RunState.FAILED, reason=FailureReason.CRASH)
    assert apply_states(stopping, [event], HOSTS, NOW).engine.restart_at is None


@pytest.mark.parametrize("policy", [None, RestartPolicy()])
def test_without_a_budget_nothing_is_planned_and_nobody_is_alarmed(policy: RestartPolicy | None) -> None:
    decision = failing(restart_policy=policy)
    assert (decision.engine.restart_at, alerts(decision)) == (None, [])


@pytest.mark.parametrize("policy", [None, RestartPolicy()])
def test_without_a_budget_whoever_takes_over_tells_nothing(policy: RestartPolicy | None) -> None:
    failed = replace(failing().engine, restart_policy=policy, restart_at=None, restarts=(after(-10),))
    assert standing_alerts(failed, after(1)) == ()
    assert standing_alerts(replace(failed, session=None, restart_policy=POLICY), after(1)) == ()


def test_what_is_wanted_and_failed_is_owed_a_session_and_nothing_else_is() -> None:
    failed = failing().engine
    assert failed.session is not None
    assert is_owed(failed)
    assert not is_owed(replace(failed, desired=DesiredState.STOPPED))
    assert not is_owed(replace(failed, removed_at=NOW))
    assert not is_owed(replace(failed, pending=spec("s2", 2)))
    assert not is_owed(replace(failed, session=None))
    for state in (RunState.TRADING, RunState.STOPPED, RunState.UNKNOWN):
        assert not is_owed(replace(failed, session=replace(failed.session, state=state)))
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    assert not is_owed(replace(failed, session=replace(failed.session, stop=order)))


def test_a_restart_that_is_planned_keeps_its_time_and_one_that_is_not_gets_one() -> None:
    failed = failing().engine
    assert plan(failed, None, after(1)) == (failed, ())
    forgotten = replace(failed, restart_at=None)
    again, effects = plan(forgotten, None, after(1))
    assert (again.restart_at, effects) == (after(3), (LookAgain("e1", after(3)),))
    assert plan(forgotten, failed.session, after(1)) == (forgotten, ())


def test_a_restart_is_counted_in_the_change_that_makes_it() -> None:
    failed = failing().engine
    decision = start_again(failed, spec(), "s2", HOSTS, after(2))
    assert decision.engine.session is not None
    assert (decision.engine.session.session_id, decision.engine.generation) == ("s2", 2)
    assert (decision.engine.restarts, decision.engine.restart_at) == ((after(2),), None)
    assert decision.spec == spec("s2", 2)
    assert StartContainer("e1", "s2", "h1") in decision.effects
    (alert,) = alerts(decision)
    assert (alert.alert.code, alert.alert.severity) == ("engine_restarted", Severity.WARNING)
    assert alert.key == "engine_restarted-s2"


def test_a_restart_is_made_once() -> None:
    failed = failing().engine
    begun = start_again(failed, spec(), "s2", HOSTS, after(2)).engine
    assert not start_again(begun, spec(), "s3", HOSTS, after(3)).is_change


@pytest.mark.parametrize(
    "changed",
    [
        {"desired": DesiredState.STOPPED},
        {"restart_at": None},
        {"restart_at": after(3)},
        {"removed_at": NOW},
    ],
)
def test_a_restart_that_is_not_due_any_more_is_not_made(changed: dict[str, object]) -> None:
    failed = replace(failing().engine, **changed)
    assert not start_again(failed, spec(), "s2", HOSTS, after(2)).is_change


def test_without_a_host_the_budget_is_not_used_up() -> None:
    assert not start_again(failing().engine, spec(), "s2", (), after(60)).is_change


def test_while_the_old_container_runs_no_second_one_is_begun() -> None:
    failed = failing().engine
    assert StartAgain("e1", "s1") not in due(failed, after(5), replace(SEEN, container=facts()))
    over = replace(SEEN, container=facts(ContainerStatus.EXITED))
    assert StartAgain("e1", "s1") in due(failed, after(5), over)


def test_a_spent_budget_is_told_once_and_the_engine_stays_down() -> None:
    decision = failing(restarts=(after(-30), after(-20), after(-10)))
    assert decision.engine.restart_at is None
    (alert,) = alerts(decision)
    assert (alert.alert.code, alert.alert.severity) == ("restart_budget_spent", Severity.CRITICAL)
    assert "3 restarts within 3600 s" in alert.alert.message
    again = plan(decision.engine, decision.engine.session, after(60))
    assert again == (decision.engine, ())


def test_restarts_before_the_window_count_no_more() -> None:
    decision = failing(restarts=(after(-7200), after(-3600), after(-10)))
    assert decision.engine.restart_at == after(4)
    assert recent(decision.engine, NOW) == (after(-10),)


def test_a_reason_that_turns_out_otherwise_takes_the_restart_back() -> None:
    crashed = replace(failing().engine)
    assert crashed.session is not None
    provisional = replace(crashed, session=replace(crashed.session, is_provisional=True, state_seq=8))
    told = state_event(9, RunState.FAILED, reason=FailureReason.STRATEGY)
    assert apply_states(provisional, [told], HOSTS, after(1)).engine.restart_at is None


def test_a_stop_takes_the_restart_back_and_a_start_renews_the_budget() -> None:
    failed = replace(failing().engine, restarts=(after(-10),))
    stopped = lifecycle.stop(failed, StopEngine(), request_id="r", now=after(1)).engine
    assert (stopped.desired, stopped.restart_at) == (DesiredState.STOPPED, None)
    assert due(stopped, after(60)) == []
    started = lifecycle.start(
        stopped, stopped.config, spec("s2"), request_id="r", hosts=HOSTS, now=after(2), policy=POLICY
    )
    assert started.engine.restarts == ()


def test_whoever_takes_over_tells_again_what_was_perhaps_not_told() -> None:
    failed = failing()
    assert standing_alerts(failed.engine, after(1)) == ()
    begun = start_again(failed.engine, spec(), "s2", HOSTS, after(2))
    (again,) = standing_alerts(begun.engine, after(3))
    assert isinstance(again, RaiseAlert)
    assert again.key == alerts(begun)[0].key
    spent = failing(restarts=(after(-30), after(-20), after(-10)))
    (again,) = standing_alerts(spent.engine, after(3))
    assert isinstance(again, RaiseAlert)
    assert again.key == alerts(spent)[0].key
    assert standing_alerts(engine(session(), restart_policy=POLICY), NOW) == ()


@given(st.integers(0, 100), st.floats(0.1, 3600), st.floats(0.1, 3600))
def test_the_wait_doubles_up_to_its_limit(made: int, first: float, most: float) -> None:
    policy = RestartPolicy(max_restarts=100, backoff_s=first, max_backoff_s=most)
    wait, longer = backoff(policy, made), backoff(policy, made + 1)
    assert wait <= longer <= 2 * wait + timedelta(microseconds=2)
    assert wait <= timedelta(seconds=most) + timedelta(microseconds=1)


@given(st.lists(st.floats(0.1, 2000), min_size=1, max_size=40), st.integers(0, 5), st.floats(1, 4000))
def test_within_any_window_no_more_than_the_budget_is_made(
    gaps: list[float], most: int, window_s: float
) -> None:
    policy = RestartPolicy(max_restarts=most, window_s=window_s, backoff_s=0.1)
    made: list[float] = []
    now, present, number = 0.0, engine(session(), restart_policy=policy), 1
    for gap in gaps:
        now += gap
        event = state_event(99, RunState.FAILED, reason=FailureReason.CRASH, generation=number)
        present = apply_states(present, [event], HOSTS, after(now)).engine
        now += 400
        begun = start_again(
            present, spec(f"s{number}" if number > 1 else "s1"), f"s{number + 1}", HOSTS, after(now)
        )
        if not begun.is_change:
            break
        made.append(now)
        present, number = begun.engine, number + 1
    for first in made:
        assert sum(first <= each < first + window_s for each in made) <= most


def test_a_view_says_until_when_each_restart_counts_so_that_who_keeps_it_need_not_ask() -> None:
    policy = RestartPolicy(max_restarts=5, window_s=60.0)
    view = record_view(
        replace(engine(), restart_policy=policy, restarts=(after(-61), after(-30), after(0))), NOW
    )
    assert (view.restarts, view.restarts_until) == (2, (after(30), after(60)))
    assert record_view(replace(engine(), restarts=(after(-1),)), NOW).restarts == 0
