"""What only the Docker runtime does: hardening, other people's containers, memory, and a daemon that goes away."""

import asyncio
import gc
import ipaddress
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import WorkerPlan
from flotilla.schemas.catalog import ATTACHED_FILE, AttachedCatalog
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.spec import Room, container_config
from tests.contract.test_container_runtime import OBEDIENT, code_of, has_exited
from tests.fakes.doomed_supervisor import LINE
from tests.fakes.supervised import (
    DOCKER_URL,
    NETWORK,
    OTHER_SUBNET,
    SUBNET,
    DockerBench,
    printed,
    reported,
    session,
)
from tests.fakes.unix_proxy import UnixProxy


@pytest.fixture
def daemon_goes_away() -> Iterator[None]:
    """The SDK leaves a socket that could not connect to the garbage collector, which warns; that must not hit another test."""
    yield
    gc.collect()


goes_away = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
async def runtime(docker: DockerBench) -> AsyncIterator[DockerRuntime]:
    made = docker.runtime(OBEDIENT)
    yield made
    await made.close()


@pytest.mark.parametrize("worker", [None, WorkerPlan(slots=4)], ids=["engine", "worker"])
async def test_what_docker_runs_is_what_the_specification_says(
    docker: DockerBench, runtime: DockerRuntime, worker: WorkerPlan | None
) -> None:
    spec = session(config=EngineConfig(labels={"desk": "rates"}), worker=worker)
    await runtime.ensure(spec, LINE)
    wanted = container_config(spec, docker.profile(OBEDIENT), host=Room(cpus=64, memory_bytes=0))
    host_config, env, labels = wanted.pop("HostConfig"), wanted.pop("Env"), wanted.pop("Labels")
    runs = docker.inspect(spec.session_id)
    mounts = host_config.pop("Mounts")
    assert {key: runs["HostConfig"][key] for key in host_config} == host_config
    assert runs["Mounts"] == mounts == []
    assert {key: runs["Config"][key] for key in wanted} == wanted
    # The image brings some of its own.
    assert set(env) <= set(runs["Config"]["Env"])
    assert labels.items() <= runs["Config"]["Labels"].items()
    assert runs["HostConfig"]["Privileged"] is False
    assert runs["HostConfig"]["PortBindings"] in (None, {})
    assert list(runs["NetworkSettings"]["Networks"]) == [NETWORK]


async def test_the_kernel_sees_the_hardening(docker: DockerBench, runtime: DockerRuntime) -> None:
    spec = session()
    await runtime.ensure(spec, LINE)
    await printed(docker, spec.session_id, "ready")
    pid = docker.inspect(spec.session_id)["State"]["Pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


async def test_the_catalog_is_mounted_and_cannot_be_written(
    docker: DockerBench, runtime: DockerRuntime, tmp_path: Path
) -> None:
    (tmp_path / "bars").write_text("42")
    (tmp_path / "bars").chmod(0o666)
    tmp_path.chmod(0o777)
    script = 'read -r line; echo no >/app/data/bars; touch /app/data/new; touch /root; exit "$(cat /app/data/bars)"'
    profile = msgspec.structs.replace(docker.profile(script), catalog=str(tmp_path))
    with_catalog = DockerRuntime(DOCKER_URL, profile, subnet=SUBNET)
    await with_catalog.ensure(session(), LINE)
    assert (await reported(with_catalog, has_exited)).exit_code == 42
    assert [path.name for path in tmp_path.iterdir()] == ["bars"]
    await with_catalog.close()


async def test_links_into_attached_catalogs_lead_there_and_nothing_can_be_written(
    docker: DockerBench, runtime: DockerRuntime, tmp_path: Path
) -> None:
    catalog, theirs = tmp_path / "catalog", tmp_path / "theirs"
    for folder in (tmp_path, catalog, theirs):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    (theirs / "bars").write_text("42")
    (theirs / "bars").chmod(0o666)
    (catalog / "bars").symlink_to(theirs / "bars")
    attached = [
        AttachedCatalog(name="theirs", path=str(theirs)),
        AttachedCatalog(name="away", path=str(tmp_path / "away")),  # Docker would start nothing with it
    ]
    (catalog / ATTACHED_FILE).write_bytes(msgspec.json.encode(attached))
    script = f'read -r line; echo no >/app/data/bars; touch {theirs}/new; exit "$(cat /app/data/bars)"'
    profile = msgspec.structs.replace(docker.profile(script), catalog=str(catalog))
    with_catalogs = DockerRuntime(DOCKER_URL, profile, subnet=SUBNET)
    await with_catalogs.ensure(session(), LINE)
    assert (await reported(with_catalogs, has_exited)).exit_code == 42
    assert [path.name for path in theirs.iterdir()] == ["bars"]
    await with_catalogs.close()


async def test_more_cpus_than_the_host_has_are_clamped(docker: DockerBench, runtime: DockerRuntime) -> None:
    spec = session(cpus=512)
    await runtime.ensure(spec, LINE)
    cpus = (await runtime.probe()).cpus
    assert docker.inspect(spec.session_id)["HostConfig"]["NanoCpus"] == cpus * 1_000_000_000


async def test_more_memory_than_the_host_has_is_clamped(docker: DockerBench, runtime: DockerRuntime) -> None:
    spec = session(memory_bytes=64 << 30)
    facts = await runtime.ensure(spec, LINE)
    has = (await runtime.probe()).memory_bytes
    limits = docker.inspect(spec.session_id)["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == facts.memory_limit_bytes == min(has, 64 << 30)


async def test_an_engine_that_needs_venues_has_a_second_network_that_leads_out(
    docker: DockerBench, runtime: DockerRuntime
) -> None:
    egress = f"{NETWORK}-egress"
    needs, does_not = session(has_egress=True), session()
    try:
        await runtime.ensure(needs, LINE)
        await runtime.ensure(does_not, LINE)
        await printed(docker, needs.session_id, f"ready {len(LINE) - 1}")
        assert set(docker.inspect(needs.session_id)["NetworkSettings"]["Networks"]) == {NETWORK, egress}
        assert set(docker.inspect(does_not.session_id)["NetworkSettings"]["Networks"]) == {NETWORK}
        found: dict[str, Any] = docker.client.inspect_network(egress)
        assert (found["Driver"], found["Internal"]) == ("bridge", False)
        assert found["Options"] == {"com.docker.network.bridge.enable_icc": "false"}
    finally:
        for row in docker.containers():
            docker.client.remove_container(row["Id"], force=True)
        for row in docker.client.networks(names=[egress]):
            docker.client.remove_network(row["Id"])


async def test_an_egress_network_that_leads_nowhere_is_refused_and_leaves_nothing(
    docker: DockerBench, runtime: DockerRuntime
) -> None:
    egress = docker.client.create_network(f"{NETWORK}-egress", driver="bridge", internal=True)["Id"]
    try:
        with pytest.raises(FaultError) as caught:
            await runtime.ensure(session(has_egress=True), LINE)
        assert code_of(caught) == FaultCode.CONFLICT
        assert "FLOTILLA_EGRESS_NETWORK" in caught.value.fault.message
        assert docker.containers() == []
    finally:
        docker.client.remove_network(egress)


async def test_the_kernel_sees_the_hardening_of_a_check(docker: DockerBench) -> None:
    show = "grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; ls /sys/class/net; touch /x || echo ro"
    runtime = docker.runtime(OBEDIENT, check=show)
    output = await runtime.check(LINE, 20)
    words = output.stdout.decode().split()
    assert words == [
        *("Uid:", "65532", "65532", "65532", "65532"),
        *("CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"),
        *("lo", "ro"),
    ]
    await runtime.close()


async def test_the_catalog_can_be_written_by_a_change_and_by_no_look(
    docker: DockerBench, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    os.chown(catalog, 1234, 1234)
    script = "read -r line; id -u; touch /app/data/new 2>/dev/null && echo written; ls /sys/class/net"
    profile = msgspec.structs.replace(
        docker.profile(OBEDIENT), catalog=str(catalog), catalog_command=("/bin/sh", "-c", script)
    )
    runtime = DockerRuntime(docker.url, profile, subnet=SUBNET, egress_subnet=OTHER_SUBNET)
    look = await runtime.catalog(LINE, 20)
    assert look.stdout.split() == [b"65532", b"lo"]
    assert not (catalog / "new").exists()
    change = await runtime.catalog(LINE, 20, writes=True)
    assert change.stdout.split() == [b"1234", b"written", b"lo"]
    assert (catalog / "new").stat().st_uid == 1234
    await runtime.close()
    none = docker.runtime(OBEDIENT)
    with pytest.raises(FaultError, match="FLOTILLA_CATALOG"):
        await none.catalog(LINE, 20)
    await none.close()


async def test_live_trading_runs_when_it_is_confirmed(docker: DockerBench, runtime: DockerRuntime) -> None:
    spec = session(engine_type=EngineType.LIVE, trading_mode=TradingMode.LIVE, confirm_live_trading=True)
    assert (await runtime.ensure(spec, LINE)).status == ContainerStatus.RUNNING


async def test_one_that_takes_too_much_memory_is_told_from_one_that_was_killed(docker: DockerBench) -> None:
    runtime = docker.runtime("read -r line; exec tail /dev/zero")
    await runtime.ensure(session(memory_bytes=32 << 20), LINE)
    facts = await reported(runtime, has_exited)
    assert (facts.exit_code, facts.is_oom_killed) == (-9, True)
    await runtime.close()


async def test_a_child_that_takes_too_much_memory_is_told_by_a_sidecar_that_fails(
    docker: DockerBench,
) -> None:
    runtime = docker.runtime("read -r line; tail /dev/zero; exit 1")
    await runtime.ensure(session(memory_bytes=32 << 20), LINE)
    facts = await reported(runtime, has_exited)
    assert (facts.exit_code, facts.is_oom_killed) == (1, True)
    await runtime.close()


@pytest.mark.parametrize("labels", [{}, {names.OWNER: "somebody-else"}])
async def test_a_foreign_container_of_the_same_name_is_never_touched(
    docker: DockerBench, runtime: DockerRuntime, labels: dict[str, str]
) -> None:
    spec = session()
    foreign = _foreign(docker, spec.container_name, {**labels, names.SESSION: spec.session_id})
    try:
        with pytest.raises(FaultError) as caught:
            await runtime.ensure(spec, LINE)
        assert code_of(caught) == FaultCode.CONFLICT
        for verb in (runtime.inspect, runtime.kill, lambda one: runtime.stop(one, 1)):
            with pytest.raises(FaultError) as caught:
                await verb(spec.session_id)
            assert code_of(caught) == FaultCode.NOT_FOUND
        assert (await runtime.remove(spec.session_id)).status == ContainerStatus.GONE
        assert await runtime.list() == ()
        assert docker.client.inspect_container(foreign)["State"]["Running"]
    finally:
        docker.client.remove_container(foreign, force=True)


async def test_a_container_with_our_label_and_another_name_is_not_listed(
    docker: DockerBench, runtime: DockerRuntime
) -> None:
    _foreign(docker, "look-alike-of-flotilla", {names.OWNER: docker.owner, names.SESSION: "look-alike"})
    assert await runtime.list() == ()


async def test_one_that_was_created_and_never_started_is_replaced(
    docker: DockerBench, runtime: DockerRuntime
) -> None:
    spec = session()
    await runtime.ensure_network()
    config = container_config(spec, docker.profile(OBEDIENT), host=Room(cpus=1, memory_bytes=0))
    left = docker.client.create_container_from_config(config, spec.container_name)["Id"]
    facts = await runtime.ensure(spec, LINE)
    assert facts.status == ContainerStatus.RUNNING
    assert facts.container_id != left


async def test_a_start_that_fails_leaves_nothing_behind(docker: DockerBench, tmp_path: Path) -> None:
    # Docker creates this container, and finds out when it starts it.
    profile = msgspec.structs.replace(
        docker.profile(OBEDIENT), catalog=str(tmp_path), catalog_target="/proc/data"
    )
    runtime = DockerRuntime(DOCKER_URL, profile, subnet=SUBNET)
    with pytest.raises(FaultError) as caught:
        await runtime.ensure(session(), LINE)
    assert code_of(caught) == FaultCode.UNAVAILABLE
    assert caught.value.fault.retry_after_s is None
    assert docker.containers() == []
    await runtime.close()


async def test_a_program_that_is_not_in_the_image_ends_as_in_a_shell(docker: DockerBench) -> None:
    profile = msgspec.structs.replace(docker.profile(""), command=("/no/such/program",))
    runtime = DockerRuntime(DOCKER_URL, profile, subnet=SUBNET)
    await runtime.ensure(session(), LINE)
    assert (await reported(runtime, has_exited)).exit_code == 127
    await runtime.close()


async def test_a_missing_image_is_told_with_its_remedy_and_never_pulled(docker: DockerBench) -> None:
    profile = msgspec.structs.replace(docker.profile(""), image="flotilla-nowhere:1")
    runtime = DockerRuntime(DOCKER_URL, profile, subnet=SUBNET)
    assert await runtime.image_id() is None
    with pytest.raises(FaultError) as caught:
        await runtime.ensure(session(), LINE)
    assert code_of(caught) == FaultCode.UNAVAILABLE
    assert "deploy/build-engine.sh" in caught.value.fault.message
    await runtime.close()


async def test_a_specification_that_docker_refuses_is_invalid(
    docker: DockerBench, runtime: DockerRuntime
) -> None:
    with pytest.raises(FaultError) as caught:
        await runtime.ensure(session(memory_bytes=1 << 20), LINE)
    assert code_of(caught) == FaultCode.INVALID
    assert docker.containers() == []


async def test_a_paused_container_wakes_up_to_obey(docker: DockerBench, runtime: DockerRuntime) -> None:
    spec = session()
    await runtime.ensure(spec, LINE)
    await printed(docker, spec.session_id, "ready")
    docker.client.pause(spec.container_name)
    assert await runtime.pulse(spec.session_id) is None
    assert (await runtime.stop(spec.session_id, timeout_s=20)).exit_code == 0


async def test_a_missing_network_is_made_again(docker: DockerBench, image: str) -> None:
    bench = DockerBench(image, network=f"{NETWORK}-vanished")
    runtime = DockerRuntime(DOCKER_URL, bench.profile(OBEDIENT), subnet=OTHER_SUBNET)
    try:
        assert (await runtime.ensure(session(), LINE)).status == ContainerStatus.RUNNING
        found: dict[str, Any] = bench.client.inspect_network(f"{NETWORK}-vanished")
        assert found["Internal"]
        assert found["Options"] == {"com.docker.network.bridge.enable_icc": "false"}
    finally:
        await runtime.close()
        for row in bench.containers():
            bench.client.remove_container(row["Id"], force=True)
        bench.client.remove_network(f"{NETWORK}-vanished")
        bench.clean()


async def test_the_network_has_the_hosts_address_as_its_gateway(runtime: DockerRuntime) -> None:
    first, second = await asyncio.gather(runtime.ensure_network(), runtime.ensure_network())
    assert first == second
    assert first.gateway == str(ipaddress.ip_network(SUBNET)[1])
    server = await asyncio.start_server(lambda _reader, _writer: None, first.gateway, 0)
    server.close()


async def test_engines_reach_what_listens_on_the_gateway_and_not_each_other(docker: DockerBench) -> None:
    listen = 'import socket, time; kept = socket.create_server(("", 9000)); print("ready"); time.sleep(60)'
    first = docker.runtime(f"read -r line; exec python3 -u -c '{listen}'")
    network = await first.ensure_network()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), network.gateway, 0)
    port = server.sockets[0].getsockname()[1]
    other = session()
    await first.ensure(other, LINE)
    await printed(docker, other.session_id, "ready")
    other_address = docker.inspect(other.session_id)["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    reaches = "python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)'"
    second = docker.runtime(
        f"read -r line; {reaches} {network.gateway} {port} || exit 1; {reaches} {other_address} 9000 && exit 2; exit 42"
    )
    await second.ensure(session(), LINE)
    facts = await reported(second, lambda facts: has_exited(facts) and facts.session_id != other.session_id)
    server.close()
    assert facts.exit_code == 42
    await first.close()
    await second.close()


async def test_a_network_that_lets_engines_out_is_refused(docker: DockerBench, image: str) -> None:
    docker.client.create_network(f"{NETWORK}-open", driver="bridge")
    runtime = DockerRuntime(
        DOCKER_URL, DockerBench(image, network=f"{NETWORK}-open").profile(OBEDIENT), subnet=SUBNET
    )
    try:
        with pytest.raises(FaultError) as caught:
            await runtime.ensure_network()
        assert code_of(caught) == FaultCode.CONFLICT
    finally:
        docker.client.remove_network(f"{NETWORK}-open")
        await runtime.close()


@goes_away
@pytest.mark.usefixtures("daemon_goes_away")
async def test_without_a_daemon_every_verb_says_so_and_when_to_try_again(
    docker: DockerBench, tmp_path: Path
) -> None:
    runtime = DockerRuntime(f"unix://{tmp_path}/nobody.sock", docker.profile(OBEDIENT), subnet=SUBNET)
    for call in (runtime.ensure(session(), LINE), runtime.list(), runtime.inspect("s"), runtime.stop("s", 1)):
        with pytest.raises(FaultError) as caught:
            await call
        assert code_of(caught) == FaultCode.UNAVAILABLE
        assert caught.value.fault.retry_after_s
    probe = await runtime.probe()
    assert (probe.is_up, probe.cpus) == (False, 0)
    assert "no Docker engine answers" in probe.detail
    await runtime.close()


@goes_away
@pytest.mark.usefixtures("daemon_goes_away")
async def test_a_watch_survives_the_daemon_going_away_and_reports_what_happened_meanwhile(
    docker: DockerBench, tmp_path: Path
) -> None:
    proxy = UnixProxy(tmp_path / "docker.sock", DOCKER_URL.removeprefix("unix://"))
    await proxy.up()
    runtime = DockerRuntime(f"unix://{proxy.path}", docker.profile(OBEDIENT), subnet=SUBNET)
    spec, later = session(), session()
    await runtime.ensure(spec, LINE)
    await printed(docker, spec.session_id, "ready")
    async with asyncio.timeout(30), aclosing(runtime.watch()) as changes:
        assert (await anext(changes)).status == ContainerStatus.RUNNING
        await proxy.down()
        assert not (await runtime.probe()).is_up
        docker.client.kill(spec.container_name)
        await proxy.up()
        facts = await anext(changes)
        assert (facts.session_id, facts.exit_code) == (spec.session_id, -9)
        assert (await runtime.probe()).is_up
        # The stream is open again: this one is an event, not a resync.
        await runtime.ensure(later, LINE)
        while facts.session_id != later.session_id or facts.status != ContainerStatus.RUNNING:
            facts = await anext(changes)
    await runtime.close()
    await proxy.down()


@goes_away
@pytest.mark.usefixtures("daemon_goes_away")
async def test_a_start_that_is_cut_off_says_so_and_can_be_repeated(
    docker: DockerBench, tmp_path: Path
) -> None:
    proxy = UnixProxy(tmp_path / "docker.sock", DOCKER_URL.removeprefix("unix://"))
    await proxy.up()
    runtime = DockerRuntime(f"unix://{proxy.path}", docker.profile(OBEDIENT), subnet=SUBNET)
    await runtime.probe()
    spec = session()
    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(_outcome(runtime, spec))
        while not await asyncio.to_thread(docker.containers):
            await asyncio.sleep(0.005)
        await proxy.down()
    assert starting.result() in (FaultCode.OUTCOME_UNKNOWN, FaultCode.UNAVAILABLE)
    await proxy.up()
    assert (await runtime.ensure(spec, LINE)).status == ContainerStatus.RUNNING
    await printed(docker, spec.session_id, f"ready {len(LINE) - 1}")
    await runtime.close()
    await proxy.down()


async def _outcome(runtime: DockerRuntime, spec: Any) -> FaultCode | None:
    try:
        await runtime.ensure(spec, LINE)
    except FaultError as error:
        return error.fault.code
    return None


def _foreign(docker: DockerBench, name: str, labels: dict[str, str]) -> str:
    config = {
        "Image": docker.image,
        "Entrypoint": ["sleep", "60"],
        "Labels": labels,
        "HostConfig": {"NetworkMode": "none"},
    }
    container_id: str = docker.client.create_container_from_config(config, name)["Id"]
    docker.client.start(container_id)
    return container_id


async def test_a_container_of_an_earlier_release_is_adopted_under_the_profile_that_it_has(
    docker: DockerBench, runtime: DockerRuntime
) -> None:
    spec = session()
    await runtime.ensure_network()
    config = container_config(spec, docker.profile("sleep 60"), host=Room(cpus=1, memory_bytes=0))
    config["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true"]
    earlier = docker.client.create_container_from_config(config, spec.container_name)["Id"]
    docker.client.start(earlier)
    facts = await runtime.ensure(spec, LINE)
    assert (facts.container_id, facts.status) == (earlier, ContainerStatus.RUNNING)
    assert [one.container_id for one in await runtime.list()] == [earlier]


async def test_the_kernel_keeps_it_to_the_profile_of_system_calls(docker: DockerBench) -> None:
    script = (
        "import ctypes, resource, socket\n"
        "def said(attempt):\n"
        "    try:\n"
        "        attempt()\n"
        "    except OSError as error:\n"
        "        return error.errno\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print([said(lambda: socket.socket(*each).close()) for each in ((1, 1), (2, 1), (10, 2), (16, 3), (40, 1), (2, 1, 262))],\n"
        "      said(lambda: resource.prlimit(1, resource.RLIMIT_CORE)), said(lambda: resource.prlimit(0, resource.RLIMIT_CORE)),\n"
        "      libc.syscall(425, 1, ctypes.create_string_buffer(120)), ctypes.get_errno())\n"
    )
    runtime = docker.runtime(OBEDIENT, check=f"python3 - <<'E'\n{script}E\n")
    output = await runtime.check(b"", 20)
    assert output.stdout.decode().strip() == "[None, None, None, 1, 1, 1] 1 None -1 1", output
    await runtime.close()
