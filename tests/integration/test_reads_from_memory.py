"""Reads of engines from the gateway's memory: what they say, when they ask all the same, and that who changed something sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.tasks import Tasks
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.backtest import BacktestStatus
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, EngineView, FleetStatus
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.health import Health
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import ClientState, RunState
from flotilla.schemas.telemetry import EngineMetrics, Heartbeat, HostHeartbeat, Resources, StopFlag
from flotilla.services.gateway.live import fleet_memory
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateway_backtests import backtest
from tests.integration.gateways import API, CONTAINER, ENGINE, NOW, Stage, engine, session, staged

USED = Resources(cpu_fraction=0.5, memory_bytes=1 << 20, memory_limit_bytes=1 << 30, pids=3)


class Fleet:
    """What the orchestrator has on record, told and answered as it does."""

    def __init__(self) -> None:
        self.views: dict[str, EngineView] = {}

    def put(self, view: EngineView) -> EngineView:
        self.views[view.instance_id] = view
        return view

    def change(self, instance_id: str, **changes: Any) -> EngineView:
        known = self.views[instance_id]
        return self.put(msgspec.structs.replace(known, version=known.version + 1, **changes))

    def answers(self) -> Mapping[str, Callable[[Any], Any]]:
        return {"fleet.engine.list": self._list, "fleet.engine.status": self._status}

    def _list(self, asked: Any) -> EngineList:
        shown = tuple(self.views.values())
        return EngineList(engines=shown[: asked.limit], total_count=len(shown))

    def _status(self, asked: Any) -> Any:
        view = self.views.get(asked.instance_id)
        return FleetStatus(engine=view, active=()) if view else fault(FaultCode.NOT_FOUND, "no engine")


def on_record(name: str, **changes: Any) -> EngineView:
    """An engine without what was heard of it, as the record has it."""
    unheard = {
        "heartbeat_age_s": None,
        "resources": None,
        "session": session(f"s-{name}", name),
        "version": 1,
    }
    return engine(name, **{**unheard, **changes})


async def beat(stage: Stage, *, started_at: datetime = NOW) -> None:
    said = Health(service="orchestrator", version="1", is_ready=True, started_at=started_at)
    await stage.orchestrator.bus.publish(contract.ORCHESTRATOR_HEARTBEAT, said)
    await stage.orchestrator.bus.flush()


@asynccontextmanager
async def beating(stage: Stage) -> AsyncIterator[None]:
    """The orchestrator is heard, until it is not any more."""

    async def beats() -> None:
        while True:
            await beat(stage)
            await asyncio.sleep(0.1)

    tasks = Tasks()
    tasks.start(beats(), name="heartbeat")
    try:
        yield
    finally:
        await tasks.close()


@pytest.fixture
def fleet() -> Fleet:
    known = Fleet()
    known.put(on_record("e1", config=EngineConfig(instance_id="e1", labels={"desk": "a"})))
    known.put(on_record("e2", config=EngineConfig(instance_id="e2", labels={"desk": "b"})))
    return known


@pytest.fixture
async def stage(fleet: Fleet, connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path, answers=fleet.answers()) as ready:
        yield ready


async def read(stage: Stage, path: str, status: int = 200, **options: Any) -> Any:
    async with stage.http.get(path, **options) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def until(stage: Stage, path: str, is_so: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(8):
        while not is_so(found := await read(stage, path)):
            await asyncio.sleep(0.02)
        return found


async def asks_nobody(stage: Stage) -> None:
    """Waits until reads are answered from memory."""

    async with asyncio.timeout(8):
        while True:
            stage.orchestrator.requests.clear()
            await read(stage, f"{API}/engines")
            if not stage.orchestrator.requests:
                return
            await asyncio.sleep(0.02)


async def say(stage: Stage, connect_as: ConnectAs) -> None:
    """The sidecar of e1 is heard."""
    operator = await connect_as(Actor.OPERATOR)
    told = Heartbeat(
        instance_id="e1",
        session_id="s-e1",
        generation=1,
        beat=1,
        at_ns=1,
        state=RunState.TRADING,
        resources=USED,
    )
    await operator.publish(contract.HEARTBEAT, told, instance_id="e1")
    figures = EngineMetrics(instance_id="e1", session_id="s-e1", at_ns=1, orders_open=2)
    await operator.publish(contract.METRICS, figures, instance_id="e1")
    await operator.flush()


async def test_what_is_read_from_memory_is_what_was_answered_and_heard(
    stage: Stage, connect_as: ConnectAs
) -> None:
    asked = {
        path: await read(stage, f"{API}{path}") for path in ("/engines", "/engines/e1", "/engines/e1/metrics")
    }
    async with beating(stage):
        await asks_nobody(stage)
        # Most recent first, and of those that began at the same time by name, as the orchestrator sorts them.
        asked["/engines"]["engines"].reverse()
        assert {path: await read(stage, f"{API}{path}") for path in asked} == asked
        await say(stage, connect_as)
        first = await until(stage, f"{API}/engines/e1/metrics", lambda found: found["metrics"] is not None)
        assert (first["session_id"], first["metrics"]["orders_open"]) == ("s-e1", 2)
        assert first["resources"]["memory_bytes"] == 1 << 20
        assert 0 <= first["heartbeat_age_s"] < 8
        older = await until(
            stage,
            f"{API}/engines/e1/metrics",
            lambda found: found["heartbeat_age_s"] > first["heartbeat_age_s"],
        )
        assert {**older, "heartbeat_age_s": 0} == {**first, "heartbeat_age_s": 0}
        listed = {each["instance_id"]: each for each in (await read(stage, f"{API}/engines"))["engines"]}
        one = (await read(stage, f"{API}/engines/e1"))["engine"]
        assert {**listed["e1"], "heartbeat_age_s": 0} == {**one, "heartbeat_age_s": 0}
        assert one["heartbeat_age_s"] >= older["heartbeat_age_s"]
        assert listed["e2"]["heartbeat_age_s"] is None
        assert not stage.orchestrator.requests
        await read(stage, f"{API}/engines/e3", 404)
        assert (await read(stage, f"{ENGINE}/status", 409))["code"] == "ambiguous_engine"
        assert (await read(stage, f"{ENGINE}/health"))["container_count"] == 2
        assert not stage.orchestrator.requests


async def test_status_lists_containers_once_and_then_hears_of_them(
    stage: Stage, connect_as: ConnectAs
) -> None:
    told = msgspec.structs.replace(CONTAINER, session_id="s-e1")
    other = msgspec.structs.replace(CONTAINER, session_id="s-e2")
    answer = msgspec.structs.replace(
        stage.orchestrator.answers["fleet.container.list"], containers=(told, other)
    )
    stage.orchestrator.answers["fleet.container.list"] = answer
    running = backtest(status=BacktestStatus.RUNNING)
    async with beating(stage):
        await asks_nobody(stage)
        path = f"{ENGINE}/status?instance_id=e1"
        status = (await read(stage, path))["status"]
        assert status["container_info"]["s-e1"]["running"] is True
        assert (status["state"], status["backtest_count"]) == ("running", 0)
        for _ in range(20):
            await read(stage, path)
        assert len(stage.orchestrator.requests) <= 3, stage.orchestrator.requests
        supervisor = await connect_as(Actor.SUPERVISOR)
        ended = msgspec.structs.replace(told, status=ContainerStatus.EXITED)
        stage.orchestrator.answers["fleet.container.list"] = msgspec.structs.replace(
            answer, containers=(ended, other)
        )
        await supervisor.publish(contract.HOST_CONTAINER, ended, host="h1")
        await until(
            stage, path, lambda found: found["status"]["container_info"]["s-e1"]["status"] == "exited"
        )
        await stage.orchestrator.bus.publish(
            contract.FLEET_BACKTEST, running, backtest_id=running.backtest_id
        )
        found = await until(stage, path, lambda found: found["status"]["backtest_count"] == 1)
        assert list(found["status"]["active_backtests"]) == [running.backtest_id]


async def test_who_changed_an_engine_sees_it_in_the_next_read_whatever_the_feed_has_told(
    stage: Stage, fleet: Fleet
) -> None:
    async with beating(stage):
        await asks_nobody(stage)
        before = fleet.views["e1"]
        stopping = session("s-e1", "e1", state=RunState.STOPPING)
        fleet.change("e1", state=ClientState.STOPPING, session=stopping)
        assert (await read(stage, f"{API}/engines/e1"))["engine"]["state"] == "running"  # nobody told
        async with stage.http.post(f"{API}/engines/e1/stop") as answer:
            assert answer.status == 200
        for path, of in (
            ("/engines/e1", lambda found: found["engine"]),
            ("/engines", lambda found: found["engines"][1]),
        ):
            assert of(await read(stage, f"{API}{path}"))["state"] == "stopping"
        # What was told before that, and comes late, changes nothing; what comes after it does.
        await stage.orchestrator.publish(before)
        last = fleet.change("e2", state=ClientState.ERROR)
        await stage.orchestrator.publish(last)
        await until(stage, f"{API}/engines/e2", lambda found: found["engine"]["state"] == "error")
        assert (await read(stage, f"{API}/engines/e1"))["engine"]["state"] == "stopping"
        del fleet.views["e1"]
        async with stage.http.delete(f"{API}/engines/e1") as answer:
            assert answer.status == 200
        await read(stage, f"{API}/engines/e1", 404)


async def test_a_command_that_names_no_engine_has_all_of_them_asked_for(stage: Stage, fleet: Fleet) -> None:
    async with beating(stage):
        await asks_nobody(stage)
        fleet.change("e2", state=ClientState.ERROR)
        async with stage.http.post(f"{ENGINE}/stop", json={}) as answer:
            assert answer.status == 200
        assert (await read(stage, f"{API}/engines/e2"))["engine"]["state"] == "error"


async def test_nothing_is_said_from_memory_once_the_orchestrator_is_not_heard(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with beating(stage):
        await asks_nobody(stage)
    monkeypatch.setattr(fleet_memory, "ORCHESTRATOR_UNHEARD_S", 0.0)
    stage.orchestrator.answers["fleet.engine.status"] = fault(FaultCode.UNAVAILABLE, "nobody answers")
    found = await read(stage, f"{ENGINE}/status?instance_id=e1")
    assert (found["success"], found["status"]["state"], found["message"]) == (
        False,
        "unknown",
        "nobody answers",
    )
    assert (await read(stage, f"{API}/engines/e1", 503))["message"] == "nobody answers"


async def test_another_orchestrator_is_asked_for_all_of_it_and_believed(stage: Stage, fleet: Fleet) -> None:
    fleet.change("e1")
    async with beating(stage):
        await asks_nobody(stage)
    # Its record was put back to where it was before: versions count from there.
    fleet.put(on_record("e1", state=ClientState.ERROR))
    await beat(stage, started_at=NOW + timedelta(days=1))
    await until(stage, f"{API}/engines/e1", lambda found: found["engine"]["state"] == "error")


async def test_a_token_with_labels_sees_its_own_engines_from_memory_too(stage: Stage, tmp_path: Path) -> None:
    token = create_token(tmp_path / "tokens.jsonl", "desk", Role.VIEWER, labels={"desk": "b"})
    mine = {"headers": {"Authorization": f"Bearer {token}"}}
    async with beating(stage):
        await asks_nobody(stage)
        listed = await read(stage, f"{API}/engines", **mine)
        assert ([each["instance_id"] for each in listed["engines"]], listed["total_count"]) == (["e2"], 1)
        await read(stage, f"{API}/engines/e1/metrics", 404, **mine)
        status = (await read(stage, f"{ENGINE}/status", **mine))["status"]
        assert (status["instance_id"], status["container_count"], status["backtest_count"]) == ("e2", 1, None)


async def test_an_emergency_stop_is_shown_while_its_host_is_in_sight(
    stage: Stage, connect_as: ConnectAs
) -> None:
    supervisor = await connect_as(Actor.SUPERVISOR)
    flag = StopFlag(since=datetime(2026, 1, 1, tzinfo=UTC), instance_id="e1", reason="test")
    said = HostHeartbeat(
        host="h1",
        runtime="docker",
        at_ns=1,
        cpus=2,
        memory_bytes=1,
        sessions=1,
        version="1",
        stop_flags=(flag,),
    )
    async with beating(stage):
        await asks_nobody(stage)
        await supervisor.publish(contract.HOST_HEARTBEAT, said, host="h1")
        found = await until(
            stage, f"{API}/engines/e1", lambda found: found["engine"]["stop_flag"] is not None
        )
        assert found["engine"]["stop_flag"]["reason"] == "test"
        assert (await read(stage, f"{API}/engines/e2"))["engine"]["stop_flag"] is None
