"""What is known of the engines of one's own host, where those who end them are not done in time."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
import pytest

from flotilla.schemas.session import AroundStopped
from flotilla.stack.own_host import _last_said
from flotilla.state.errors import ProgramFailedError


def line(problem: str) -> str:
    return msgspec.json.encode(AroundStopped(host="h1", problem=problem)).decode()


async def said(*problems: str, error: Exception | None = None) -> AsyncGenerator[str]:
    for problem in problems:
        yield line(problem)
    if error is not None:
        raise error


async def said_and_hangs(*problems: str) -> AsyncGenerator[str]:
    for problem in problems:
        yield line(problem)
    await asyncio.get_running_loop().create_future()


async def test_the_last_word_counts() -> None:
    assert (await _last_said(said("begun", "done"), 5.0)).problem == "done"


async def test_what_was_known_before_the_time_was_over_is_told() -> None:
    assert (await _last_said(said_and_hangs("begun"), 0.05)).problem == "begun"


async def test_who_said_nothing_in_time_or_failed_before_is_a_failure() -> None:
    with pytest.raises(TimeoutError):
        await _last_said(said_and_hangs(), 0.05)
    with pytest.raises(ProgramFailedError, match="no supervisor"):
        await _last_said(said(error=ProgramFailedError(["around"], 1, "no supervisor")), 5.0)


async def test_a_failure_after_the_first_word_takes_nothing_back() -> None:
    broken = said("begun", error=ProgramFailedError(["around"], 1, "it broke"))
    assert (await _last_said(broken, 5.0)).problem == "begun it broke"
