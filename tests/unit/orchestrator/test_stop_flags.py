import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import DesiredState, RunState, StopPolicy
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.engines.core.effects import CommandStop, KillContainer
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import OrderedStop
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings, Sight
from flotilla.services.orchestrator.engines.core.stop_flags import halt, refuse_stopped
from tests.unit.orchestrator.makers import HOSTS, NOW, after, engine, host_beat, replace, session, spec
from tests.unit.orchestrator.test_engine import effects_of

ALL = StopFlag(since=NOW, reason="fat finger")
FLAGGED = Sight(is_host_in_sight=True, stop_flag=ALL, is_host_flagged=True)
ELSEWHERE = Sight(is_host_in_sight=True, stop_flag=ALL)


def test_a_start_under_a_flag_is_refused_and_says_how_to_lift_it() -> None:
    with pytest.raises(FaultError, match=r"all engines is in force since .*fat finger.*lift_stop") as raised:
        refuse_stopped("e1", ALL)
    assert raised.value.fault.code == FaultCode.CONFLICT
    refuse_stopped("e1", None)


def test_an_engine_that_its_host_stops_is_wanted_no_more_and_not_asked_twice() -> None:
    decision = reconcile(engine(session()), FLAGGED, HOSTS, after(1))
    assert decision is not None
    assert decision.engine.desired == DesiredState.STOPPED
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.STOPPING
    assert decision.engine.session.stop == OrderedStop(
        asked_at=after(1), policy=StopPolicy.FLATTEN, acknowledged_at=after(1)
    )
    assert effects_of(decision) == []
    assert halt(decision.engine, FLAGGED, after(2)) is None


def test_an_engine_whose_own_host_missed_the_stop_is_asked_to_flatten() -> None:
    decision = reconcile(engine(session()), ELSEWHERE, HOSTS, after(1))
    assert decision is not None
    assert effects_of(decision) == [CommandStop("e1", "s1", StopPolicy.FLATTEN, after(31))]


def test_a_stop_that_its_host_does_not_finish_is_carried_through() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.FLATTEN, acknowledged_at=NOW)
    stopping = engine(session(RunState.STOPPING, stop=order), desired=DesiredState.STOPPED)
    decision = reconcile(stopping, FLAGGED, HOSTS, after(36))
    assert decision is not None
    assert effects_of(decision) == [KillContainer("e1", "s1", "h1")]


def test_a_session_that_waits_for_a_host_ends_at_once() -> None:
    decision = halt(engine(session(RunState.SCHEDULED)), FLAGGED, after(1))
    assert decision is not None
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.STOPPED
    assert "emergency stop" in (decision.engine.session.detail or "")


def test_restarts_that_were_asked_for_or_due_are_taken_back() -> None:
    waiting = engine(session(RunState.FAILED), restart_at=after(5))
    decision = halt(waiting, FLAGGED, NOW)
    assert decision is not None
    assert (decision.engine.restart_at, decision.engine.desired) == (None, DesiredState.STOPPED)
    order = OrderedStop(asked_at=NOW, policy=None)
    restarting = engine(session(RunState.STOPPING, stop=order), pending=spec("s2", 2))
    decision = halt(restarting, FLAGGED, NOW)
    assert decision is not None
    assert decision.engine.pending is None


def test_each_of_what_would_begin_a_session_is_reason_enough_to_halt() -> None:
    over = engine(session(RunState.STOPPED), desired=DesiredState.STOPPED)
    assert halt(over, FLAGGED, NOW) is None
    for wanted in ({"restart_at": after(5)}, {"pending": spec("s2", 2)}, {"desired": DesiredState.RUNNING}):
        decision = halt(replace(over, **wanted), FLAGGED, NOW)
        assert decision is not None
        halted = decision.engine
        assert (halted.desired, halted.restart_at, halted.pending) == (DesiredState.STOPPED, None, None)


def test_an_engine_that_ended_while_it_was_wanted_is_wanted_no_more() -> None:
    """Nothing of it runs and no restart is due, but the next orchestrator would take it for one that is to run."""
    ended = engine(session(RunState.STOPPED), desired=DesiredState.RUNNING)
    decision = reconcile(ended, FLAGGED, HOSTS, NOW)
    assert decision is not None
    assert decision.engine.desired == DesiredState.STOPPED
    assert decision.engine.session == ended.session
    assert effects_of(decision) == []


def test_an_engine_that_runs_on_is_wanted_no_more_whoever_stops_it() -> None:
    for sight in (FLAGGED, ELSEWHERE):
        decision = halt(engine(session()), sight, after(1))
        assert decision is not None
        assert decision.engine.desired == DesiredState.STOPPED


def test_a_stop_of_all_engines_is_none_of_a_worker() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_host(host_beat("h1", stop_flags=(ALL,)), NOW)
    assert sightings.stop_flag("worker-h1", NOW, is_worker=True) is None
    assert sightings.sight(session(), NOW, is_worker=True).stop_flag is None
    assert not sightings.sight(session(), NOW, is_worker=True).is_host_flagged
    named = StopFlag(since=NOW, instance_id="worker-h1")
    sightings.heard_host(host_beat("h1", stop_flags=(named,)), NOW)
    assert sightings.stop_flag("worker-h1", NOW, is_worker=True) == named
    assert [host.stop_flags for host in Fleet().hosts(sightings, NOW, is_worker=True)] == [(named,)]


def test_an_engine_that_is_stopped_already_needs_nothing() -> None:
    stopped = engine(session(RunState.STOPPED), desired=DesiredState.STOPPED)
    assert reconcile(stopped, FLAGGED, HOSTS, NOW) is None


def test_only_the_flags_of_hosts_in_sight_that_name_the_engine_count() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_host(host_beat("h2", stop_flags=(StopFlag(since=NOW, instance_id="e2"),)), NOW)
    assert sightings.stop_flag("e1", NOW) is None
    sightings.heard_host(host_beat("h1", stop_flags=(ALL,)), NOW)
    assert sightings.stop_flag("e1", NOW) == ALL
    sight = sightings.sight(session(), NOW)
    assert (sight.stop_flag, sight.is_host_flagged) == (ALL, True)
    assert not sightings.sight(session(host="h2"), NOW).is_host_flagged
    assert sightings.stop_flag("e1", after(10)) is None


def test_a_lifted_flag_counts_no_more_before_the_next_heartbeat() -> None:
    sightings = FleetSightings(NOW)
    flags = (StopFlag(since=NOW, instance_id="e1"), StopFlag(since=NOW, instance_id="e2"))
    sightings.heard_host(host_beat(stop_flags=flags), NOW)
    sightings.lifted("e1")
    assert sightings.stop_flag("e1", NOW) is None
    assert sightings.stop_flag("e2", NOW) is not None
    sightings.lifted(None)
    assert sightings.stop_flag("e2", NOW) is None
