"""Supervisors as people run them, processes of their own on a real bus, and what the tests ask of them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.schemas.contract import SESSION_INSPECT, SESSION_KILL, SESSION_LIST, SESSION_START, Actor
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    Launch,
    ListContainers,
    SessionSpec,
    StartSession,
    WhichSession,
)
from flotilla.stack.servers.nats import NatsServer

# It prints what it was given, as no real sidecar would, and obeys SIGTERM.
SIDECAR = 'trap "exit 0" TERM; read -r line; printf "%s\\n" "$line"; while :; do sleep 0.05 & wait $!; done'


class Supervisor:
    """`python -m flotilla.services.supervisor` with its environment."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env = env
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flotilla.services.supervisor"], env=os.environ | self._env, stderr=log
            )

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def log(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self._log.read_text().splitlines() if line[:1] == "{"]


def environment_of(nats: NatsServer, state: Path, host: str = "h1") -> dict[str, str]:
    """The variables of a supervisor that runs processes."""
    keys = nats.keys
    keys.write_system_credentials()
    return {
        "FLOTILLA_HOST": host,
        "FLOTILLA_HOST_LABELS": "zone=b",
        "FLOTILLA_NATS_URL": nats.url,
        "FLOTILLA_NATS_CREDS": str(keys.write_credentials(Actor.SUPERVISOR)),
        "FLOTILLA_STATE": str(state),
        "FLOTILLA_SIGNING_KEY": str(keys.engine_key_file),
        "FLOTILLA_ACCOUNT": keys.account,
        "FLOTILLA_ENGINES_ACCOUNT": keys.engines_account,
        "FLOTILLA_RUNTIME": "process",
        "FLOTILLA_CATALOG": "/the/catalog",
        "FLOTILLA_PROCESS_COMMAND": f"/bin/sh -c '{SIDECAR}'",
        "FLOTILLA_ENGINE_COMMAND": f"/bin/sh -c '{SIDECAR}'",
    }


async def ready(bus: Bus, host: str = "h1") -> None:
    """Waits until the supervisor answers."""
    await eventually(lambda: bus.call(SESSION_LIST, ListContainers(), host=host))


async def eventually[T](ask: Callable[[], Any], is_so: Callable[[Any], bool] = lambda _: True) -> Any:
    """What `ask` answers as soon as it answers and the answer is so."""
    deadline, last = time.monotonic() + 15, None
    while time.monotonic() < deadline:
        try:
            if is_so(last := await ask()):
                return last
        except FaultError as error:
            last = error
        await asyncio.sleep(0.02)
    raise AssertionError(f"still {last!r}")


async def listed(bus: Bus, host: str = "h1") -> dict[str, ContainerFacts]:
    """The sessions of a host by id."""
    answer = await bus.call(SESSION_LIST, ListContainers(), host=host)
    return {facts.session_id: facts for facts in answer.containers}


async def start(bus: Bus, spec: SessionSpec, host: str = "h1") -> ContainerFacts:
    """Starts a session."""
    return await bus.call(SESSION_START, StartSession(spec=spec), host=host)


async def ended(bus: Bus, session_id: str) -> ContainerFacts:
    """Its facts once it has ended."""
    facts: ContainerFacts = await eventually(
        lambda: bus.call(SESSION_INSPECT, WhichSession(session_id=session_id), host="h1"),
        lambda facts: facts.status == ContainerStatus.EXITED,
    )
    return facts


async def heard(bus: Bus, feed: Any) -> list[Any]:
    """A list that grows with what is said on a feed."""
    said: list[Any] = []

    async def hear(payload: Any, _ids: object) -> None:
        said.append(payload)

    await bus.listen(feed, hear)
    await bus.flush()
    return said


async def launch_of(tmp_path: Path, session_id: str) -> Launch:
    output = tmp_path / "state" / "sessions" / session_id / "output.log"

    async def read() -> bytes:
        return output.read_bytes()

    text = await eventually(read, lambda text: text.endswith(b"\n"))
    return msgspec.json.decode(text, type=Launch)


def as_engine(launch: Launch) -> BusSettings:
    """How its sidecar connects, and whoever has stolen what it was given."""
    name = engine_name(launch.spec.instance_id, launch.spec.session_id)
    return BusSettings(url=launch.bus.url, creds=launch.bus.creds, name=name, obeys=launch.bus.fleet)


async def told_of(told: list[ContainerFacts], spec: SessionSpec, status: ContainerStatus) -> ContainerFacts:
    """What was told of a session last, once that has this status."""

    async def last() -> ContainerFacts | None:
        return next((facts for facts in reversed(told) if facts.session_id == spec.session_id), None)

    facts: ContainerFacts = await eventually(last, lambda facts: facts is not None and facts.status == status)
    return facts


@pytest.fixture
def environment(nats: NatsServer, tmp_path: Path) -> dict[str, str]:
    """Of a supervisor that runs processes."""
    return environment_of(nats, tmp_path / "state")


@pytest.fixture
def supervisor(environment: dict[str, str], tmp_path: Path) -> Iterator[Supervisor]:
    """One that runs."""
    made = Supervisor(environment, tmp_path / "supervisor.log")
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGTERM)


@pytest.fixture
async def orchestrator(
    connect_as: Callable[[Actor], Awaitable[Bus]], supervisor: Supervisor
) -> AsyncIterator[Bus]:
    """The orchestrator's connection, once the supervisor answers; all that it started is killed afterwards."""
    bus = await connect_as(Actor.ORCHESTRATOR)
    await ready(bus)
    yield bus
    for facts in (await listed(bus)).values():
        if facts.status == ContainerStatus.RUNNING:
            await bus.call(SESSION_KILL, WhichSession(session_id=facts.session_id), host="h1")
