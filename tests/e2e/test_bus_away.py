"""The bus is away for a minute while an engine trades: it trades on, and every event arrives afterwards."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import ClientState
from flotilla.schemas.telemetry import EngineEvent
from tests.e2e.engines import eventually, paced, record_is_complete, stopped, trading
from tests.e2e.stacks import RunningStack

OUTAGE_S = 60.0


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


async def is_running(fleet: Flotilla, name: str) -> bool:
    try:
        view = await fleet.engine(name)
    except FaultError:
        return False
    return view.state == ClientState.RUNNING and (view.heartbeat_age_s or 99) < 3


async def test_a_minute_without_the_bus_loses_no_event_and_does_not_stop_trading(
    stack: RunningStack, fleet: Flotilla
) -> None:
    view = await trading(fleet, paced("steady"))
    assert view.session is not None
    nats_pid = stack.pid_of("nats-server")
    assert nats_pid is not None
    # Stopped, not killed: a server that is killed is back at once, and one that hangs is the worse case.
    os.kill(nats_pid, signal.SIGSTOP)
    began_ns = time.time_ns()
    try:
        await asyncio.sleep(OUTAGE_S)  # the outage itself is what is tested
    finally:
        os.kill(nats_pid, signal.SIGCONT)
    ended_ns = time.time_ns()
    await eventually(lambda: is_running(fleet, "steady"), 15, "the engine in sight again")

    done = await stopped(fleet, "steady")
    assert done.session is not None
    assert done.session.session_id == view.session.session_id
    await record_is_complete(fleet, "steady", done.session.session_id, done.session.last_seq)
    page = await fleet.events("steady", session_id=done.session.session_id, kind="fill", limit=1000)
    stamps = [msgspec.json.decode(raw, type=EngineEvent[msgspec.Raw]).at_ns for raw in page.events]
    during = [stamp for stamp in stamps if began_ns < stamp < ended_ns]
    assert len(during) > 50
    assert max(b - a for a, b in pairwise([began_ns, *during, ended_ns])) < 10e9
