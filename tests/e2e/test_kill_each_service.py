"""kill -9 of each part while an engine trades: the engine does not notice, and nothing is lost."""

import asyncio
import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.contract import SERVICES
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import ClientState, FailureReason, RunState
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import (
    eventually,
    next_heartbeat,
    paced,
    record_is_complete,
    stopped,
    traded_more,
    trading,
)
from tests.e2e.stacks import RunningStack, until

RIGHT_AGAIN_S = 10.0


@pytest.fixture(scope="module")
def runtime() -> str:
    """Only a supervisor that dies leaves something to a runtime; local processes outlive theirs in test_emergency_trouble.py,
    test_study_chaos.py and test_supervisor_dies_between_steps.py.
    """
    return best_runtime()


@pytest.fixture
async def engine(fleet: Flotilla) -> EngineView:
    """An engine that trades, the same one for all tests of the stack that let it live."""
    try:
        view = await fleet.engine("steady")
    except FaultError:
        view = None
    if view is None or view.state != ClientState.RUNNING:
        view = await trading(fleet, paced("steady"))
    return view


async def engine_pid(fleet: Flotilla) -> int:
    async with fleet.watch("steady", kinds=("heartbeat",)) as updates:
        pid = (await next_heartbeat(updates)).engine_pid
    assert pid is not None
    return pid


async def is_right(fleet: Flotilla) -> bool:
    """Every service is well, and the engine is seen to trade."""
    try:
        well = [(await fleet.health(actor)).is_ready for actor in SERVICES]
        view = await fleet.engine("steady")
    except FaultError:
        return False
    age = view.heartbeat_age_s
    is_seen = age is not None and age < 3 and view.metrics is not None
    return all(well) and view.state == ClientState.RUNNING and is_seen


@pytest.mark.parametrize("victim", ["orchestrator", "supervisor", "gateway", "nats-server", "postgres"])
async def test_kill_9_is_survived(
    stack: RunningStack, fleet: Flotilla, engine: EngineView, victim: str
) -> None:
    session = engine.session
    assert session is not None
    pid_before = await engine_pid(fleet)
    victim_pid = stack.pid_of(victim)
    assert victim_pid is not None
    killed_at = time.monotonic()
    os.kill(victim_pid, signal.SIGKILL)
    new_pid = await eventually(
        lambda: _other_pid(stack, victim, victim_pid), RIGHT_AGAIN_S, f"a new {victim}"
    )
    assert new_pid != victim_pid
    await eventually(
        lambda: is_right(fleet), RIGHT_AGAIN_S - (time.monotonic() - killed_at), "the right state"
    )
    view = await fleet.engine("steady")
    assert view.session is not None
    assert view.session.session_id == session.session_id
    assert view.session.state == RunState.TRADING
    assert await engine_pid(fleet) == pid_before
    assert view.metrics is not None
    await traded_more(fleet, "steady", view.metrics.fills_total)
    async with fleet.watch("steady", kinds=("heartbeat",)) as updates:
        published = (await next_heartbeat(updates)).events_published
    assert published > 0
    await _is_recorded_up_to(fleet, session.session_id, published)
    assert f"{victim} ended (SIGKILL); starting it again now" in stack.said()


async def _other_pid(stack: RunningStack, name: str, old: int) -> int | None:
    pid = stack.pid_of(name)
    return pid if pid != old else None


async def _is_recorded_up_to(fleet: Flotilla, session_id: str, last: int) -> None:
    """An engine that still trades: no gap, and at least all that its sidecar had published."""

    async def look() -> bool:
        try:
            page = await fleet.events("steady", session_id=session_id, after_seq=last - 1, limit=1)
        except FaultError as error:
            if error.fault.code != FaultCode.UNAVAILABLE:
                raise
            return False  # What is read from memory is right before the record is back.
        return bool(page.events) and page.missing == ()

    await eventually(look, 15, f"event {last} on record, with none missing before it")


async def test_rest_is_back_after_the_gateway_was_killed(stack: RunningStack, engine: EngineView) -> None:
    pid = stack.pid_of("gateway")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    health = urllib.request.Request(
        f"{stack.connection.http_url}/api/v1/nautilus/engine/health",
        headers={"Authorization": f"Bearer {stack.token}"},
    )

    def answers() -> bool:
        try:
            with urllib.request.urlopen(health, timeout=1) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    await asyncio.to_thread(until, lambda: stack.pid_of("gateway") != pid and answers(), RIGHT_AGAIN_S)


async def test_after_all_that_every_event_is_on_record(fleet: Flotilla, engine: EngineView) -> None:
    view = await stopped(fleet, "steady")
    assert view.session is not None
    last = (await fleet.events("steady", kind="state", after_seq=view.session.last_seq - 1, limit=1)).events
    assert last, "the last event of a session is its end"
    await record_is_complete(fleet, "steady", view.session.session_id, view.session.last_seq)


async def test_a_killed_engine_is_reported_with_its_exit_code_and_last_words(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, paced("victim"))
    async with fleet.watch("victim", kinds=("heartbeat",)) as updates:
        pid = (await next_heartbeat(updates)).engine_pid
    assert pid is not None
    view = await fleet.engine("victim")
    assert view.session is not None
    began = time.monotonic()
    kill_engine(stack, view.session.container_name, pid)

    async def failed() -> EngineView | None:
        view = await fleet.engine("victim")
        return view if view.session and view.session.state == RunState.FAILED else None

    session = (await eventually(failed, 5 - (time.monotonic() - began), "the report of the crash")).session
    assert session is not None
    assert (session.reason, session.exit_code) == (FailureReason.KILLED, -signal.SIGKILL)
    assert session.log_tail
    assert any("Z [" in line for line in session.log_tail), session.log_tail
    done = stack.cli("engine", "inspect", "victim")
    assert re.search(r"state +failed \(killed\)", done.stdout)
    assert "exit code -9" in done.stdout
    await record_is_complete(fleet, "victim", session.session_id, session.last_seq)


def kill_engine(stack: RunningStack, container: str, pid: int) -> None:
    """kill -9 of the engine process, where its pid means something."""
    if stack.runtime == "docker":
        subprocess.run(["docker", "exec", container, "sh", "-c", f"kill -9 {pid}"], check=True)
    else:
        os.kill(pid, signal.SIGKILL)
