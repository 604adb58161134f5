"""What is ours is seen to, what is not is never touched, and a supervisor that dies over and over disturbs no engine."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.client.client import Flotilla, bus_settings
from flotilla.schemas.contract import CONTAINER_CLEANUP, FLEET_ALERT, SESSION_LIST
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import Cleanup, ListContainers
from flotilla.schemas.states import EngineType, RunState, TradingMode
from flotilla.schemas.telemetry import FleetAlert
from flotilla.services.supervisor.adapters.docker_client import TimedClient, open_client
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.spec import Room, container_config
from flotilla.services.supervisor.settings import SupervisorSettings
from flotilla.state.folder import owner_of
from tests.e2e.conftest import require_docker
from tests.e2e.engines import engine_pids, eventually, paced, stopped, traded_more, trading
from tests.e2e.stacks import RunningStack
from tests.fakes.supervised import DOCKER_URL, session

KILLS = 50


@pytest.fixture(scope="module")
def docker() -> Iterator[TimedClient]:
    require_docker()
    client = open_client(DOCKER_URL)
    yield client
    client.close()


@pytest.fixture(scope="module")
def lone_stack(docker: TimedClient) -> Iterator[RunningStack]:
    """A stack that stops orphans as soon as it sees them."""
    made = RunningStack("docker", {"FLOTILLA_ORPHAN_POLICY": "stop", "FLOTILLA_ORPHAN_GRACE_S": "0"})
    made.start()
    yield made
    made.remove()


@pytest.fixture
async def operator(lone_stack: RunningStack) -> AsyncIterator[Bus]:
    bus = await connect(bus_settings(lone_stack.connection))
    yield bus
    await bus.close()


class Yard:
    """Containers that a test puts beside those of the stack; all do nothing, and end when they are told to."""

    def __init__(self, client: TimedClient, owner: str) -> None:
        self._client = client
        self.owner = owner
        self.made: list[str] = []

    def labels(self, engine: EngineType = EngineType.PAPER) -> tuple[str, dict[str, str]]:
        """The name and the labels that a session's container has, of a session that nobody started."""
        mode = TradingMode.LIVE if engine == EngineType.LIVE else TradingMode.PAPER
        spec = session(instance_id="orphan", engine_type=engine, trading_mode=mode)
        profile = SupervisorSettings.from_env({"FLOTILLA_HOST": "h1", "FLOTILLA_OWNER": self.owner}).profile
        config = container_config(spec, profile, host=Room(cpus=1, memory_bytes=0))
        return spec.container_name, config["Labels"]

    def put(self, name: str, labels: dict[str, str]) -> str:
        """Makes one run; returns its id."""
        config = {
            "Image": "flotilla-engine:latest",
            "Entrypoint": ["sleep", "600"],
            "Labels": labels,
            "HostConfig": {"NetworkMode": "none", "Init": True},
        }
        container_id: str = self._client.create_container_from_config(config, name)["Id"]
        self.made.append(container_id)
        self._client.start(container_id)
        return container_id

    def put_all(self, wanted: list[tuple[str, dict[str, str]]]) -> list[str]:
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(lambda one: self.put(*one), wanted))

    def look_alikes(self) -> list[tuple[str, dict[str, str]]]:
        """Twenty that look like ours in one way or another."""
        found: list[tuple[str, dict[str, str]]] = []
        for number in range(2):
            name, ours = self.labels()
            others = [
                (f"{name}a", {}),
                (f"{name}b", {names.OWNER: "somebody-else"}),
                (f"{name}c", ours | {names.OWNER: "flotilla-of-others"}),
                (f"{name}d", ours | {names.OWNER: f"{self.owner}x"}),
                (f"{name}e", {key.upper(): value for key, value in ours.items()}),
                (f"{name}f", {f"x-{key}": value for key, value in ours.items()}),
                (f"flotilla-look-alike-{self.owner}-{number}", ours),
                (f"{name}g", ours | {names.SESSION: "another"}),
                (f"{name}h", {key: value for key, value in ours.items() if key != names.GENERATION}),
                (f"{name}i", {names.SESSION: ours[names.SESSION], names.INSTANCE: "orphan"}),
            ]
            found += others
        return found

    def seen(self, container_id: str) -> tuple[str, str, bool, str, int]:
        """What would change if anybody touched it."""
        about: dict[str, Any] = self._client.inspect_container(container_id)
        state = about["State"]
        return about["Id"], about["Name"], state["Running"], state["StartedAt"], state["Pid"]

    def of_owner(self) -> set[str]:
        rows = self._client.containers(all=True, filters={"label": f"{names.OWNER}={self.owner}"})
        return {row["Id"] for row in rows}

    def clean(self) -> None:
        for container_id in self.of_owner() | set(self.made):
            subprocess.run(["docker", "rm", "-f", "-v", container_id], capture_output=True, check=False)


@pytest.fixture
def yard(lone_stack: RunningStack, docker: TimedClient) -> Iterator[Yard]:
    made = Yard(docker, owner_of(lone_stack.folder.root))
    yield made
    made.clean()


async def test_twenty_orphans_are_seen_to_and_twenty_look_alikes_are_not_touched(
    lone_stack: RunningStack, operator: Bus, yard: Yard
) -> None:
    alerts: list[FleetAlert] = []

    async def hear(alert: FleetAlert, _: object) -> None:
        alerts.append(alert)

    await operator.listen(FLEET_ALERT, hear)
    foreign = await asyncio.to_thread(yard.put_all, yard.look_alikes())
    assert len(foreign) == 20
    before = {container_id: yard.seen(container_id) for container_id in foreign}
    on_paper = await asyncio.to_thread(yard.put_all, [yard.labels() for _ in range(18)])
    live = await asyncio.to_thread(yard.put_all, [yard.labels(EngineType.LIVE) for _ in range(2)])
    live_before = [yard.seen(container_id) for container_id in live]

    async def are_gone() -> bool:
        return not await asyncio.to_thread(yard.of_owner) & set(on_paper)

    await eventually(are_gone, 90, "the end of all orphans on paper")

    async def reported() -> bool:
        told = {alert.container for alert in alerts if alert.code == "orphan_container"}
        return told >= {name.removeprefix("/") for _, name, *_ in live_before}

    await eventually(reported, 30, "a report of the orphans that trade live")
    # Neither does a cleanup by force take what is not ours, or ends live trading.
    await operator.call(CONTAINER_CLEANUP, Cleanup(force=True))
    assert [yard.seen(container_id) for container_id in live] == live_before
    assert {container_id: yard.seen(container_id) for container_id in foreign} == before


async def test_fifty_kills_of_the_supervisor_restart_no_engine_and_double_none(
    lone_stack: RunningStack, operator: Bus
) -> None:
    async with Flotilla.connect(lone_stack.connection, wait_s=10) as fleet:
        view = await trading(fleet, paced("steady"))
        assert view.session is not None
        assert view.metrics is not None
        (before,) = await containers(fleet)
        pids = await engine_pids(fleet, ("steady",))
        pid = lone_stack.pid_of("supervisor")
        assert pid is not None
        environment = _environment(pid)
        with lone_stack.without("supervisor"):
            for number in range(KILLS):
                await _live_and_die(operator, environment, is_ready_first=number % 10 == 0)

        async def is_back() -> bool:
            state = (await fleet.engine("steady")).session
            return state is not None and state.state == RunState.TRADING and bool(await containers(fleet))

        await eventually(is_back, 30, "the sight of the engine")
        # Not a single thing about it has changed.
        assert await containers(fleet) == [before]
        assert await engine_pids(fleet, ("steady",)) == pids
        after = await fleet.engine("steady")
        assert after.session is not None
        assert after.session.session_id == view.session.session_id
        assert after.metrics is not None
        assert after.metrics.fills_total >= view.metrics.fills_total
        await traded_more(fleet, "steady", after.metrics.fills_total)
        await stopped(fleet, "steady")


async def containers(fleet: Flotilla) -> list[Any]:
    """Those of the fleet, without what a healthcheck changes."""
    try:
        found = (await fleet.containers()).containers
    except FaultError:
        return []
    return [msgspec.structs.replace(facts, health="") for facts in found]


async def _live_and_die(operator: Bus, environment: dict[str, str], *, is_ready_first: bool) -> None:
    """One short life of a supervisor: killed while it starts, or once it answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "flotilla.services.supervisor",
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if is_ready_first:
            await eventually(lambda: _answers(operator), 30, "an answer of the supervisor")
        else:
            await asyncio.sleep(random.uniform(0.05, 0.5))  # the moment of the kill is what varies
    finally:
        process.kill()
        await process.wait()


async def _answers(operator: Bus) -> bool:
    try:
        await operator.call(SESSION_LIST, ListContainers(), timeout_s=1)
    except FaultError:
        return False
    return True


def _environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    return {
        os.fsdecode(name): os.fsdecode(value) for name, _, value in (pair.partition(b"=") for pair in pairs)
    }
