import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import ClientState, RunState
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.placement import HostLoad, choose
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.core.views import client_state, live_view, record_view
from tests.unit.orchestrator.makers import NOW, after, beat, engine, host_beat, replace, session


def running(instance_id: str, started: float = 0, state: RunState = RunState.TRADING) -> Engine:
    present = session(
        state, instance_id=instance_id, session_id=f"s-{instance_id}", created_at=after(started)
    )
    return engine(present, instance_id=instance_id)


def test_without_an_id_the_only_active_engine_is_meant() -> None:
    fleet = Fleet([running("e1"), running("e2", 5, RunState.STOPPED)])
    assert fleet.which(None) == fleet.get("e1")


def test_without_an_active_engine_the_one_that_started_last_is_meant() -> None:
    fleet = Fleet([running("e1", 9, RunState.FAILED), running("e2", 5, RunState.STOPPED)])
    assert fleet.which(None) == fleet.get("e1")


def test_when_none_ever_ran_none_is_meant() -> None:
    assert Fleet().which(None) is None


def test_among_several_active_engines_one_must_be_named() -> None:
    fleet = Fleet([running("e2"), running("e1"), running("e3", 0, RunState.STOPPED)])
    with pytest.raises(FaultError, match="e1, e2") as raised:
        fleet.which(None)
    assert raised.value.fault.code == FaultCode.AMBIGUOUS_ENGINE
    assert [error.message for error in raised.value.fault.errors] == ["e1", "e2"]
    assert fleet.which("e3") == fleet.get("e3")


def test_an_engine_that_never_ran_is_not_found() -> None:
    with pytest.raises(FaultError) as raised:
        Fleet().which("e1")
    assert raised.value.fault.code == FaultCode.NOT_FOUND


def test_the_engine_that_started_last_comes_first() -> None:
    fleet = Fleet([running("e1", 1), running("e3", 3), running("e2", 2, RunState.STOPPED)])
    assert [each.instance_id for each in fleet.recent()] == ["e3", "e2", "e1"]
    assert [each.instance_id for each in fleet.active()] == ["e3", "e1"]


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    newer = engine(session(), version=8)
    fleet = Fleet([newer])
    fleet.put(engine(session(), version=7))
    assert fleet.get("e1") == newer


def test_the_number_of_the_last_event_only_grows_and_belongs_to_its_session() -> None:
    fleet = Fleet([engine(session(last_seq=4))])
    for session_id, seq in (("s1", 6), ("s1", 5), ("s0", 9)):
        fleet.saw_event("e1", session_id, seq)
    fleet.saw_event("e2", "s1", 9)
    present = fleet.get("e1")
    assert present is not None
    assert present.session is not None
    assert present.session.last_seq == 6


def test_a_host_counts_what_is_placed_on_it_before_it_has_begun_it() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_host(host_beat("h1", sessions=0), NOW)
    sightings.heard_host(host_beat("h2", sessions=3), NOW)
    sightings.heard_host(host_beat("h3", is_runtime_up=False), NOW)
    fleet = Fleet([running("e1"), running("e2"), running("e3", 0, RunState.STOPPED)])
    assert set(fleet.hosts(sightings, NOW)) == {HostLoad("h1", 2, 2), HostLoad("h2", 2, 3)}


def test_the_least_loaded_host_is_chosen() -> None:
    assert choose(()) is None
    assert choose((HostLoad("b", 2, 1), HostLoad("a", 8, 3))) == "a"
    assert choose((HostLoad("b", 2, 0), HostLoad("a", 2, 0))) == "a"


def test_every_state_is_one_of_the_five_that_clients_know() -> None:
    shown = {state: client_state(session(state)) for state in RunState}
    assert shown[RunState.SCHEDULED] == shown[RunState.RECONCILING] == ClientState.STARTING
    assert shown[RunState.TRADING] == ClientState.RUNNING
    assert shown[RunState.FAILED] == shown[RunState.UNKNOWN] == ClientState.ERROR
    assert client_state(None) == ClientState.STOPPED


def test_a_view_shows_telemetry_of_the_present_session_only() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_engine(beat(is_frozen=True), NOW)
    shown = live_view(engine(session()), sightings, after(1.5))
    assert (shown.heartbeat_age_s, shown.is_frozen) == (1.5, True)
    for other in (session(session_id="s2"), session(RunState.STOPPED), None):
        assert live_view(engine(other), sightings, NOW) == record_view(engine(other), NOW)


def test_an_answer_takes_only_what_fits() -> None:
    assert fitting(["aaaa", "bbbb", "cccc"], budget=14) == ("aaaa", "bbbb")
    assert fitting(["x" * 100], budget=10) == ()
    assert len(fitting([replace(session(), session_id=f"s{n}") for n in range(100)])) == 100


def test_an_impaired_engine_has_its_reasons_before_its_heartbeat_says_them() -> None:
    sightings = FleetSightings(NOW)
    impaired = engine(session(RunState.IMPAIRED, detail="A is STOPPED"))
    assert live_view(impaired, sightings, NOW).problems == ("A is STOPPED",)
    sightings.heard_engine(beat(RunState.RECONCILING), NOW)
    assert live_view(impaired, sightings, NOW).problems == ("A is STOPPED",)
    sightings.heard_engine(beat(RunState.IMPAIRED, problems=("A is STOPPED", "B is away")), NOW)
    assert live_view(impaired, sightings, NOW).problems == ("A is STOPPED", "B is away")
    assert live_view(engine(session()), FleetSightings(NOW), NOW).problems == ()
