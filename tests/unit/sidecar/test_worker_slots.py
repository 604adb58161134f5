"""Which trials of a worker run side by side, and which of their ends settle nothing."""

import asyncio

import pytest

from flotilla.engine_sidecar.worker.slots import Slots
from flotilla.engine_sidecar.worker.trial_end import TrialEnd, TrialKill
from flotilla.schemas.backtest import TrialFailure


async def test_one_that_is_alone_waits_for_the_others_and_they_for_it() -> None:
    rooms, inside, leave = Slots(), list[str](), {name: asyncio.Event() for name in "abcd"}

    async def run(name: str, *, alone: bool = False) -> None:
        async with rooms.enter(alone=alone):
            inside.append(name)
            await leave[name].wait()
            inside.remove(name)

    async def seen(*names: str) -> None:
        async with asyncio.timeout(5):
            while inside != list(names):
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(run(name), name=name)
        await seen("a", "b")
        group.create_task(run("c", alone=True), name="c")
        await asyncio.sleep(0)
        group.create_task(run("d"), name="d")
        leave["a"].set()
        await seen("b")
        leave["b"].set()
        await seen("c")
        leave["c"].set()
        await seen("d")
        leave["d"].set()


async def test_one_that_gave_up_waiting_to_be_alone_keeps_nobody_out() -> None:
    rooms = Slots()

    async def enter_alone() -> None:
        async with rooms.enter(alone=True):
            pytest.fail("it was not alone")

    async with rooms.enter(alone=False), asyncio.TaskGroup() as group:
        waiting = group.create_task(enter_alone(), name="alone")
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(5), rooms.enter(alone=True):
        pass


@pytest.mark.parametrize(
    ("end", "is_open"),
    [
        (TrialEnd(exit_code=-9), True),
        (TrialEnd(exit_code=-9, killed_for=TrialKill.LEFT), True),
        (TrialEnd(exit_code=-9, killed_for=TrialKill.CANCEL), False),
        (TrialEnd(exit_code=-9, killed_for=TrialKill.MEMORY), False),
        (TrialEnd(exit_code=-9, is_oom=True), False),
        (TrialEnd(exit_code=-9, is_whole=True), False),
        (TrialEnd(exit_code=-9, killed_for=TrialKill.LEFT, is_whole=True), False),
        (TrialEnd(exit_code=-9, refused=(TrialFailure.STRATEGY, "boom")), False),
        (TrialEnd(exit_code=-11), False),
        (TrialEnd(exit_code=3), False),
    ],
)
def test_only_a_kill_from_outside_and_the_workers_own_end_leave_a_trial_open(
    end: TrialEnd, is_open: bool
) -> None:
    assert end.is_open == is_open
