"""Who may run a state folder, and what becomes of the lock when holders die."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla.state.errors import StackRunsError
from flotilla.state.folder import StateFolder
from flotilla.state.lock import StackLock, holder


def never() -> None:
    raise AssertionError("there was nothing to wait for")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.create()
    return made


@pytest.fixture
def other(folder: StateFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder, with a child that keeps the second lock open."""
    code = """
import subprocess, sys
from pathlib import Path
from flotilla.state.lock import StackLock
from flotilla.state.folder import StateFolder
lock = StackLock.acquire(StateFolder(Path(sys.argv[1])), on_wait=print)
child = subprocess.Popen(["sleep", sys.argv[2]], pass_fds=(lock.children_fd,))
print("held", child.pid, flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.root), "0.6"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline().startswith("held")
    yield process
    process.stdin.close()
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_free_folder_is_taken_and_says_by_whom(folder: StateFolder) -> None:
    assert holder(folder) is None
    lock = StackLock.acquire(folder, on_wait=never)
    assert holder(folder) == os.getpid()
    lock.release()
    assert holder(folder) is None


def test_a_folder_that_is_taken_is_refused_naming_its_holder(
    folder: StateFolder, other: subprocess.Popen[str]
) -> None:
    with pytest.raises(StackRunsError, match=f"in use by process {other.pid}") as caught:
        StackLock.acquire(folder, on_wait=never)
    assert caught.value.pid == other.pid


def test_what_is_left_of_a_killed_stack_is_waited_for(
    folder: StateFolder, other: subprocess.Popen[str]
) -> None:
    other.kill()
    other.wait()
    assert holder(folder) is None
    waited: list[bool] = []
    lock = StackLock.acquire(folder, on_wait=lambda: waited.append(True))
    assert waited == [True]
    lock.release()


def test_a_folder_that_was_never_used_has_no_holder(tmp_path: Path) -> None:
    assert holder(StateFolder(tmp_path / "nothing")) is None
