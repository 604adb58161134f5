"""What a host answers to a stop, over every state that a session may be in: a success was passed on, whatever comes later."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    SessionSpec,
    StartSession,
    StopSession,
    WhichSession,
)
from flotilla.services.supervisor import handlers as module
from flotilla.services.supervisor.adapters.called_off_file import CalledOffFile
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.adapters.stops_file import StopsFile
from flotilla.services.supervisor.called_off import KEPT, CalledOff
from flotilla.services.supervisor.handlers import Handlers
from flotilla.services.supervisor.stop_gate import StopGate
from flotilla.services.supervisor.stops import Stops
from tests.fakes.memory_runtime import MemoryRuntime
from tests.fakes.supervised import session

CREATED, RUNNING, EXITED, GONE = (
    ContainerStatus.CREATED,
    ContainerStatus.RUNNING,
    ContainerStatus.EXITED,
    ContainerStatus.GONE,
)
VERBS = ("call_off", "stop", "kill")


class _Launches:
    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def line(self, _: SessionSpec) -> bytes:
        return b"{}\n"

    async def forget(self, session_id: str) -> None:
        self.forgotten.append(session_id)


class Host:
    """The handlers of one host on a runtime in memory. Another one of the same folder is the next supervisor."""

    def __init__(self, folder: Path, runtime: MemoryRuntime | None = None) -> None:
        self.runtime = runtime or MemoryRuntime()
        self.orders = StopGate(StopFlagFile(folder), lambda: datetime(2026, 1, 1, tzinfo=UTC))

        self.launches = _Launches()
        self.stops = Stops(self.runtime, StopsFile(folder))
        self.handlers = Handlers(
            self.runtime,
            cast("Any", self.launches),
            orders=self.orders,
            stops=self.stops,
            called_off=CalledOff(CalledOffFile(folder)),
            emergency=cast("Any", SimpleNamespace(is_ending=lambda _: False)),
            checks=cast("Any", None),
            catalog=cast("Any", None),
            imports=cast("Any", None),
        )

    async def say(self, verb: str, spec: SessionSpec) -> ContainerFacts:
        which = WhichSession(session_id=spec.session_id)
        match verb:
            case "start":
                return await self.handlers.start(StartSession(spec=spec))
            case "stop":
                return await self.handlers.stop(StopSession(session_id=spec.session_id, timeout_s=5))
            case _:
                answer: ContainerFacts = await getattr(self.handlers, verb)(which)
                return answer

    def status(self, spec: SessionSpec) -> ContainerStatus | None:
        return self.runtime.status(spec.session_id)


async def until(is_so: Any) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("verb", "before", "answer", "after", "signals"),
    [
        ("call_off", None, GONE, None, []),
        ("call_off", CREATED, GONE, None, []),
        ("call_off", RUNNING, RUNNING, RUNNING, []),
        ("call_off", EXITED, EXITED, EXITED, []),
        ("stop", CREATED, GONE, None, []),
        ("stop", RUNNING, RUNNING, EXITED, ["SIGTERM"]),
        ("stop", EXITED, EXITED, EXITED, []),
        ("kill", CREATED, GONE, None, []),
        ("kill", RUNNING, EXITED, EXITED, ["SIGKILL"]),
        ("kill", EXITED, EXITED, EXITED, []),
        ("remove", None, GONE, None, []),
        ("remove", CREATED, GONE, None, []),
        ("remove", EXITED, GONE, None, []),
    ],
)
async def test_what_each_verb_answers_and_does_by_the_state_of_the_session(
    tmp_path: Path,
    verb: str,
    before: ContainerStatus | None,
    answer: ContainerStatus,
    after: ContainerStatus | None,
    signals: list[str],
) -> None:
    host, spec = Host(tmp_path), session()
    if before is not None:
        host.runtime.put(spec, before)
    assert (await host.say(verb, spec)).status == answer
    await until(lambda: host.status(spec) == after)
    assert host.runtime.signals == [(spec.session_id, signal) for signal in signals]
    # Of what was taken away nobody may get into Redis any more.
    assert host.launches.forgotten == ([spec.session_id] if answer == GONE else [])


@pytest.mark.parametrize("verb", ["stop", "kill"])
async def test_what_is_not_here_may_be_elsewhere_so_nothing_is_promised(tmp_path: Path, verb: str) -> None:
    host, spec = Host(tmp_path), session()
    with pytest.raises(FaultError) as caught:
        await host.say(verb, spec)
    assert caught.value.fault.code == FaultCode.NOT_FOUND
    assert (await host.say("start", spec)).status == RUNNING


@pytest.mark.parametrize(
    ("verb", "before"),
    [(verb, CREATED) for verb in (*VERBS, "remove")] + [(verb, None) for verb in ("call_off", "remove")],
)
async def test_a_start_that_comes_after_its_end_is_refused_by_the_next_supervisor_as_well(
    tmp_path: Path, verb: str, before: ContainerStatus | None
) -> None:
    host, spec = Host(tmp_path), session()
    if before is not None:
        host.runtime.put(spec, before)
    await host.say(verb, spec)
    for later in (host, Host(tmp_path, host.runtime)):
        with pytest.raises(FaultError, match="was called off") as caught:
            await later.say("start", spec)
        assert (caught.value.fault.code, caught.value.fault.retry_after_s) == (FaultCode.CONFLICT, None)
        assert host.status(spec) is None
    other = session()
    assert (await host.say("start", other)).status == RUNNING


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("gate", ["creating", "starting"])
async def test_a_start_that_is_under_way_comes_to_nothing(
    tmp_path: Path, verb: str, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_PATIENCE_S", 0.05)
    host, spec = Host(tmp_path), session()
    getattr(host.runtime, gate).clear()
    starting = asyncio.get_running_loop().create_task(host.say("start", spec))
    await until(lambda: host.orders.under_way(None))
    with pytest.raises(FaultError, match="under way") as caught:
        await host.say(verb, spec)
    assert (caught.value.fault.code, caught.value.fault.retry_after_s) == (FaultCode.UNAVAILABLE, 1.0)
    getattr(host.runtime, gate).set()
    with pytest.raises(FaultError, match="was called off"):
        await starting
    assert (await host.say("call_off", spec)).status == GONE
    assert host.runtime.signals == []


async def test_a_call_off_that_comes_too_late_says_that_it_runs(tmp_path: Path) -> None:
    host, spec = Host(tmp_path), session()
    host.runtime.starting.clear()
    starting = asyncio.get_running_loop().create_task(host.say("start", spec))
    await until(lambda: host.status(spec) == CREATED)
    host.runtime.put(spec, RUNNING)  # the gate was passed just before
    assert (await host.say("call_off", spec)).status == RUNNING
    assert host.runtime.signals == []
    starting.cancel()


async def test_a_start_under_way_does_not_run_once_a_stop_flag_names_its_engine(tmp_path: Path) -> None:
    host, spec = Host(tmp_path), session()
    host.runtime.starting.clear()
    start = asyncio.get_running_loop().create_task(host.say("start", spec))
    await until(lambda: host.status(spec) == CREATED)
    # The stop has not caught it yet: it is still asking what runs.
    await host.orders.set_flag(None, "drill")
    host.runtime.starting.set()
    with pytest.raises(FaultError) as raised:
        await start
    assert raised.value.fault.code == FaultCode.CONFLICT
    assert host.status(spec) is None


async def test_a_start_that_an_emergency_stop_catches_never_runs(tmp_path: Path) -> None:
    host, spec = Host(tmp_path), session()
    host.runtime.starting.clear()
    starting = asyncio.get_running_loop().create_task(host.say("start", spec))
    await until(lambda: host.status(spec) == CREATED)
    (start,) = host.orders.under_way(None)
    start.is_caught = True
    host.runtime.starting.set()
    with pytest.raises(FaultError, match="an emergency stop came"):
        await starting
    assert (host.status(spec), host.runtime.signals) == (None, [])


async def test_call_offs_that_cannot_be_stored_hold_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    stored = CalledOff(CalledOffFile(tmp_path))
    for number in range(KEPT + 1):
        await stored.add(f"s{number}")
    stored.refuse("s0")
    with pytest.raises(FaultError):
        stored.refuse("s1")
    assert len(CalledOffFile(tmp_path).load()) == KEPT
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    unstored = CalledOff(CalledOffFile(nowhere))
    await unstored.add("s1")
    with pytest.raises(FaultError):
        unstored.refuse("s1")


async def test_call_offs_that_cannot_be_read_do_not_keep_a_host_from_starting(tmp_path: Path) -> None:
    (tmp_path / "called_off.json").write_text("{")
    assert (await Host(tmp_path).say("start", session())).status == RUNNING
