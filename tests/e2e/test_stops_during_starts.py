"""Stops at any moment of a start: each ends in time, opens nothing more, says what it does not know, and stays over.

FLOTILLA_STOPS says how many starts are stopped, FLOTILLA_STOPS_RUNTIMES where (process, docker): 200 and both are what is
shown now and then.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.client import ENDED, Flotilla
from schemas.engine import SessionView
from schemas.states import RunState
from schemas.telemetry import EngineEvent
from tests.e2e.conftest import require_docker
from tests.e2e.engines import engine_pids, paced, trading
from tests.e2e.stacks import RunningStack, processes_of

STARTS = int(os.environ.get("FLOTILLA_STOPS", "12"))
RUNTIMES = os.environ.get("FLOTILLA_STOPS_RUNTIMES", "process").split(",")
AT_ONCE = 4
LATEST_S = 1.0
TRADES_AFTER_S = 2.5
BOUND_S = 35.0
"""30 s of every template of ours, then the kill."""
FROZEN_BOUND_S = 25.0
ON_ITS_WAY_S = 1.0
"""From the answer to a stop until its engine has it, on a machine that does much else."""


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Those that were asked for."""
    if request.param == "docker":
        require_docker()
    return str(request.param)


class Stopped(msgspec.Struct, frozen=True):
    """One start and its stop, by this machine's clocks."""

    name: str
    delay_s: float
    accepted_ns: int
    took_s: float
    session: SessionView


async def start_and_stop(fleet: Flotilla, name: str, delay_s: float) -> Stopped:
    """Stops an engine `delay_s` after its start was accepted, and returns once it has ended."""
    started = await fleet.start_engine(paced(name))
    await asyncio.sleep(delay_s)
    await fleet.stop_engine(name)
    accepted, accepted_ns = time.monotonic(), time.time_ns()
    view = await fleet.wait_for(name, ENDED, session_id=started.session_id, timeout_s=90)
    assert view.session is not None
    return Stopped(name, delay_s, accepted_ns, time.monotonic() - accepted, view.session)


async def events_of(fleet: Flotilla, stopped: Stopped) -> list[EngineEvent[dict[str, Any]]]:
    session_id = stopped.session.session_id
    return [event async for event in fleet.all_events(stopped.name, session_id=session_id)]


def growth_after(events: list[EngineEvent[dict[str, Any]]], at_ns: int) -> list[int]:
    """The numbers of the events after `at_ns` by which a position was opened or added to."""
    held: dict[str, float] = {}
    grown = []
    for event in events:
        if event.kind == "position":
            key, now = event.data["position_id"], abs(float(event.data["signed_qty"]))
            if now > held.get(key, 0.0) and event.at_ns > at_ns:
                grown.append(event.seq)
            held[key] = now
    return grown


def faults_of(stopped: Stopped, events: list[EngineEvent[dict[str, Any]]]) -> list[str]:
    """What is wrong with a stop and what is on record of it."""
    session, wrong = stopped.session, []
    if stopped.took_s > BOUND_S:
        wrong.append(f"it took {stopped.took_s:.1f} s")
    if session.state != RunState.STOPPED:
        wrong.append(f"it is {session.state}: {session.detail}")
    if session.exit_code == -signal.SIGKILL and not session.not_confirmed:
        wrong.append("it was killed, and nothing is said to be unknown")
    if grown := growth_after(events, stopped.accepted_ns + int(ON_ITS_WAY_S * 1e9)):
        wrong.append(f"positions grew after the stop: events {grown}")
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        wrong.append("events are missing")
    has_account = bool(events) and events[-1].kind == "state" and events[-1].data["state"] == "stopped"
    if events and not has_account and not session.not_confirmed:
        wrong.append(f"its last event is {events[-1]}, and nothing is said to be unknown")
    return wrong


async def test_every_start_that_is_stopped_ends_in_time_and_nothing_follows_its_end(
    stack: RunningStack, fleet: Flotilla
) -> None:
    chance = random.Random(STARTS)
    # Most stops come before the sidecar is heard, some before there is a container, some when the engine has just traded.
    delays = [0.0, 0.02, 0.1, *(chance.uniform(0, LATEST_S) for _ in range(STARTS - 3))]
    delays[3::4] = [delay_s + TRADES_AFTER_S for delay_s in delays[3::4]]
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, delay_s: float) -> Stopped:
        async with turns:
            return await start_and_stop(fleet, f"stop-{number}", delay_s)

    stops = await asyncio.gather(*(one(number, delay_s) for number, delay_s in enumerate(delays)))
    told = {stopped.name: await events_of(fleet, stopped) for stopped in stops}
    wrong = {
        f"{stopped.name} after {stopped.delay_s * 1000:.0f} ms": found
        for stopped in stops
        if (found := faults_of(stopped, told[stopped.name]))
    }
    _report(stops, told)
    assert not wrong
    # By now a start that lived on would have shown: each has had its whole time again, and those that came first much more.
    for stopped in stops:
        assert await events_of(fleet, stopped) == told[stopped.name]
        view = await fleet.engine(stopped.name)
        assert view.session is not None
        assert view.session.state == RunState.STOPPED
    assert (await fleet.containers()).containers == ()
    assert not [pid for pid in processes_of(stack.folder.root / "sessions") if pid != os.getpid()]


def _report(stops: list[Stopped], told: dict[str, list[EngineEvent[dict[str, Any]]]]) -> None:
    """What `pytest -s` shows of the figures."""
    longest = max(stops, key=lambda stopped: stopped.took_s)
    began = sum(1 for events in told.values() if events)
    traded = sum(1 for events in told.values() if any(event.kind == "fill" for event in events))
    unsure = sum(1 for stopped in stops if stopped.session.not_confirmed)
    killed = sum(1 for stopped in stops if stopped.session.exit_code == -signal.SIGKILL)
    late = max(
        (
            event.at_ns - stopped.accepted_ns
            for stopped in stops
            for event in told[stopped.name]
            if event.seq in growth_after(told[stopped.name], stopped.accepted_ns)
        ),
        default=0,
    )
    print(
        f"\n{len(stops)} starts: {began} sidecars were heard, {traded} engines traded, {killed} killed, {unsure} with doubts;"
        f" longest stop {longest.took_s:.1f} s ({longest.delay_s * 1000:.0f} ms after its start);"
        f" last growth {late / 1e6:.1f} ms after an answer"
    )


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def frozen() -> Iterator[list[int]]:
    """Processes that are woken up at the end, so that they can end whatever fails."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def stop_frozen(
    fleet: Flotilla, parts: tuple[str, ...], frozen: list[int]
) -> tuple[float, SessionView]:
    """Freezes parts of an engine that trades and stops it: how long that took (s), and how it ended."""
    name = f"frozen-{'-'.join(parts)}"
    await trading(fleet, paced(name))
    engine = (await engine_pids(fleet, [name]))[name]
    # The sidecar is the parent of the zygote, which is the parent of the engine.
    pids = {"engine": engine, "sidecar": _parent(_parent(engine))}
    for part in parts:
        os.kill(pids[part], signal.SIGSTOP)
        frozen.append(pids[part])
    began = time.monotonic()
    accepted = await fleet.stop_engine(name)
    view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=60)
    assert view.session is not None
    return time.monotonic() - began, view.session


async def test_what_is_frozen_is_gone_within_25_s_of_its_stop_and_says_what_is_not_known(
    stack: RunningStack, fleet: Flotilla, frozen: list[int]
) -> None:
    if stack.runtime == "docker":
        pytest.skip(
            "processes have other numbers in a container: test_a_paused_container_... is its counterpart"
        )
    cases = (("engine",), ("sidecar",), ("engine", "sidecar"))
    ends = await asyncio.gather(*(stop_frozen(fleet, parts, frozen) for parts in cases))
    for parts, (took_s, session) in zip(cases, ends, strict=True):
        print(f"\nfrozen {' and '.join(parts)}: {took_s:.1f} s, not confirmed: {session.not_confirmed}")
        assert took_s < FROZEN_BOUND_S
        assert session.not_confirmed
