from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineMetrics
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings, Sight
from tests.unit.orchestrator.makers import NOW, after, beat, facts, host_beat, session


def test_a_host_is_in_sight_for_a_few_seconds_after_it_was_heard() -> None:
    sightings = FleetSightings(NOW)
    assert sightings.hosts(NOW) == ()
    sightings.heard_host(host_beat(), NOW)
    assert sightings.is_in_sight("h1", after(5.9))
    assert not sightings.is_in_sight("h1", after(6))
    assert sightings.hosts(after(6)) == ()


def test_what_there_was_no_time_to_hear_is_not_missing() -> None:
    sightings = FleetSightings(after(100))
    assert not sightings.sight(session(), after(109)).is_unheard
    assert sightings.sight(session(), after(110)).is_unheard


def test_a_stale_heartbeat_is_none() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_engine(beat(), after(5))
    assert sightings.sight(session(), after(14)).heartbeat == beat()
    later = sightings.sight(session(), after(15))
    assert (later.heartbeat, later.is_unheard) == (None, True)


def test_an_older_session_is_not_heard_over_a_newer_one() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_engine(beat(session_id="s2", generation=2), NOW)
    sightings.heard_engine(beat(generation=1), after(1))
    newer = session(session_id="s2", generation=2)
    assert sightings.sight(newer, after(2)).heartbeat is not None
    assert sightings.sight(session(), after(2)).heartbeat is None


def test_a_generation_that_the_record_does_not_know_is_not_heard() -> None:
    sightings = FleetSightings(NOW)
    assert not sightings.heard_engine(beat(generation=2**62, session_id="s9"), NOW, newest=1)
    assert sightings.heard_engine(beat(), after(1), newest=1)
    assert sightings.sight(session(), after(2)).heartbeat == beat()
    assert sightings.heard_engine(beat(session_id="s2", generation=2), after(3), newest=2)
    assert sightings.sight(session(session_id="s2", generation=2), after(4)).heartbeat is not None


def test_what_was_heard_of_an_engine_before_it_was_on_record_hides_no_session_of_it() -> None:
    sightings = FleetSightings(NOW)
    assert sightings.heard_engine(beat(generation=2**62, session_id="s9"), NOW)
    assert sightings.heard_engine(beat(), after(1), newest=1)
    assert sightings.sight(session(), after(2)).heartbeat == beat()


def test_a_container_never_comes_back_to_life() -> None:
    sightings = FleetSightings(NOW)
    assert sightings.saw_container(facts(ContainerStatus.EXITED), NOW)
    assert not sightings.saw_container(facts(ContainerStatus.RUNNING), NOW)
    container = sightings.sight(session(), NOW).container
    assert container is not None
    assert container.status == ContainerStatus.EXITED
    assert sightings.saw_container(facts(ContainerStatus.RUNNING), NOW, is_new=True)


def test_a_report_that_says_the_same_is_no_news() -> None:
    sightings = FleetSightings(NOW)
    assert sightings.saw_container(facts(), NOW)
    assert not sightings.saw_container(facts(), NOW)


def test_a_container_that_the_list_does_not_name_is_gone() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_host(host_beat(), after(10))
    sightings.saw_container(facts(), NOW)
    sightings.saw_container(facts(session_id="s2"), after(11))
    sightings.saw_container(facts(session_id="s3", host="h2"), NOW)
    sightings.listed("h1", [], asked_at=after(10))
    assert {each.session_id for each in sightings.containers()} == {"s2", "s3"}
    assert sightings.sight(session(), after(11)) == Sight(
        is_host_in_sight=True, is_listed=True, is_unheard=True
    )


def test_a_container_that_comes_back_after_it_was_gone_is_seen_again_once_it_is_listed() -> None:
    sightings = FleetSightings(NOW)
    sightings.saw_container(facts(ContainerStatus.GONE), after(1))
    created = facts(ContainerStatus.CREATED)
    assert not sightings.saw_container(created, after(2))
    sightings.listed("h1", [created], asked_at=after(1))
    assert sightings.containers() == (facts(ContainerStatus.GONE),)
    sightings.listed("h1", [created], asked_at=after(3))
    assert sightings.containers() == (created,)


def test_a_list_asked_for_before_the_session_changed_does_not_count() -> None:
    sightings = FleetSightings(NOW)
    sightings.listed("h1", [], asked_at=after(1))
    assert not sightings.sight(session(changed_at=after(2)), after(3)).is_listed


def test_metrics_of_another_session_are_not_shown() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_engine(beat(), NOW)
    sightings.heard_metrics(EngineMetrics(instance_id="e1", session_id="s0", at_ns=0), NOW)
    assert sightings.telemetry(session(), after(1)) == (1.0, beat(), None)
    own = EngineMetrics(instance_id="e1", session_id="s1", at_ns=0, orders_total=3)
    sightings.heard_metrics(own, NOW)
    assert sightings.telemetry(session(), after(1)) == (1.0, beat(), own)
    assert sightings.telemetry(session(RunState.TRADING, session_id="s9"), NOW) is None


def test_an_engine_is_silent_when_it_could_have_been_heard_for_fifteen_seconds() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_engine(beat(last_seq=7), after(1))
    for second in range(0, 60, 5):
        sightings.heard_host(host_beat(), after(second))
    assert not sightings.sight(session(), after(15.9)).is_silent
    assert sightings.sight(session(), after(16)).is_silent
    assert sightings.sight(session(), after(59)).last_seq == 7


def test_while_its_host_was_out_of_sight_an_engine_could_not_be_heard() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_host(host_beat(), NOW)
    assert sightings.sight(session(), after(30)).is_silent
    sightings.heard_host(host_beat(), after(31))
    assert not sightings.sight(session(), after(45)).is_silent
    sightings.heard_host(host_beat(), after(36))
    sightings.heard_host(host_beat(), after(41))
    assert sightings.sight(session(), after(46)).is_silent
