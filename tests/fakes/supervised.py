"""Where the contract suite of the runtimes runs: real Docker, or real processes, with a shell script as the sidecar."""

import asyncio
import ipaddress
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from docker.errors import APIError

from flotilla.schemas.session import ContainerFacts, ContainerStatus, EnginePlan, SessionSpec, container_name
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.supervisor.adapters import process_table
from flotilla.services.supervisor.adapters.docker_client import TimedClient, open_client
from flotilla.services.supervisor.adapters.docker_errors import FAILURES
from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime
from flotilla.services.supervisor.adapters.process_folder import SessionFolder
from flotilla.services.supervisor.adapters.process_runtime import ProcessRuntime
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.facts import spec_hash
from flotilla.services.supervisor.core.process_state import SessionRecord
from flotilla.services.supervisor.core.spec import ContainerProfile, Room, container_config
from flotilla.services.supervisor.ports import ContainerRuntime
from tests.fakes.memory_runtime import MemoryHost, MemoryRuntime, Program

DOCKER_URL: Final = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
IMAGES: Final = ("flotilla-engine:latest", "flotilla-base:trixie")
# Of this process alone, because two runs may go on at once: 1,024 ranges of 16 addresses, and as many others.
_NETWORKS: Final = "flotilla-test-"
NETWORK: Final = f"{_NETWORKS}{os.getpid()}"
_RANGES: Final = tuple(ipaddress.ip_network("10.231.128.0/18").subnets(new_prefix=28))
SUBNET: Final = str(_RANGES[os.getpid() % 1024])
OTHER_SUBNET: Final = str(ipaddress.ip_network(SUBNET).network_address + (1 << 14)) + "/28"


class Bench(Protocol):
    """One kind of runtime, on a place of its own. A second runtime made of it is what a restarted supervisor would have."""

    def runtime(self, script: str, check: str = "") -> ContainerRuntime:
        """A runtime whose sidecar is a shell script, and what checks plans another."""

    def arguments(self, script: str) -> list[str]:
        """The same for a supervisor in a process of its own, see doomed_supervisor.py."""

    def create(self, spec: SessionSpec) -> None:
        """What a supervisor leaves that dies between creating a session and starting it."""

    def output(self, session_id: str) -> str:
        """What the sidecar has printed."""

    def traces(self, session_id: str) -> str:
        """Everything that anybody could read of the session besides its output: arguments, environment, labels, files."""

    def clean(self) -> None:
        """Kills and deletes whatever is left."""


class DockerBench:
    """Real containers of an owner of this bench's own."""

    def __init__(
        self, image: str, *, url: str = DOCKER_URL, network: str = NETWORK, owner: str | None = None
    ) -> None:
        self.owner = owner or f"test-{secrets.token_hex(4)}"
        self.image = image
        self.url = url
        self.network = network
        self.client: TimedClient = open_client(DOCKER_URL)

    def runtime(self, script: str, check: str = "") -> DockerRuntime:
        return DockerRuntime(self.url, self.profile(script, check), subnet=SUBNET, egress_subnet=OTHER_SUBNET)

    def arguments(self, script: str) -> list[str]:
        return ["docker", self.owner, self.image, self.network, script]

    def create(self, spec: SessionSpec) -> None:
        config = container_config(spec, self.profile(""), host=Room(cpus=1.0, memory_bytes=1 << 33))
        self.client.create_container_from_config(config, spec.container_name)

    def output(self, session_id: str) -> str:
        logs: bytes = self.client.logs(container_name(session_id), stdout=True, stderr=True)
        return logs.decode()

    def traces(self, session_id: str) -> str:
        name = container_name(session_id)
        return json.dumps([self.client.inspect_container(name), self.client.top(name)])

    def inspect(self, session_id: str) -> dict[str, Any]:
        """Docker's own words."""
        answer: dict[str, Any] = self.client.inspect_container(container_name(session_id))
        return answer

    def containers(self) -> list[dict[str, Any]]:
        """All containers with our label, as Docker lists them."""
        rows: list[dict[str, Any]] = self.client.containers(
            all=True, filters={"label": f"{names.OWNER}={self.owner}"}
        )
        return rows

    def checks(self) -> list[str]:
        """The ids of containers that check plans."""
        rows = self.client.containers(all=True, filters={"label": f"{names.CHECK}={self.owner}"})
        return [row["Id"] for row in rows]

    def clean(self) -> None:
        for container_id in [row["Id"] for row in self.containers()] + self.checks():
            self.client.remove_container(container_id, force=True, v=True)
        self.client.close()

    def profile(self, script: str, check: str = "") -> ContainerProfile:
        """What its containers have in common."""
        return ContainerProfile(
            owner=self.owner,
            host="here",
            image=self.image,
            network=self.network,
            egress=f"{self.network}-egress",
            command=("/bin/sh", "-c", script),
            check_command=("/bin/sh", "-c", check),
        )


class ProcessBench:
    """Real processes below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owner = "test"

    def runtime(self, script: str, check: str = "") -> ProcessRuntime:
        shell = ("/bin/sh", "-c")
        return ProcessRuntime(
            self.root, (*shell, script), owner=self.owner, host="here", check_command=(*shell, check)
        )

    def arguments(self, script: str) -> list[str]:
        return ["process", self.owner, str(self.root), script]

    def create(self, spec: SessionSpec) -> None:
        record = SessionRecord(
            owner=self.owner,
            host="here",
            spec=spec,
            spec_hash=spec_hash(spec),
            boot_id=process_table.boot_id(),
            created_at=datetime.now(UTC),
        )
        _, lock = SessionFolder.claim(self.root, record)
        os.close(lock)

    def output(self, session_id: str) -> str:
        return (self.root / session_id / "output.log").read_text()

    def traces(self, session_id: str) -> str:
        folder = self.root / session_id
        files = [path.read_text() for path in folder.rglob("*") if path.is_file()]
        return "\n".join(files + [_words(pid) for pid in self.pids(session_id)])

    def pids(self, session_id: str) -> list[int]:
        """The processes that work in the session's folder: shim, sidecar and what it started."""
        folder = (self.root / session_id).resolve()
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _cwd(path) == folder]

    def clean(self) -> None:
        for folder in self.root.glob("*"):
            for pid in self.pids(folder.name):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class MemoryBench:
    """A host in memory. `programs` are the shell scripts that it knows, as programs of its own."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self._programs = programs
        self._host = MemoryHost()

    def runtime(self, script: str, check: str = "") -> MemoryRuntime:
        return MemoryRuntime(self._programs[script], host=self._host, name="here")

    def arguments(self, script: str) -> list[str]:
        raise NotImplementedError("no process of its own sees this memory")

    def create(self, spec: SessionSpec) -> None:
        MemoryRuntime(host=self._host, name="here").put(spec, ContainerStatus.CREATED)

    def output(self, session_id: str) -> str:
        return self._host.sessions[session_id].sidecar.output

    def traces(self, session_id: str) -> str:
        raise NotImplementedError("nobody else can look into this memory")

    def has_ended(self, session_id: str) -> bool:
        return self._host.sessions[session_id].facts.status == ContainerStatus.EXITED

    def clean(self) -> None:
        """It ends with the test."""


@contextmanager
def docker_network(name: str = NETWORK) -> Iterator[None]:
    """Removes the suite's network afterwards; making it is the runtime's own task. Runs that were killed are cleaned up before."""
    client = open_client(DOCKER_URL)
    _remove_of_killed_runs(client)
    try:
        yield
    finally:
        for row in client.networks(names=[name]):
            client.remove_network(row["Id"])
        client.close()


def _remove_of_killed_runs(client: TimedClient) -> None:
    for row in client.networks(names=[_NETWORKS]):
        pid = row["Name"].removeprefix(_NETWORKS).partition("-")[0]
        # Another process of this run does the same at this moment, and Docker refuses one of the two.
        with suppress(APIError):
            if not Path(f"/proc/{pid}").exists():
                for container in client.containers(all=True, filters={"network": row["Id"]}):
                    client.remove_container(container["Id"], force=True, v=True)
                client.remove_network(row["Id"])


def docker_image() -> str | None:
    """The image to test with: the real engine's when it is there, else its base; None without Docker or either of them."""
    try:
        client = open_client(DOCKER_URL, timeout_s=5)
        tags = {tag for image in client.images() for tag in image["RepoTags"] or ()}
        client.close()
    except FAILURES:
        return None
    return next((image for image in IMAGES if image in tags), None)


def require_docker_image() -> str:
    """The image to test with. Without one the test is skipped, or fails where Docker is required."""
    if found := docker_image():
        return found
    reason = f"no Docker engine with {' or '.join(IMAGES)}"
    if os.environ.get("FLOTILLA_REQUIRE_DOCKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def session(session_id: str | None = None, **changes: Any) -> SessionSpec:
    """A small session under a fresh id."""
    given: dict[str, Any] = {
        "instance_id": "e1",
        "session_id": session_id or f"s-{secrets.token_hex(6)}",
        "generation": 3,
        "engine_type": EngineType.SANDBOX,
        "trading_mode": TradingMode.PAPER,
        "plan": EnginePlan(trader_id="TESTER-001", node={}),
        "memory_bytes": 512 << 20,
        "cpus": 0.5,
    }
    return SessionSpec(**(given | changes))


async def printed(bench: Bench, session_id: str, text: str) -> None:
    """Waits until the sidecar has printed `text`."""
    deadline = time.monotonic() + 10
    while text not in (output := await asyncio.to_thread(bench.output, session_id)):
        assert time.monotonic() < deadline, f"printed only {output!r}"
        await asyncio.sleep(0.02)


async def reported(
    runtime: ContainerRuntime, is_it: Callable[[ContainerFacts], bool], timeout_s: float = 15
) -> ContainerFacts:
    """The first facts of a watch that are those looked for."""
    async with asyncio.timeout(timeout_s), aclosing(runtime.watch()) as facts_seen:
        async for facts in facts_seen:
            if is_it(facts):
                return facts
    raise AssertionError("a watch never ends by itself")


def doomed_supervisor(bench: Bench, script: str, verb: str, body: str) -> subprocess.Popen[str]:
    """A supervisor in a process of its own that prints `go`, does one thing, prints `done` and sleeps; to be killed -9."""
    module = "tests.fakes.doomed_supervisor"
    return subprocess.Popen(
        [sys.executable, "-m", module, verb, body, *bench.arguments(script)],
        stdout=subprocess.PIPE,
        text=True,
    )


def _words(pid: int) -> str:
    folder = Path(f"/proc/{pid}")
    try:
        return (folder / "cmdline").read_text() + (folder / "environ").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cwd(process: Path) -> Path | None:
    try:
        return (process / "cwd").resolve(strict=True)
    except OSError:
        return None
