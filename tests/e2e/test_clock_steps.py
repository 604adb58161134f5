"""The wall clock under orchestrator, supervisor, gateway and sidecars is set, by an hour and by a day: nothing comes of it.

The bus keeps its time, so people are told of engines whose events are dated otherwise."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.alerts import DOUBTFUL_CLAIM
from flotilla.schemas.states import DesiredState, RunState
from flotilla.schemas.telemetry import FleetAlert, Heartbeat
from flotilla.stack.servers.child import Child
from tests.e2e.engines import eventually, follow_alerts, next_heartbeat, paced, stopped
from tests.e2e.stacks import RunningStack
from tests.faketime import require_libfaketime, set_wall_clock, under_libfaketime

FAKES = Path(__file__).resolve().parents[1] / "fakes"
HOUR, DAY = 3_600, 86_400
AHEAD = (HOUR, 0, DAY, 0)
"""How far the clock is from the true time: it is set by +1 h, -1 h, +1 day and -1 day."""
HOLD_S = 6.0
"""How long each setting is kept: three rounds of the orchestrator; a host is out of sight after as long."""


class SteppedStack(RunningStack):
    """A stack under libfaketime, all but its servers."""

    def __init__(self, library: Path) -> None:
        super().__init__("process")
        self.clock = self.root / "clock"
        set_wall_clock(self.clock, 0)
        stepped = under_libfaketime(library, self.clock)
        self.env = {f"FLOTILLA_STEPPED_{name}": text for name, text in stepped.items()}
        variables = [f"{name}={text}" for name, text in stepped.items()]
        sidecar = ["env", *variables, sys.executable, "-u", str(FAKES / "stepped_sidecar.py")]
        self.env["FLOTILLA_PROCESS_COMMAND"] = shlex.join(sidecar)

    def _child(self, *arguments: str) -> Child:
        program = [sys.executable, "-I", str(FAKES / "stepped_stack.py")]
        argv = [*program, "up", "--state", str(self.folder.root), "--runtime", self.runtime, "--port", "0"]
        return Child("up", [*argv, *arguments], self.root / "up.log", env={**os.environ, **self.env})


@pytest.fixture
def stack() -> Iterator[SteppedStack]:
    made = SteppedStack(require_libfaketime())
    made.start()
    yield made
    made.remove()


async def heard_from(fleet: Flotilla) -> Heartbeat:
    async with fleet.watch(kinds=("heartbeat",)) as updates:
        return await next_heartbeat(updates)


async def is_at(fleet: Flotilla, ahead_s: int) -> None:
    """Waits until a sidecar's own wall clock is where it was set: without that the test would show nothing."""

    async def look() -> bool:
        beat = await heard_from(fleet)
        return abs(beat.at_ns / 1e9 - time.time() - ahead_s) < 60

    await eventually(look, 15, f"a sidecar's clock {ahead_s:+d} s from the true time")


async def test_a_step_of_the_wall_clock_fails_restarts_and_loses_nothing(
    stack: SteppedStack, fleet: Flotilla
) -> None:
    told: list[FleetAlert] = []
    sessions: dict[str, str | None] = {}
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow_alerts(fleet, told))
        for number, ahead_s in enumerate(AHEAD):
            name = f"e{number}"
            # One is on its way up at each step.
            sessions[name] = (await fleet.start_engine(paced(name, speed=DAY))).session_id
            set_wall_clock(stack.clock, ahead_s)
            await fleet.wait_for(name, (RunState.TRADING,), session_id=sessions[name], timeout_s=60)
            await is_at(fleet, ahead_s)
            if ahead_s == DAY:
                orchestrator = stack.pid_of("orchestrator")
                assert orchestrator is not None
                os.kill(orchestrator, signal.SIGKILL)
            await asyncio.sleep(HOLD_S)  # that nothing comes of it takes as long as it would take to come
            for each, session_id in sessions.items():
                view = await fleet.engine(each)
                assert view.session is not None
                seen = (view.session.session_id, view.session.state, view.desired, view.restarts)
                assert seen == (session_id, RunState.TRADING, DesiredState.RUNNING, 0), view
                assert (view.heartbeat_age_s or 0) < 5
            if number == 1:
                await stopped(fleet, "e0")
                sessions.pop("e0")
        following.cancel()
    assert {alert.code for alert in told} == {DOUBTFUL_CLAIM.code}, told
    assert all("on record under" in alert.message for alert in told)
