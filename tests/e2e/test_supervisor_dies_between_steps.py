"""The supervisor is killed at each boundary between two steps of a start or a stop: every session ends, and says what is true.

FLOTILLA_DOOMS says how often at each, FLOTILLA_STOPS_RUNTIMES where: 20 and both are what is shown now and then.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.states import RunState
from tests.e2e.conftest import require_docker
from tests.e2e.engines import engine_pids, eventually, paced, trading
from tests.e2e.stacks import RunningStack, processes_of, until
from tests.e2e.stops import RUNTIMES, Stopped, events_of, faults_of, parent_of
from tests.fakes.doomed_service import BOUNDARIES

ROUNDS = int(os.environ.get("FLOTILLA_DOOMS", "1"))
AWAY_S = 2.0
"""A supervisor that died is back within this time, or at once."""
BOUND_S = 35.0 + AWAY_S + 3.0
"""A stop's bound, and the time for which there is nobody to carry it out."""
FROZEN_BOUND_S = 25.0
"""For an engine whose sidecar is frozen; its supervisor's death does not count anew."""


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Those that were asked for."""
    if request.param == "docker":
        require_docker()
    return str(request.param)


class Supervisors:
    """One after the other in the place of the stack's own, which is kept from starting any."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        own = stack.pid_of("supervisor")
        assert own is not None
        pairs = Path(f"/proc/{own}/environ").read_bytes().decode().split("\0")
        self._env = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        stack.send(signal.SIGSTOP)
        os.kill(own, signal.SIGKILL)
        self._present: subprocess.Popen[bytes] | None = None

    def start(self, boundary: str = "") -> None:
        """The next one, once the one before has ended; with a boundary, one that dies there."""
        self.end()
        argv = ["-m", "flotilla.services.supervisor"]
        if boundary:
            # What services are given keeps them from finding the tests by themselves.
            path = f"import sys; sys.path.insert(0, {str(Path.cwd())!r})"
            argv = ["-c", f"{path}; from tests.fakes.doomed_service import main; main({boundary!r})"]
        with (self._stack.root / "supervisors.log").open("ab") as log:
            self._present = subprocess.Popen([sys.executable, *argv], env=self._env, stdout=log, stderr=log)

    def has_died(self) -> bool:
        """True once the present one has killed itself; fails when it ended in another way."""
        assert self._present is not None
        ended = self._present.poll()
        assert ended in (None, -signal.SIGKILL), (self._stack.root / "supervisors.log").read_text()[-4000:]
        return ended is not None

    def end(self) -> None:
        """SIGKILL."""
        if self._present is not None:
            self._present.kill()
            self._present.wait(10)

    def give_back(self) -> None:
        """The stack starts its own again."""
        self.end()
        self._stack.send(signal.SIGCONT)
        until(lambda: self._stack.pid_of("supervisor"), 30, "the stack's own supervisor")


@pytest.fixture(scope="module")
def supervisors(stack: RunningStack) -> Iterator[Supervisors]:
    """In the place of the stack's own."""
    made = Supervisors(stack)
    yield made
    made.give_back()


def cases() -> list[tuple[str, int]]:
    """Each boundary as often as was asked for; by default one of those with a frozen sidecar, which takes 20 s to give up."""
    return [
        (name, number)
        for name, boundary in BOUNDARIES.items()
        for number in range((ROUNDS + (name == "silence noticed")) // 2 if boundary.is_frozen else ROUNDS)
    ]


async def freeze(stack: RunningStack, fleet: Flotilla, name: str, container: str | None) -> None:
    """Freezes the sidecar of an engine that trades; in a container all but its first process."""
    if stack.runtime == "docker":
        assert container is not None
        command = ["docker", "exec", container, "/bin/sh", "-c", "kill -STOP -1"]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)
    else:
        engine = (await engine_pids(fleet, [name]))[name]
        os.kill(parent_of(parent_of(engine)), signal.SIGSTOP)


class Answered(NamedTuple):
    """When a stop was asked for (s) and answered (ns) by the wall clock, and whether it was answered as taken."""

    asked: float
    at_ns: int
    is_taken: bool


async def stopped(fleet: Flotilla, name: str) -> Answered:
    """Stops an engine."""
    asked = time.time()
    accepted = await fleet.stop_engine(name)
    return Answered(asked, time.time_ns(), accepted.is_taken is True)


async def reach(
    stack: RunningStack, fleet: Flotilla, name: str, boundary: str, supervisors: Supervisors
) -> tuple[str, Answered]:
    """Starts an engine, has its supervisor die at the boundary, stops it; its session, and how the stop was answered."""
    what = BOUNDARIES[boundary]
    if what.is_frozen:
        supervisors.start()
        view = await trading(fleet, paced(name))
        assert view.session is not None
        await freeze(stack, fleet, name, view.session.container_name)
        supervisors.start(boundary)
        return view.session.session_id, await stopped(fleet, name)
    supervisors.start(boundary)
    started = await fleet.start_engine(paced(name))
    assert started.session_id is not None
    if "start" in boundary or "created" in boundary:
        await _death(supervisors, boundary)
    elif "remov" in boundary:
        states = (RunState.BOOTING, RunState.CONNECTING, RunState.TRADING)
        await fleet.wait_for(name, states, session_id=started.session_id)
    else:
        # A host must be in sight for the start to be sent, and the stop is to come while that goes on.
        await fleet.wait_for(name, (RunState.CREATING,), session_id=started.session_id)
        await asyncio.sleep(0.5)
    return started.session_id, await stopped(fleet, name)


async def _death(supervisors: Supervisors, boundary: str) -> None:
    async def look() -> bool:
        return supervisors.has_died()

    await eventually(look, 45, f"the supervisor's death at: {boundary}")


@pytest.mark.parametrize(("boundary", "number"), cases())
async def test_every_session_ends_whenever_its_supervisor_dies(
    stack: RunningStack, fleet: Flotilla, supervisors: Supervisors, boundary: str, number: int
) -> None:
    is_frozen = BOUNDARIES[boundary].is_frozen
    name = f"doomed-{boundary.replace(' ', '-')}-{number}"
    session_id, answered = await reach(stack, fleet, name, boundary, supervisors)
    await _death(supervisors, boundary)
    await asyncio.sleep(random.Random(number).uniform(0, AWAY_S))
    supervisors.start()
    view = await fleet.wait_for(name, ENDED, session_id=session_id, timeout_s=90)
    assert view.session is not None
    took_s = time.time() - answered.asked
    ended = Stopped(name, 0.0, answered.at_ns, took_s, view.session, answered.is_taken)
    print(f"\n{boundary}: {ended.took_s:.1f} s, {view.session.state}, {view.session.not_confirmed}")
    told = await events_of(fleet, ended)
    assert faults_of(ended, told, bound_s=FROZEN_BOUND_S if is_frozen else BOUND_S) == []
    assert ended.session.not_confirmed or not is_frozen

    async def nothing_is_left() -> bool:
        found = await fleet.containers()
        return not found.containers and not found.not_listed

    await eventually(nothing_is_left, 30, "the removal of its container")
    assert await events_of(fleet, ended) == told
    assert not processes_of(stack.folder.root / "sessions" / session_id)
