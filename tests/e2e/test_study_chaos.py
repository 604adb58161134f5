"""kill -9 of every part, again and again, in the middle of a study: every result is there, once, and as if nothing had happened.

FLOTILLA_STUDY_TRIALS says how many backtests, FLOTILLA_STUDY_ROUNDS how often each part is killed, FLOTILLA_STUDY_SEED at which
moments, FLOTILLA_STUDY_RUNTIMES where: 200, 12, several and both are what is shown now and then.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.streams import history
from flotilla.client.client import Flotilla
from flotilla.client.retry import patiently
from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    Axis,
    BacktestConfig,
    BacktestStatus,
    BacktestView,
    ResultPart,
    StudyConfig,
    StudyView,
)
from flotilla.state.folder import owner_of
from tests.e2e.conftest import require_docker
from tests.e2e.engines import eventually
from tests.e2e.stacks import PROGRAMS, RunningStack, children_of, command_line

TRIALS = int(os.environ.get("FLOTILLA_STUDY_TRIALS", "16"))
SEED = int(os.environ.get("FLOTILLA_STUDY_SEED", "1"))
ROUNDS = int(os.environ.get("FLOTILLA_STUDY_ROUNDS", "1"))
RUNTIMES = os.environ.get("FLOTILLA_STUDY_RUNTIMES", "process").split(",")
KINDS = ("orchestrator", "supervisor", "gateway", "nats-server", "postgres", "worker", "zygote", "trial")
MOVES_S = 60.0
"""The longest that a study may stand."""
TWO_AT_ONCE = 0.3
"""How often the next is killed at once, while the study still stands for the one before."""
COMPARED = (ResultPart.FILLS, ResultPart.EQUITY_CURVE, ResultPart.BALANCES, ResultPart.STATISTICS)


class Victims:
    """The processes of a stack, by what they are called here."""

    def __init__(self, stack: RunningStack, seed: int) -> None:
        self._stack = stack
        self._chance = random.Random(seed)
        self.killed: Counter[str] = Counter()

    async def kill_in_turn(self, rounds: int, has_moved: Callable[[], Awaitable[object]]) -> None:
        """Each once per round, in an order and at moments of chance, sometimes two at once; the study moves on in between."""
        for _ in range(rounds):
            for name in self._chance.sample(KINDS, len(KINDS)):
                await self._kill_one(name)
                if self._chance.random() < TWO_AT_ONCE:
                    continue
                await has_moved()
                await asyncio.sleep(self._chance.uniform(0, 0.5))

    async def _kill_one(self, name: str) -> None:
        """As soon as there is one."""
        while not self._kill(name):
            await asyncio.sleep(0.02)

    def _kill(self, name: str) -> bool:
        if not (pids := self._pids(name)):
            return False
        try:
            os.kill(self._chance.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed[name] += 1
        return True

    def _pids(self, name: str) -> list[int]:
        if name in PROGRAMS:
            pid = self._stack.pid_of(name)
            return [pid] if pid is not None else []
        inits = self._inits()
        sidecars = _children(inits)
        zygotes = _children(sidecars)
        worker = inits if self._stack.runtime == "docker" else sidecars
        return {"worker": worker, "zygote": zygotes, "trial": _children(zygotes)}[name]

    def _inits(self) -> list[int]:
        """The first process of each worker: that of its container, or the shim of its session."""
        if self._stack.runtime == "docker":
            listed = _docker(
                "ps", "-q", "--filter", f"label=flotilla.owner={owner_of(self._stack.folder.root)}"
            )
            found = [_docker("inspect", "-f", "{{.State.Pid}}", name) for name in listed.split()]
            return [int(pid) for pid in found if pid.strip() not in ("", "0")]
        shim = f"session_shim.sh {self._stack.folder.root}/"
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [pid for pid in pids if shim in command_line(pid)]


def _children(pids: Iterable[int]) -> list[int]:
    return [child for pid in pids for child in children_of(pid)]


def _docker(*arguments: str) -> str:
    """What it prints; nothing about a container that has just gone."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Local processes; containers where it is asked for."""
    if request.param == "docker":
        require_docker()
    return str(request.param)


def grid(trials: int) -> StudyConfig:
    """So many backtests of a few years each."""
    base = BacktestConfig(
        strategy="ema_cross", start_date="2000-01-01", end_date="2004-12-31", instruments=("SPX.SIM",)
    )
    slow = tuple(range(20, 20 + -(-trials // 4)))
    axes = {"fast_ema_period": Axis(values=(3, 5, 8, 13)), "slow_ema_period": Axis(values=slow)}
    return StudyConfig(base=base, axes=axes)


async def ended(fleet: Flotilla, study_id: str, within_s: float) -> StudyView:
    """The study once it has ended."""
    async with asyncio.timeout(within_s):
        while not (study := await patiently(partial(fleet.study, study_id))).status.is_final:
            await asyncio.sleep(0.2)
    return study


async def endings(fleet: Flotilla, backtest_id: str) -> set[tuple[BacktestStatus, datetime | None]]:
    """Every end of a backtest that the fleet was ever told of, and when it was."""
    kept = await history(fleet.bus, contract.FLEET_BACKTEST, limit=1000, backtest_id=backtest_id)
    views = [msgspec.json.decode(one.data, type=BacktestView) for one in kept]
    return {(view.status, view.completed_at) for view in views if view.status.is_final}


async def documents(fleet: Flotilla, backtest_id: str) -> list[Any]:
    """What a backtest came to."""
    return [await patiently(partial(fleet.backtest_result, backtest_id, part)) for part in COMPARED]


async def moved_on(fleet: Flotilla, study_id: str) -> None:
    """Returns when the study has one more result than now, or has ended."""

    async def look() -> StudyView:
        return await patiently(partial(fleet.study, study_id))

    before = (await look()).counts["completed"]
    async with asyncio.timeout(MOVES_S):
        while not (now := await look()).status.is_final and now.counts["completed"] <= before:
            await asyncio.sleep(0.2)


async def killed_until_ended(fleet: Flotilla, victims: Victims) -> StudyView:
    async with asyncio.TaskGroup() as group:
        has_moved = partial(moved_on, fleet, "chaos")
        killing = group.create_task(victims.kill_in_turn(ROUNDS, has_moved), name="kill")
        study = await ended(fleet, "chaos", 60 + 10 * TRIALS)
        killing.cancel()
    return study


async def test_a_study_is_whole_whatever_is_killed_meanwhile(stack: RunningStack, fleet: Flotilla) -> None:
    asked = await fleet.run_study("chaos", grid(TRIALS))
    assert asked.total == TRIALS
    victims, began = Victims(stack, SEED), time.monotonic()
    study = await killed_until_ended(fleet, victims)
    seconds = time.monotonic() - began
    views = await patiently(partial(fleet.all_backtests, study_id="chaos"))
    attempts = Counter(view.attempts for view in views)
    print(f"seed {SEED}: {TRIALS} trials in {seconds:.0f} s; killed {victims.killed}; attempts {attempts}")

    bad = [view for view in views if view.status is not BacktestStatus.COMPLETED]
    assert not bad, [(view.backtest_id, view.status, view.reason, view.error) for view in bad]
    assert (study.status, study.counts["completed"]) == (BacktestStatus.COMPLETED, TRIALS)
    assert {view.backtest_id for view in views} == {f"chaos-{number + 1:04}" for number in range(TRIALS)}
    for view in views:
        name = view.backtest_id
        told = await eventually(partial(endings, fleet, name), what=f"the end of {name}")
        assert told == {(BacktestStatus.COMPLETED, view.completed_at)}, name
        assert await patiently(partial(fleet.backtest_result, name, ResultPart.FILLS)), name
    for view in random.Random(SEED).sample(views, 3):
        again = f"calm-{view.backtest_id}"
        await patiently(partial(fleet.run_backtest, again, view.config))
        calm = await fleet.wait_for_backtest(again, timeout_s=60)
        assert calm.metrics == view.metrics
        assert await documents(fleet, again) == await documents(fleet, view.backtest_id)
