"""Whole stacks for the tests of this folder: one per module and runtime, because starting one takes seconds."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import pytest

from flotilla.client.client import Flotilla
from flotilla.stack.runtime import DockerAnswer, ask_docker
from tests.e2e.browsers import browser, look  # noqa: F401 - fixtures of several files
from tests.e2e.stacks import RunningStack


@cache
def _docker() -> DockerAnswer:
    """Asked once: that takes a process with all of the supervisor's imports."""
    return asyncio.run(ask_docker(Path("/var/lib/flotilla-e2e"), look_only=True))


def best_runtime() -> str:
    """Docker where it is there or has to be, else local processes: for what one of them shows as well as both."""
    has_to_be = os.environ.get("FLOTILLA_REQUIRE_DOCKER") == "1"
    answer = _docker()
    return "docker" if has_to_be or (answer.docker and answer.image) else "process"


def require_docker() -> None:
    """Skips the test where there is no Docker engine with the engines' image, or fails it where there has to be one."""
    answer = _docker()
    if answer.docker and answer.image:
        return
    if os.environ.get("FLOTILLA_REQUIRE_DOCKER") == "1":
        pytest.fail(f"Docker is required: {answer.detail}")
    pytest.skip(answer.detail)


@pytest.fixture(scope="module", params=["process", "docker"])
def runtime(request: pytest.FixtureRequest) -> str:
    """Both runtimes, where both are there."""
    if request.param == "docker":
        require_docker()
    return str(request.param)


@pytest.fixture(scope="module")
def stack(runtime: str) -> Iterator[RunningStack]:
    """A stack that is ready."""
    made = RunningStack(runtime)
    made.start()
    yield made
    made.remove()


@pytest.fixture
async def fleet(stack: RunningStack) -> AsyncIterator[Flotilla]:
    """A client of the stack."""
    async with Flotilla.connect(stack.connection, wait_s=10) as connected:
        yield connected
