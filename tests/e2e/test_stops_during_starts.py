"""Stops at any moment of a start: each ends in time, opens nothing more, says what it does not know, and stays over.

FLOTILLA_STOPS says how many starts are stopped, FLOTILLA_STOPS_RUNTIMES where (process, docker): 200 and both are what is
shown now and then.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import pytest

from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.engine import SessionView
from flotilla.schemas.session import container_name
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineEvent
from tests.e2e.conftest import require_docker
from tests.e2e.engines import engine_pids, eventually, paced, traded_more, trading
from tests.e2e.rest import ENGINES, Rest
from tests.e2e.stacks import RunningStack, processes_of
from tests.e2e.stops import (
    RUNTIMES,
    Stopped,
    events_of,
    faults_of,
    growth_after,
    orders_that_open,
    parent_of,
)

STARTS = int(os.environ.get("FLOTILLA_STOPS", "12"))
AT_ONCE = 4
LATEST_S = 1.0
FROZEN_BOUND_S = 25.0


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Those that were asked for."""
    if request.param == "docker":
        require_docker()
    return str(request.param)


@pytest.fixture
async def rest(stack: RunningStack) -> AsyncIterator[Rest]:
    """The REST API of the stack."""
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


async def stop_over_sdk(fleet: Flotilla, name: str) -> bool:
    """Whether the stop was answered as taken."""
    accepted = await fleet.stop_engine(name)
    assert accepted.is_taken is not None
    return accepted.is_taken


async def stop_over_rest(rest: Rest, name: str) -> bool:
    """The same over REST."""
    told = await rest.done("POST", f"{ENGINES}/{name}/stop")
    assert told["data"]["is_taken"] in (True, False)
    return bool(told["data"]["is_taken"])


async def start_and_stop(
    fleet: Flotilla, name: str, delay_s: float, stop: Callable[[str], Awaitable[bool]], *, has_traded: bool
) -> Stopped:
    """Stops an engine `delay_s` after its start was accepted, or after its first fill, and returns once it has ended."""
    started = await fleet.start_engine(paced(name))
    if has_traded:
        await traded_more(fleet, name, 0, timeout_s=60)
    await asyncio.sleep(delay_s)
    asked = time.monotonic()
    is_taken = await stop(name)
    accepted_ns = time.time_ns()
    view = await fleet.wait_for(name, ENDED, session_id=started.session_id, timeout_s=90)
    assert view.session is not None
    return Stopped(name, delay_s, accepted_ns, time.monotonic() - asked, view.session, is_taken)


async def test_every_start_that_is_stopped_ends_in_time_and_nothing_follows_its_end(
    stack: RunningStack, fleet: Flotilla, rest: Rest
) -> None:
    chance = random.Random(STARTS)
    # Most stops come before the sidecar is heard, some before there is a container, and each fourth once the engine has traded.
    delays = [0.0, 0.02, 0.1, *(chance.uniform(0, LATEST_S) for _ in range(STARTS - 3))]
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, delay_s: float) -> Stopped:
        # Four over the SDK, four over REST; one of each four has traded.
        stop = partial(stop_over_rest, rest) if number // 4 % 2 else partial(stop_over_sdk, fleet)
        async with turns:
            return await start_and_stop(fleet, f"stop-{number}", delay_s, stop, has_traded=number % 4 == 3)

    stops = await asyncio.gather(*(one(number, delay_s) for number, delay_s in enumerate(delays)))
    told = {stopped.name: await events_of(fleet, stopped) for stopped in stops}
    wrong = {
        f"{stopped.name} after {stopped.delay_s * 1000:.0f} ms": found
        for stopped in stops
        if (found := faults_of(stopped, told[stopped.name]))
    }
    _report(stops, told)
    assert not wrong
    assert sum(1 for events in told.values() if any(event.kind == "fill" for event in events)) >= STARTS // 4
    # A stop of an engine that is not up in two seconds is answered before it is taken; Docker needs longer for that.
    assert sum(stopped.is_taken for stopped in stops) >= STARTS // 4

    async def nothing_is_left() -> bool:
        found = await fleet.containers()
        return not found.containers and not found.not_listed

    await eventually(nothing_is_left, 30, "the removal of their containers")
    for stopped in stops:
        assert await events_of(fleet, stopped) == told[stopped.name]
        view = await fleet.engine(stopped.name)
        assert view.session is not None
        assert view.session.state == RunState.STOPPED
    assert not [pid for pid in processes_of(stack.folder.root / "sessions") if pid != os.getpid()]


def _report(stops: list[Stopped], told: dict[str, list[EngineEvent[dict[str, Any]]]]) -> None:
    """What `pytest -s` shows of the figures."""
    longest = max(stops, key=lambda stopped: stopped.took_s)
    began = sum(1 for events in told.values() if events)
    traded = sum(1 for events in told.values() if any(event.kind == "fill" for event in events))
    taken = sum(stopped.is_taken for stopped in stops)
    unsure = sum(1 for stopped in stops if stopped.session.not_confirmed)
    killed = sum(1 for stopped in stops if stopped.session.exit_code == -signal.SIGKILL)
    late = max(
        (
            event.at_ns - stopped.accepted_ns
            for stopped in stops
            for event in told[stopped.name]
            if event.seq in growth_after(told[stopped.name], stopped.accepted_ns)
            or event.seq in orders_that_open(told[stopped.name], stopped.accepted_ns)
        ),
        default=0,
    )
    print(
        f"\n{len(stops)} starts: {began} sidecars were heard, {traded} engines traded, {taken} stops answered as taken,"
        f" {killed} killed, {unsure} with doubts;"
        f" longest stop {longest.took_s:.1f} s ({longest.delay_s * 1000:.0f} ms after its start);"
        f" last order or growth {late / 1e6:.1f} ms after an answer"
    )


@pytest.fixture
def frozen() -> Iterator[list[int]]:
    """Processes that are woken up at the end, so that they can end whatever fails."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def stopped_in(fleet: Flotilla, name: str) -> tuple[float, SessionView]:
    """Stops an engine: how long that took (s), and how it ended."""
    began = time.monotonic()
    accepted = await fleet.stop_engine(name)
    view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=60)
    assert view.session is not None
    return time.monotonic() - began, view.session


async def stop_frozen(
    fleet: Flotilla, parts: tuple[str, ...], frozen: list[int]
) -> tuple[float, SessionView]:
    """Freezes parts of an engine that trades, and stops it."""
    name = f"frozen-{'-'.join(parts)}"
    await trading(fleet, paced(name))
    engine = (await engine_pids(fleet, [name]))[name]
    # The sidecar is the parent of the zygote, which is the parent of the engine.
    pids = {"engine": engine, "sidecar": parent_of(parent_of(engine))}
    for part in parts:
        os.kill(pids[part], signal.SIGSTOP)
        frozen.append(pids[part])
    return await stopped_in(fleet, name)


async def stop_frozen_container(fleet: Flotilla, how: str) -> tuple[float, SessionView]:
    """Freezes all that is in the container of an engine that trades, and stops it."""
    view = await trading(fleet, paced(f"frozen-{how}"))
    assert view.session is not None
    container = container_name(view.session.session_id)
    command = ["docker", "pause", container]
    if how == "signal":
        # All processes but the first one, and the one that sends it.
        command = ["docker", "exec", container, "/bin/sh", "-c", "kill -STOP -1"]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)
    return await stopped_in(fleet, f"frozen-{how}")


async def test_what_is_frozen_is_gone_within_25_s_of_its_stop_and_says_what_is_not_known(
    stack: RunningStack, fleet: Flotilla, frozen: list[int]
) -> None:
    cases: list[tuple[str, ...]] = [("engine",), ("sidecar",), ("engine", "sidecar")]
    if stack.runtime == "docker":
        cases = [("signal",), ("pause",)]
        stops = [stop_frozen_container(fleet, how) for (how,) in cases]
    else:
        stops = [stop_frozen(fleet, parts, frozen) for parts in cases]
    for parts, (took_s, session) in zip(cases, await asyncio.gather(*stops), strict=True):
        print(f"\nfrozen {' and '.join(parts)}: {took_s:.1f} s, not confirmed: {session.not_confirmed}")
        assert took_s < FROZEN_BOUND_S
        # One that was paused wakes up to obey, and has an account of its own to give.
        assert session.not_confirmed or parts == ("pause",)
