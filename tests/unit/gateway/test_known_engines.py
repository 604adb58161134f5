"""Engines in the gateway's memory: what is newer, what is made up, and what a session may say of its engine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from flotilla.schemas.config import WORKER_TEMPLATE, EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.schemas.telemetry import (
    EngineEvent,
    EngineMetrics,
    EventKind,
    Heartbeat,
    HostHeartbeat,
    StopFlag,
)
from flotilla.services.gateway.live.aged import Aged
from flotilla.services.gateway.live.known_engines import KnownEngines, Shown

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def view(
    name: str = "e1", *, generation: int = 1, state: RunState = RunState.TRADING, **changes: Any
) -> EngineView:
    session = SessionView(
        session_id=f"s{generation}",
        instance_id=name,
        generation=generation,
        state=state,
        container_name="c",
        created_at=NOW + timedelta(hours=generation),
    )
    known: dict[str, Any] = {
        "instance_id": name,
        "state": ClientState.RUNNING,
        "desired": DesiredState.RUNNING,
        "config": EngineConfig(instance_id=name),
        "session": session,
        "version": 1,
        **changes,
    }
    return EngineView(**known)


def beat(generation: int = 1, **changes: Any) -> Heartbeat:
    known: dict[str, Any] = {
        "session_id": f"s{generation}",
        "beat": 1,
        "at_ns": 1,
        "state": RunState.TRADING,
        **changes,
    }
    return Heartbeat(instance_id="e1", generation=generation, **known)


def shown(engines: KnownEngines, name: str = "e1", *, now: datetime = NOW, now_s: float = 10.0) -> Shown:
    return engines.shown(name, now, now_s)


def known(*views: EngineView) -> KnownEngines:
    engines = KnownEngines()
    for each in views:
        engines.put(each)
    return engines


def test_a_view_that_is_older_changes_nothing_and_one_without_a_number_is_taken() -> None:
    engines = known(view(version=3))
    assert not engines.put(view(version=2, state=RunState.STOPPING))
    assert engines.put(view(version=3, state=RunState.SILENT))
    assert engines.put(view(version=0, state=RunState.FAILED))
    engines.replace(view(version=1, state=RunState.STOPPED))
    found = engines.get("e1")
    assert found is not None
    assert found.session is not None
    assert found.session.state is RunState.STOPPED
    assert engines.put(view(version=9, is_removed=True))
    assert "e1" not in engines


@pytest.mark.parametrize(
    ("beats", "heard"),
    [
        ([1], None),  # of the session before
        ([2], 2),
        ([2, 1], 2),
        ([1, 2], 2),
        ([3], None),  # of one that cannot be there
        ([3, 2], 2),
    ],
)
def test_only_the_present_session_is_heard(beats: list[int], heard: int | None) -> None:
    engines = known(view(generation=2))
    for generation in beats:
        engines.beat(beat(generation, notes=(f"of {generation}",)), NOW, 7.5)
    found = shown(engines)
    assert found.age_s(10.0) == (2.5 if heard else None)
    assert found.at(10.0).heartbeat_age_s == (2.5 if heard else None)
    assert found.view.notes == ((f"of {heard}",) if heard else ())


def test_one_that_was_made_up_before_its_engine_was_known_hides_nothing() -> None:
    engines = KnownEngines()
    engines.beat(beat(7), NOW, 1.0)
    engines.put(view())
    engines.beat(beat(), NOW, 2.0)
    assert shown(engines).heard_s == 2.0


def test_what_a_session_said_is_nothing_once_it_is_over() -> None:
    engines = known(view())
    engines.beat(beat(), NOW, 1.0)
    engines.metrics(EngineMetrics(instance_id="e1", session_id="s1", at_ns=1), NOW)
    assert shown(engines).view.metrics is not None
    engines.put(view(state=RunState.STOPPED, version=2))
    assert (shown(engines).view.metrics, shown(engines).age_s(9.0)) == (None, None)


def test_figures_of_another_session_and_events_of_another_are_not_its_own() -> None:
    engines = known(view(generation=2))
    engines.beat(beat(2), NOW, 1.0)
    engines.metrics(EngineMetrics(instance_id="e1", session_id="s1", at_ns=1), NOW)
    event = EngineEvent(
        instance_id="e1", session_id="s1", generation=1, seq=9, at_ns=1, kind=EventKind.STATE, data=None
    )
    engines.event(event)
    found = shown(engines).view
    assert found.metrics is None
    assert found.session is not None
    assert found.session.last_seq == 0
    engines.event(msgspec.structs.replace(event, session_id="s2"))
    assert (session := shown(engines).view.session) is not None
    assert session.last_seq == 9


def test_the_same_object_is_shown_until_something_of_it_changes() -> None:
    engines = known(view(), view("e2"))
    first = shown(engines)
    engines.beat(beat(), NOW, 1.0)
    second = shown(engines)
    assert second is not first
    engines.put(view("e2", version=2))
    assert shown(engines, now_s=99.0) is second


def test_restarts_count_until_their_time() -> None:
    until = (NOW + timedelta(minutes=1), NOW + timedelta(minutes=2))
    engines = known(view(restarts=2, restarts_until=until))
    counts = [shown(engines, now=NOW + timedelta(seconds=at)).view.restarts for at in (0, 59, 60, 119, 120)]
    assert counts == [2, 2, 1, 1, 0]


def test_a_stop_flag_is_the_oldest_of_hosts_in_sight() -> None:
    engines = known(view(), view("w", config=EngineConfig(instance_id="w", template=WORKER_TEMPLATE)))
    for host, age_h, heard_s in (("h1", 1, 5.0), ("h2", 2, 8.0)):
        flag = StopFlag(since=NOW - timedelta(hours=age_h), reason=host)
        said = HostHeartbeat(
            host=host,
            runtime="docker",
            at_ns=1,
            cpus=1,
            memory_bytes=1,
            sessions=0,
            version="1",
            stop_flags=(flag,),
        )
        engines.host(said, heard_s)
    reasons = []
    for now_s in (9.0, 12.0, 15.0):
        flag_shown = shown(engines, now_s=now_s).view.stop_flag
        reasons.append(flag_shown.reason if flag_shown else None)
    assert reasons == ["h2", "h2", None]
    assert shown(engines, "w", now_s=9.0).view.stop_flag is None


def test_the_engine_meant_is_the_active_one_else_the_last_and_never_a_worker() -> None:
    worker = view("w", generation=9, config=EngineConfig(instance_id="w", template=WORKER_TEMPLATE))
    over = view("over", generation=5, state=RunState.STOPPED)
    stored = view("stored", session=None, created_at=NOW + timedelta(hours=7))
    assert KnownEngines().which(None) is None
    assert known(worker).which(None) is None
    assert known(worker, over, stored).which(None) == "stored"
    engines = known(worker, over, stored, view())
    assert engines.which(None) == "e1"
    assert engines.recent() == ["w", "stored", "over", "e1"]
    assert list(engines.active()) == ["w", "e1"]
    engines.put(view("e2"))
    with pytest.raises(FaultError, match="2 engines are active, name one with instance_id: e1, e2") as raised:
        engines.which(None)
    assert raised.value.fault.code == FaultCode.AMBIGUOUS_ENGINE
    with pytest.raises(FaultError, match="no engine nobody is known"):
        engines.which("nobody")


@pytest.mark.parametrize("age_s", [None, 0.0, 0.4, 1234.567])
def test_json_with_an_age_is_that_of_the_struct_with_it(age_s: float | None) -> None:
    config = EngineConfig(instance_id="e1", labels={"note": "heartbeat_age_s"})
    aged = Aged.of(view(config=config)).at(age_s)
    assert msgspec.json.decode(aged, type=EngineView) == view(config=config, heartbeat_age_s=age_s)
    assert list(msgspec.json.decode(aged)) == list(EngineView.__struct_fields__)
