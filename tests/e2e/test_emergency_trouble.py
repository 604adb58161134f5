"""Emergency stops while what they need is dead or frozen: every engine gone or named, 0 only when all of it is confirmed, in 25 s.

FLOTILLA_EMERGENCY_RUNTIMES says where (process, docker) all of it is tried; without a bus it always is on both.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.bus.bus import connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.receipts import is_confirmed
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.client.client import Flotilla
from flotilla.client.watch import Watch
from flotilla.schemas.backtest import BacktestStatus
from flotilla.schemas.contract import COMMAND_END_NOW
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import EndNow, FleetStopped, SessionEnded
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EngineEvent, EventKind, StateChange, StopReport
from tests.e2e.conftest import require_docker
from tests.e2e.engines import engine_pids, eventually, paced, trading
from tests.e2e.rest import API, ENGINE, Rest
from tests.e2e.stacks import RunningStack, until
from tests.e2e.stops import parent_of, still_running

LIMIT_S = 25.0
NAMES = ("left", "right")
RESTART = f"POST {ENGINE}/restart"
FORGED_END = StateChange(
    state=RunState.STOPPED, exit_code=0, stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True)
)
RUNTIMES = os.environ.get("FLOTILLA_EMERGENCY_RUNTIMES", "process").split(",")

on_both = pytest.mark.parametrize("runtime", ["process", "docker"], indirect=True)
with_local_processes = pytest.mark.parametrize("runtime", ["process"], indirect=True)


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Those that were asked for."""
    if request.param == "docker":
        require_docker()
    return str(request.param)


@pytest.fixture
async def fleet(stack: RunningStack) -> AsyncIterator[Flotilla]:
    """A client; what a test leaves in force is lifted, and its engines are ended on record, because the stack is the next one's too."""
    async with Flotilla.connect(stack.connection, wait_s=10) as connected:
        yield connected
        await eventually(lambda: _lifted(connected), 60, "the end of every stop")


async def _lifted(fleet: Flotilla) -> bool:
    try:
        left = await fleet.lift_stop()
    except FaultError:  # the supervisor is not back yet
        return False
    # The orchestrator hears of it with the next heartbeat.
    known = {one.instance_id: one for one in (await fleet.engines()).engines}
    ended = [
        one.session is None or one.session.state.is_terminal
        for name in NAMES
        if (one := known.get(name)) is not None
    ]
    return (
        not left.flags
        and not left.unreached
        and not any(one.stop_flag for one in known.values())
        and all(ended)
    )


class Stopped:
    """What `flotilla emergency-stop --all` came to."""

    def __init__(self, done: subprocess.CompletedProcess[str], seconds: float) -> None:
        self.exit_code = done.returncode
        self.errors = done.stderr
        self.seconds = seconds
        self.document = msgspec.json.decode(done.stdout, type=FleetStopped)


def stop_all(stack: RunningStack, *options: str) -> Stopped:
    began = time.monotonic()
    done = stack.cli("--json", "emergency-stop", "--all", "--reason", "drill", *options)
    return Stopped(done, time.monotonic() - began)


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed
            os.kill(pid, signal.SIGCONT)


class Engines(msgspec.Struct, frozen=True):
    """Two that trade: their sessions and processes."""

    stack: RunningStack
    sessions: dict[str, str]
    pids: dict[str, int]

    def still_running(self) -> list[str]:
        """Those that the machine still runs, whatever anybody says."""
        return still_running(self.stack, self.sessions, self.pids)


async def two_engines(stack: RunningStack, fleet: Flotilla) -> Engines:
    views = {name: await trading(fleet, paced(name)) for name in NAMES}
    sessions = {name: view.session.session_id for name, view in views.items() if view.session}
    return Engines(stack, sessions, await engine_pids(fleet, NAMES))


async def assert_honest(stopped: Stopped, engines: Engines) -> None:
    """Whatever was dead: it ends in time, every engine is named and gone, and 0 is said only of what is confirmed."""
    assert stopped.seconds <= LIMIT_S, stopped.seconds
    receipts = {one.instance_id: one for one in stopped.document.receipts}
    assert receipts.keys() == set(NAMES), "every engine, and no worker"
    is_all_well = not stopped.document.unreached and all(
        one.is_flat and one.is_gone and not one.is_killed and not one.not_confirmed
        for one in receipts.values()
    )
    assert stopped.exit_code == (0 if is_all_well else 8), stopped.document
    for one in receipts.values():
        assert one.is_flat or one.not_confirmed, "what is not confirmed is said in words"
    print(f"{engines.stack.runtime}: exit code {stopped.exit_code} after {stopped.seconds:.1f} s")
    await asyncio.to_thread(until, lambda: not engines.still_running(), 5, "the end of every engine")


async def assert_kept_from_starting(stack: RunningStack) -> None:
    """The flag is in force, or becomes so, wherever it had to be left."""

    def is_refused() -> bool:
        refused = stack.cli("engine", "start", "left")
        return refused.returncode == 5 and "emergency stop" in refused.stderr

    await asyncio.to_thread(until, is_refused, 30, "a refused start")


async def test_a_worker_and_its_backtest_go_on_and_are_no_reason_for_8(
    stack: RunningStack, fleet: Flotilla
) -> None:
    engines = await two_engines(stack, fleet)
    running = asyncio.get_running_loop().create_task(
        asyncio.to_thread(stack.cli, "--json", "backtest", "run", "under-way", "--strategy", "ema_cross")
    )
    await eventually(lambda: _has_begun(fleet), 60, "a backtest that runs")
    stopped = await asyncio.to_thread(stop_all, stack)
    await assert_honest(stopped, engines)
    assert stopped.exit_code == 0, stopped.document
    ran = await running
    assert ran.returncode == 0, ran.stderr
    assert (await fleet.backtest("under-way")).status is BacktestStatus.COMPLETED


async def _has_begun(fleet: Flotilla) -> bool:
    try:
        return (await fleet.backtest("under-way")).status is not BacktestStatus.PENDING
    except FaultError:
        return False


async def test_with_its_supervisor_killed_in_the_middle_the_next_one_carries_it_through(
    stack: RunningStack, fleet: Flotilla
) -> None:
    engines = await two_engines(stack, fleet)
    stopping = asyncio.get_running_loop().create_task(asyncio.to_thread(stop_all, stack))
    flags = stack.folder.root / "stop_flags.json"
    await asyncio.to_thread(until, lambda: flags.exists() and b"drill" in flags.read_bytes(), 10, "the flag")
    supervisor = stack.pid_of("supervisor")
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    stopped = await stopping
    await assert_honest(stopped, engines)
    assert stopped.document.unreached == ()
    await assert_kept_from_starting(stack)


async def test_with_its_supervisor_frozen_engines_are_asked_directly_and_their_ends_are_looked_at(
    stack: RunningStack, fleet: Flotilla
) -> None:
    engines = await two_engines(stack, fleet)
    with frozen(stack.pid_of("supervisor")):
        stopped = await asyncio.to_thread(stop_all, stack)
        await assert_honest(stopped, engines)
    # They told of themselves over the bus, the runtime showed how they ended, and the flag waits in the folder.
    assert stopped.exit_code == 0, stopped.document
    assert [flag.reason for flag in stopped.document.flags] == ["drill"]
    await assert_kept_from_starting(stack)


async def test_with_the_bus_frozen_it_goes_around_it_and_says_so_of_every_engine(
    stack: RunningStack, fleet: Flotilla
) -> None:
    engines = await two_engines(stack, fleet)
    with frozen(stack.pid_of("nats-server")):
        stopped = await asyncio.to_thread(stop_all, stack)
        await assert_honest(stopped, engines)
    assert "going around the bus" in stopped.errors
    assert all(one.is_around_bus and not one.is_flat for one in stopped.document.receipts)
    assert stopped.exit_code == 8
    await assert_kept_from_starting(stack)


@with_local_processes
async def test_whoever_stole_an_engines_credential_makes_no_killed_engine_flat(
    stack: RunningStack, fleet: Flotilla
) -> None:
    engines = await two_engines(stack, fleet)
    stolen = engines.sessions["left"]
    thief = await connect(thieves_settings(stack, "left", stolen))
    forged = SessionEnded(instance_id="left", session_id=stolen, end=FORGED_END)
    asked: list[EndNow] = []

    async def answer(request: EndNow) -> SessionEnded:
        asked.append(request)
        return forged

    for _ in range(30):  # of thirty-one in the queue group, so that the sidecar hardly hears of anything
        await thief.serve(COMMAND_END_NOW, answer, instance_id="left")
    with frozen(parent_of(parent_of(engines.pids["left"]))), frozen(engines.pids["left"]):
        event = EngineEvent(
            instance_id="left",
            session_id=stolen,
            generation=1,
            seq=1 << 40,
            at_ns=time.time_ns(),
            kind=EventKind.STATE,
            data=FORGED_END,
        )
        await thief.client.publish("engine.left.state", msgspec.json.encode(event))
        stopped = await asyncio.to_thread(stop_all, stack, "--deadline", "6")
    await thief.close()
    await assert_honest(stopped, engines)
    receipts = {one.instance_id: one for one in stopped.document.receipts}
    assert (receipts["left"].is_flat, receipts["left"].is_killed) == (False, True), receipts["left"]
    assert stopped.exit_code == 8
    assert is_confirmed(receipts["right"])


def thieves_settings(stack: RunningStack, name: str, session_id: str) -> BusSettings:
    """What the supervisor gives this session, as if strategy code in it could read it."""
    stolen = FleetKeys(stack.folder.keys).mint().mint(name, session_id).creds
    return BusSettings(url=stack.connection.nats_url, name=engine_name(name, session_id), creds=stolen)


@on_both
async def test_with_the_bus_dead_it_goes_around_it_too(stack: RunningStack, fleet: Flotilla) -> None:
    engines = await two_engines(stack, fleet)
    with stack.without("nats-server"):
        stopped = await asyncio.to_thread(stop_all, stack)
        await assert_honest(stopped, engines)
    assert all(one.is_around_bus and not one.is_flat for one in stopped.document.receipts)
    assert stopped.exit_code == 8
    await assert_kept_from_starting(stack)


@with_local_processes
async def test_every_change_stands_on_record_with_who_from_where_what_and_its_outcome(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, paced("left"))
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        await rest.done("POST", f"{ENGINE}/stop", {"instance_id": "left"})
        nobody = {"Authorization": "Bearer stolen"}
        async with session.post(
            f"{stack.connection.http_url}{ENGINE}/restart", headers=nobody
        ) as turned_away:
            assert turned_away.status == 401
        secret = {"config": {"instance_id": "left", "strategies": [], "parameters": {"api_key": "AKIAX"}}}
        status, refused = await rest.call("POST", f"{ENGINE}/start", secret)
        assert status >= 400, refused
        async with fleet.watch(kinds=("fleet_alert",)) as alerts:
            with stack.without("postgres"):
                stopped = await asyncio.to_thread(stop_all, stack)
                assert await told_of(alerts, "emergency_stop_asked"), "whatever the record does"
            assert stopped.exit_code == 0, stopped.document
            assert await told_of(alerts, "emergency_stop")
            assert (await asyncio.to_thread(stack.cli, "emergency-stop", "--lift")).returncode == 0
            assert await told_of(alerts, "stop_lifted")

        async def on_record() -> dict[str, Any] | None:
            found = (await rest.done("GET", f"{API}/audit"))["entries"]
            by_call = {entry["subject"]: entry for entry in reversed(found)}
            is_there = {"engine.lift_stop", "fleet.engine.lift_stop", RESTART} <= by_call.keys()
            # The refused start comes by a feed of its own, which may have found no record before.
            is_told = is_there and by_call["fleet.engine.start"]["outcome"] != "accepted"
            return by_call if is_told else None

        found = await eventually(on_record, 30, "what hosts were asked directly, and the refused start")
    started, stop = found["fleet.engine.start"], found["fleet.engine.stop"]
    assert (stop["who"], stop["is_vouched_for"], stop["via"], stop["outcome"]) == (
        "admin",
        True,
        "rest",
        "accepted",
    )
    assert stop["origin"] == "127.0.0.1"
    assert stop["body"]["instance_id"] == "left"
    assert started["message"]
    assert "AKIAX" not in msgspec.json.encode(found).decode()
    by_hand = found["engine.emergency_stop"]
    assert (by_hand["credential"], by_hand["is_vouched_for"], by_hand["via"]) == ("operator", False, "cli")
    assert by_hand["origin"] == socket.gethostname()
    assert by_hand["body"]["reason"] == "drill"
    assert "sessions flat and gone" in by_hand["message"]
    nobody_known = found[RESTART]
    assert (nobody_known["outcome"], nobody_known["who"], nobody_known["origin"]) == (
        "unauthenticated",
        "",
        "127.0.0.1",
    )
    asked = found["fleet.engine.emergency_stop"]
    assert (asked["via"], asked["origin"]) == ("cli", socket.gethostname()), "as it was asked for"
    assert asked["body"] == {"instance_id": None, "reason": "drill"}
    shown = await asyncio.to_thread(stack.cli, "audit")
    assert shown.returncode == 0, shown.stderr
    assert "admin" in shown.stdout
    assert "emergency_stop" in shown.stdout


async def told_of(alerts: Watch, code: str) -> bool:
    """Waits until the fleet raises this alert."""

    async def look() -> bool:
        update = await alerts.next(1)
        return update is not None and update.payload.code == code

    return await eventually(look, 30, f"an alert {code}")
