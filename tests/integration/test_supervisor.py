"""The supervisor as people run it: a process of its own, on a real bus, with real engine processes or containers."""

import asyncio
import ipaddress
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.jwt import claims_of, with_claims
from flotilla.bus.settings import BusSettings, renewal_name
from flotilla.schemas.contract import (
    HEALTH,
    HEARTBEAT,
    HOST_CONTAINER,
    HOST_HEARTBEAT,
    RENEW_CREDENTIAL,
    SESSION_INSPECT,
    SESSION_KILL,
    SESSION_REMOVE,
    SESSION_START,
    SESSION_STOP,
    Actor,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.health import ReadHealth
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    Launch,
    RenewCredential,
    RenewedCredential,
    StartSession,
    StopSession,
    WhichSession,
)
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.schemas.telemetry import HostHeartbeat
from flotilla.stack.servers.nats import NatsServer
from tests.fakes.supervised import NETWORK, SUBNET, DockerBench, docker_network, require_docker_image, session
from tests.integration.conftest import ConnectAs
from tests.integration.supervisors import (
    SIDECAR,
    Supervisor,
    as_engine,
    ended,
    eventually,
    heard,
    launch_of,
    listed,
    ready,
    start,
    told_of,
)


async def renewed(launch: Launch) -> RenewedCredential:
    """What the supervisor answers to the session's second credential."""
    name = renewal_name(launch.spec.instance_id, launch.spec.session_id)
    bus = await connect(BusSettings(url=launch.bus.url, creds=launch.bus.renewal, name=name), wait_s=2)
    try:
        return await bus.call(RENEW_CREDENTIAL, RenewCredential(), host=launch.host)
    finally:
        await bus.close()


async def test_a_session_lives_and_ends_on_command(orchestrator: Bus) -> None:
    spec = session()
    facts = await start(orchestrator, spec)
    assert (facts.status, facts.host, facts.runtime) == (ContainerStatus.RUNNING, "h1", "process")
    assert await start(orchestrator, spec) == facts
    assert list(await listed(orchestrator)) == [spec.session_id]

    which = WhichSession(session_id=spec.session_id)
    with pytest.raises(FaultError) as caught:
        await orchestrator.call(SESSION_REMOVE, which, host="h1")
    assert caught.value.fault.code == FaultCode.CONFLICT

    answered = await orchestrator.call(SESSION_STOP, StopSession(session_id=spec.session_id), host="h1")
    assert answered.session_id == spec.session_id
    assert (await ended(orchestrator, spec.session_id)).exit_code == 0
    gone = await orchestrator.call(SESSION_REMOVE, which, host="h1")
    assert gone.status == ContainerStatus.GONE
    assert await listed(orchestrator) == {}


async def test_the_plain_subject_reaches_a_host_as_well(orchestrator: Bus) -> None:
    spec = session()
    facts = await orchestrator.call(SESSION_START, StartSession(spec=spec))
    assert (await orchestrator.call(SESSION_INSPECT, WhichSession(session_id=spec.session_id))) == facts


async def test_a_stop_answers_at_once_and_a_second_one_with_less_patience_is_heeded(
    orchestrator: Bus, supervisor: Supervisor, environment: dict[str, str]
) -> None:
    supervisor.end(signal.SIGTERM)
    environment["FLOTILLA_PROCESS_COMMAND"] = f"/bin/sh -c '{SIDECAR.replace('exit 0', '')}'"
    supervisor.start()
    await ready(orchestrator)
    spec = session()
    await start(orchestrator, spec)
    began = time.monotonic()
    for timeout_s in (60.0, 90.0, 0.2):
        stop = StopSession(session_id=spec.session_id, timeout_s=timeout_s)
        facts = await orchestrator.call(SESSION_STOP, stop, host="h1")
        assert facts.status == ContainerStatus.RUNNING
    assert time.monotonic() - began < 20  # none waited for its 60 or 90 s
    assert (await ended(orchestrator, spec.session_id)).exit_code == -9


async def test_the_engine_gets_a_credential_that_is_good_for_its_own_subjects_only(
    orchestrator: Bus, nats: NatsServer, tmp_path: Path
) -> None:
    spec = session(instance_id="e7")
    await start(orchestrator, spec)
    launch = await launch_of(tmp_path, spec.session_id)
    assert (launch.spec, launch.catalog_path, launch.enforce_memory) == (spec, "/the/catalog", True)
    assert launch.bus.url == nats.url

    beats = await heard(orchestrator, HEARTBEAT)
    engine = await connect(as_engine(launch))
    await engine.client.publish("engine.e8.heartbeat", b"{}")
    await engine.client.publish("host.h1.engine.kill", b"{}")
    await engine.flush()
    assert engine.client.denied == 2
    await engine.client.close()
    assert beats == []


async def test_a_credential_is_renewed_while_the_session_runs_and_good_for_nothing_within_a_second_of_its_end(
    orchestrator: Bus, supervisor: Supervisor, tmp_path: Path
) -> None:
    spec, other = session(instance_id="e7"), session(instance_id="e8")
    await start(orchestrator, spec)
    await start(orchestrator, other)
    launch, neighbour = (
        await launch_of(tmp_path, spec.session_id),
        await launch_of(tmp_path, other.session_id),
    )
    answer = await renewed(launch)
    assert claims_of(answer.jwt)["sub"] != claims_of(answer.renewal)["sub"]
    supervisor.end(signal.SIGKILL)
    supervisor.start()
    await ready(orchestrator)
    answer = await renewed(launch)
    assert answer.life_s == launch.bus.life_s == 3600

    thief, honest = await connect(as_engine(launch)), await connect(as_engine(neighbour))
    which = WhichSession(session_id=spec.session_id)
    await orchestrator.call(SESSION_KILL, which, host="h1")
    async with asyncio.timeout(1.0):
        while thief.is_connected:
            await asyncio.sleep(0.01)
    assert honest.stats.reconnects == 0
    for creds in (launch.bus.creds, with_claims(launch.bus.creds, answer.jwt)):
        with pytest.raises(FaultError):
            await connect(msgspec.structs.replace(as_engine(launch), creds=creds), wait_s=0.5)
    with pytest.raises(FaultError):
        await renewed(launch)
    await thief.close()
    await honest.close()


async def test_what_ended_while_no_supervisor_looked_is_revoked_by_the_next_one(
    orchestrator: Bus, supervisor: Supervisor, tmp_path: Path
) -> None:
    spec = session(instance_id="e7")
    facts = await start(orchestrator, spec)
    launch = await launch_of(tmp_path, spec.session_id)
    thief = await connect(as_engine(launch))
    supervisor.end(signal.SIGKILL)
    os.kill(int(facts.container_id.removeprefix("pid-")), signal.SIGKILL)
    assert thief.is_connected
    supervisor.start()
    await eventually(lambda: answered(not thief.is_connected), bool)
    await thief.close()


async def answered(value: bool) -> bool:
    return value


async def test_the_host_beats_once_a_second(orchestrator: Bus) -> None:
    beats: list[HostHeartbeat] = await heard(orchestrator, HOST_HEARTBEAT)
    await start(orchestrator, session())
    async with asyncio.timeout(10):
        while len(beats) < 4 or not beats[-1].sessions:
            await asyncio.sleep(0.05)
    last = beats[-1]
    assert (last.host, last.runtime, last.sessions, last.is_runtime_up) == ("h1", "process", 1, True)
    assert last.labels == {"zone": "b"}
    assert last.cpus >= 1
    assert "does not isolate" in last.detail["text"]
    gap_s = (last.at_ns - beats[0].at_ns) / 1e9 / (len(beats) - 1)
    assert 0.7 < gap_s < 3, (
        gap_s
    )  # on the average: a machine that is busy delays one, and the next comes sooner


async def test_each_change_of_a_container_is_told(orchestrator: Bus) -> None:
    told: list[ContainerFacts] = await heard(orchestrator, HOST_CONTAINER)
    spec = session()
    await start(orchestrator, spec)
    await told_of(told, spec, ContainerStatus.RUNNING)
    await orchestrator.call(SESSION_KILL, WhichSession(session_id=spec.session_id), host="h1")
    assert (await told_of(told, spec, ContainerStatus.EXITED)).exit_code == -9
    await orchestrator.call(SESSION_REMOVE, WhichSession(session_id=spec.session_id), host="h1")
    await told_of(told, spec, ContainerStatus.GONE)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_engines_outlive_the_supervisor_and_the_next_one_tells_what_happened_meanwhile(
    orchestrator: Bus, supervisor: Supervisor, number: signal.Signals
) -> None:
    lives, dies = session(), session()
    before = await start(orchestrator, lives)
    pid = int((await start(orchestrator, dies)).container_id.removeprefix("pid-"))
    assert supervisor.end(number) == (0 if number == signal.SIGTERM else -9)
    os.kill(pid, signal.SIGSEGV)
    told: list[ContainerFacts] = await heard(orchestrator, HOST_CONTAINER)
    supervisor.start()
    assert (await told_of(told, dies, ContainerStatus.EXITED)).exit_code == -11
    assert await told_of(told, lives, ContainerStatus.RUNNING) == before
    await ready(orchestrator)
    assert await start(orchestrator, lives) == before
    await orchestrator.call(SESSION_STOP, StopSession(session_id=lives.session_id), host="h1")
    assert (await ended(orchestrator, lives.session_id)).exit_code == 0


async def test_after_the_bus_was_away_everything_is_told_again(orchestrator: Bus, nats: NatsServer) -> None:
    spec = session()
    await start(orchestrator, spec)
    told: list[ContainerFacts] = await heard(orchestrator, HOST_CONTAINER)
    await told_of(told, spec, ContainerStatus.RUNNING)
    await asyncio.to_thread(nats.stop)
    told.clear()
    await asyncio.to_thread(nats.start)
    await told_of(told, spec, ContainerStatus.RUNNING)


async def test_live_trading_is_refused_and_leaves_nothing(orchestrator: Bus, tmp_path: Path) -> None:
    spec = session(engine_type=EngineType.LIVE, trading_mode=TradingMode.LIVE, confirm_live_trading=True)
    with pytest.raises(FaultError) as caught:
        await start(orchestrator, spec)
    assert caught.value.fault.code == FaultCode.FORBIDDEN
    assert list((tmp_path / "state" / "sessions").iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "../../etc"},
        {"session_id": "a\n"},
        {"session_id": ""},
        {"session_id": "x" * 64},
        {"instance_id": "*"},
        {"cpus": 0},
        {"memory_bytes": -1},
        {"generation": 0},
        {"more": 1},
    ],
)
async def test_a_bad_specification_is_named_and_leaves_nothing(
    orchestrator: Bus, tmp_path: Path, change: dict[str, Any]
) -> None:
    spec = msgspec.json.decode(msgspec.json.encode(session())) | change
    answer = await orchestrator.client.request(
        "host.h1.engine.start", msgspec.json.encode({"spec": spec}), timeout=5
    )
    assert answer.headers is not None
    assert answer.headers["Nats-Service-Error-Code"] == "422"
    assert f"spec.{next(iter(change))}" in answer.headers["Nats-Service-Error"]
    assert list((tmp_path / "state" / "sessions").iterdir()) == []


async def test_a_session_of_another_host_is_not_found(orchestrator: Bus) -> None:
    with pytest.raises(FaultError) as caught:
        await orchestrator.call(SESSION_STOP, StopSession(session_id="elsewhere"))
    assert caught.value.fault.code == FaultCode.NOT_FOUND


async def test_it_says_loudly_that_processes_are_not_isolated(
    orchestrator: Bus, supervisor: Supervisor
) -> None:
    assert any(
        "does not isolate" in line["event"] and line["level"] == "warning" for line in supervisor.log()
    )


async def test_it_is_well_while_its_runtime_is(orchestrator: Bus, connect_as: ConnectAs) -> None:
    gateway = await connect_as(Actor.OPERATOR)
    health = await eventually(
        lambda: gateway.call(HEALTH[Actor.SUPERVISOR], ReadHealth()), lambda health: health.is_ready
    )
    assert health.checks == {"runtime": "ok"}


async def test_without_docker_it_is_up_and_says_what_is_wrong(
    connect_as: ConnectAs, supervisor: Supervisor, environment: dict[str, str], tmp_path: Path
) -> None:
    supervisor.end(signal.SIGKILL)
    environment |= {"FLOTILLA_RUNTIME": "docker", "FLOTILLA_DOCKER_URL": f"unix://{tmp_path}/nobody.sock"}
    supervisor.start()
    operator = await connect_as(Actor.OPERATOR)
    beats: list[HostHeartbeat] = await heard(operator, HOST_HEARTBEAT)
    health = await eventually(lambda: operator.call(HEALTH[Actor.SUPERVISOR], ReadHealth()))
    assert not health.is_ready
    with pytest.raises(FaultError) as caught:
        await start(operator, session())
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    async with asyncio.timeout(10):
        while not beats:
            await asyncio.sleep(0.05)
    assert not beats[-1].is_runtime_up


async def test_with_auto_and_no_docker_engines_are_processes(
    connect_as: ConnectAs, supervisor: Supervisor, environment: dict[str, str], tmp_path: Path
) -> None:
    supervisor.end(signal.SIGKILL)
    environment |= {"FLOTILLA_RUNTIME": "auto", "FLOTILLA_DOCKER_URL": f"unix://{tmp_path}/nobody.sock"}
    supervisor.start()
    operator = await connect_as(Actor.OPERATOR)
    spec = session()
    facts = await eventually(lambda: start(operator, spec))
    assert facts.runtime == "process"
    await operator.call(SESSION_KILL, WhichSession(session_id=spec.session_id))


async def test_the_same_with_containers(
    connect_as: ConnectAs, supervisor: Supervisor, environment: dict[str, str]
) -> None:
    bench = DockerBench(require_docker_image())
    supervisor.end(signal.SIGTERM)
    environment |= {
        "FLOTILLA_RUNTIME": "docker",
        "FLOTILLA_OWNER": bench.owner,
        "FLOTILLA_ENGINE_IMAGE": bench.image,
        "FLOTILLA_NETWORK": NETWORK,
        "FLOTILLA_NETWORK_SUBNET": SUBNET,
        "FLOTILLA_CATALOG": "",
    }
    with docker_network():
        supervisor.start()
        bus = await connect_as(Actor.ORCHESTRATOR)
        told: list[ContainerFacts] = await heard(bus, HOST_CONTAINER)
        await ready(bus)
        spec = session()
        facts = await start(bus, spec)
        assert (facts.runtime, facts.name) == ("docker", f"nautilus-engine-{spec.session_id}")
        supervisor.end(signal.SIGKILL)
        supervisor.start()
        await ready(bus)
        assert await start(bus, spec) == facts
        await bus.call(SESSION_STOP, StopSession(session_id=spec.session_id), host="h1")
        assert (await told_of(told, spec, ContainerStatus.EXITED)).exit_code in (0, -15)
        assert b"/app/data" in bench.output(spec.session_id).encode()
        bench.clean()


def test_prepare_prints_what_is_there(environment: dict[str, str], tmp_path: Path) -> None:
    env = os.environ | environment | {"FLOTILLA_DOCKER_URL": f"unix://{tmp_path}/nobody.sock"}
    done = subprocess.run(
        [sys.executable, "-m", "flotilla.services.supervisor.prepare"],
        env=env,
        capture_output=True,
        check=True,
    )
    answer = msgspec.json.decode(done.stdout)
    assert (answer["docker"], answer["image"], answer["gateway"]) == (False, False, "")
    assert "no Docker engine answers: No such file" in answer["detail"]


def test_prepare_makes_the_network_and_tells_its_gateway(environment: dict[str, str]) -> None:
    image = require_docker_image()
    env = (
        os.environ
        | environment
        | {"FLOTILLA_ENGINE_IMAGE": image, "FLOTILLA_NETWORK": NETWORK, "FLOTILLA_NETWORK_SUBNET": SUBNET}
        | {"FLOTILLA_EGRESS_NETWORK": f"{NETWORK}-egress"}
    )
    with docker_network():
        done = subprocess.run(
            [sys.executable, "-m", "flotilla.services.supervisor.prepare"],
            env=env,
            capture_output=True,
            check=True,
        )
    answer = msgspec.json.decode(done.stdout)
    gateway = str(ipaddress.ip_network(SUBNET)[1])
    assert (answer["docker"], answer["image"], answer["gateway"]) == (True, True, gateway)
    assert answer["image_id"].startswith("sha256:")


def test_fleets_that_start_at_once_have_networks_of_their_own_and_leave_none(
    environment: dict[str, str],
) -> None:
    image = require_docker_image()
    owners = [f"flotilla-{os.getpid():09d}{letter}" for letter in "abcd"]

    def begun(owner: str, *arguments: str) -> subprocess.Popen[bytes]:
        env = os.environ | environment | {"FLOTILLA_ENGINE_IMAGE": image, "FLOTILLA_OWNER": owner}
        command = [sys.executable, "-m", "flotilla.services.supervisor.prepare", *arguments]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE)

    def answers(*arguments: str) -> list[bytes]:
        programs = [begun(owner, *arguments) for owner in owners]
        told = [program.communicate()[0] for program in programs]
        assert [program.returncode for program in programs] == [0] * len(owners)
        return told

    def prepared() -> list[set[str]]:
        read = [msgspec.json.decode(told, type=dict[str, Any]) for told in answers()]
        keys = ("network", "network_subnet", "egress_network", "egress_subnet", "gateway")
        return [{answer[key] or answer["detail"] for key in keys} for answer in read]

    try:
        first = prepared()
        assert len(set[str]().union(*first)) == 5 * len(owners), first
        assert prepared() == first
    finally:
        answers("--remove")
    assert not any(_networks_of(owner) for owner in owners)


def _networks_of(owner: str) -> list[str]:
    listed = ["docker", "network", "ls", "-q", "--filter", f"label=flotilla.owner={owner}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def test_prepare_that_only_looks_makes_no_network(environment: dict[str, str]) -> None:
    image, absent = require_docker_image(), f"flotilla-absent-{os.getpid()}"
    env = os.environ | environment | {"FLOTILLA_ENGINE_IMAGE": image, "FLOTILLA_NETWORK": absent}
    command = [sys.executable, "-m", "flotilla.services.supervisor.prepare", "--look"]
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    answer = msgspec.json.decode(done.stdout)
    assert (answer["docker"], answer["image"], answer["gateway"]) == (True, True, "")
    listed = subprocess.run(
        ["docker", "network", "ls", "--format", "{{.Name}}"], capture_output=True, text=True, check=True
    )
    assert absent not in listed.stdout
