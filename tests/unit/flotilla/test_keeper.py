"""A process that ends is started again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flotilla.bus.tasks import Tasks
from flotilla.stack.child_restarter import Keeper, ended_how
from flotilla.stack.servers.child import Child


class Notes:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, text: str) -> None:
        self.told.append(text)

    warn = say


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    owner = Tasks()
    yield owner
    await owner.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_child_that_is_killed_comes_back_at_once_and_it_is_said(tmp_path: Path, tasks: Tasks) -> None:
    notes = Notes()
    keeper = Keeper(Child("sleeper", ["sleep", "60"], tmp_path / "log"), notes)
    keeper.start()
    first = keeper.child.pid
    tasks.start(keeper.run(), name="keep")
    keeper.child.kill()
    await until(lambda: keeper.restarts == 1)
    assert keeper.child.pid not in (None, first)
    assert notes.told == ["sleeper ended (SIGKILL); starting it again now"]
    keeper.child.kill()
    await until(lambda: keeper.restarts == 2)
    await tasks.close()
    keeper.child.kill()


async def test_a_child_that_keeps_ending_is_given_growing_pauses(tmp_path: Path, tasks: Tasks) -> None:
    notes = Notes()
    keeper = Keeper(Child("failing", [sys.executable, "-Sc", "raise SystemExit(3)"], tmp_path / "log"), notes)
    keeper.start()
    tasks.start(keeper.run(), name="keep")
    await until(lambda: keeper.restarts == 3)
    assert [text.rsplit("again ")[1] for text in notes.told[:3]] == ["now", "in 0.1 s", "in 0.2 s"]
    assert "exit code 3" in notes.told[0]
    await tasks.close()
    keeper.child.kill()


async def test_a_program_that_is_not_there_is_said_and_tried_again(tmp_path: Path, tasks: Tasks) -> None:
    notes = Notes()
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o700)
    keeper = Keeper(Child("program", [str(program)], tmp_path / "log"), notes)
    keeper.start()
    tasks.start(keeper.run(), name="keep")
    program.rename(tmp_path / "away")
    keeper.child.kill()
    await until(lambda: any("could not be started" in text for text in notes.told))
    (tmp_path / "away").rename(program)
    await until(lambda: keeper.restarts == 1)
    await tasks.close()
    keeper.child.kill()


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "exit code 0"), (78, "exit code 78"), (-signal.SIGTERM, "SIGTERM"), (-99, "signal 99")],
)
def test_an_exit_code_for_people(code: int, text: str) -> None:
    assert ended_how(code) == text


def test_each_child_leads_a_session_and_so_has_a_share_of_a_busy_machine_to_itself(tmp_path: Path) -> None:
    child = Child("sleeper", ["sleep", "60"], tmp_path / "log")
    child.start()
    try:
        assert child.pid is not None
        assert os.getsid(child.pid) == child.pid
    finally:
        child.kill()
