"""What a thread brings that nobody waits for any more; and which calls wait for which."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.bus.tasks import Tasks
from flotilla.services.supervisor.adapters import docker_client
from flotilla.services.supervisor.adapters.docker_client import DockerCalls, _in_daemon_thread
from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime
from flotilla.services.supervisor.core.spec import ContainerProfile

MORE_THAN_EVER_AT_ONCE = 150


async def test_a_call_that_nobody_waits_for_any_more_ends_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    may_end, threads = threading.Event(), []

    def call() -> None:
        threads.append(threading.current_thread())
        may_end.wait(10)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await _in_daemon_thread(call, "a-call")
    may_end.set()
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert complaints == []


class SlowDaemon:
    """A client whose stops last until `may_end`; kills are done at once."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.stopping = 0
        self.killed: list[tuple[str, str]] = []

    def stop(self, container_id: str, timeout: int) -> None:
        self.stopping += 1
        self.may_end.wait(30)

    def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        self.killed.append((container_id, signal))

    def close(self) -> None:
        """Nothing is open."""


async def test_a_kill_waits_behind_no_number_of_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = SlowDaemon()
    monkeypatch.setattr(docker_client, "open_client", lambda _: daemon)
    profile = ContainerProfile(host="h1", owner="o", image="engine", network="bus")
    runtime = DockerRuntime("unix:///nowhere", profile, subnet="10.0.0.0/24")

    async def found(session_id: str) -> Any:
        return SimpleNamespace(id=session_id)

    monkeypatch.setattr(runtime, "_find", found)
    monkeypatch.setattr(runtime, "inspect", found)
    stops = Tasks()
    for number in range(MORE_THAN_EVER_AT_ONCE):
        stops.start(runtime.stop(f"s{number}", 30.0), name="stop")
    try:
        async with asyncio.timeout(10):
            while daemon.stopping < docker_client.STOPS_AT_ONCE:
                await asyncio.sleep(0.01)
            await runtime.kill("s149")
        assert ("s149", "SIGKILL") in daemon.killed
        assert len(stops) == MORE_THAN_EVER_AT_ONCE
    finally:
        daemon.may_end.set()
        await stops.join(30)
        await runtime.close()


async def test_a_kill_does_not_wait_for_looks_into_containers_that_do_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_end, killed = threading.Event(), []
    monkeypatch.setattr(docker_client, "open_client", lambda _: SlowDaemon())
    calls = DockerCalls("unix:///nowhere")
    looks = Tasks()
    for _ in range(MORE_THAN_EVER_AT_ONCE):
        looks.start(calls.look(lambda _: may_end.wait(30)), name="look")
    try:
        async with asyncio.timeout(10):
            await calls.signal(lambda _: killed.append("s1"))
        assert killed == ["s1"]
    finally:
        may_end.set()
        await looks.join(30)
        await calls.close()
