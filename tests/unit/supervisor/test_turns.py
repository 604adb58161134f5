"""One at a time per key; and what must be looked at again."""

import asyncio

from flotilla.services.supervisor.adapters.docker_events import Dirty
from flotilla.services.supervisor.keyed_locks import KeyedLocks


async def test_one_key_takes_turns_and_another_does_not_wait() -> None:
    turns: KeyedLocks[str] = KeyedLocks()
    inside: list[str] = []
    most = 0

    async def work(key: str) -> None:
        nonlocal most
        async with turns.take(key):
            inside.append(key)
            assert inside.count(key) == 1
            most = max(most, len(inside))
            await asyncio.sleep(0)
            inside.remove(key)

    await asyncio.gather(*(work(key) for key in "aabbaabb"))
    assert most == 2
    assert turns.waiting == 0


async def test_a_turn_that_fails_or_is_cancelled_is_given_back() -> None:
    turns: KeyedLocks[str] = KeyedLocks()

    async def wait() -> None:
        async with turns.take("a"):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(wait()) for _ in range(2)]
        await asyncio.sleep(0)
        for task in both:
            task.cancel()
    assert turns.waiting == 0


async def test_marks_coalesce() -> None:
    dirty = Dirty()
    assert await dirty.take(0) is None  # everything, at first
    for _ in range(1000):
        dirty.mark("s1")
    dirty.mark("s2")
    assert await dirty.take(0) == frozenset({"s1", "s2"})
    dirty.mark("s1")
    dirty.mark(None)
    assert await dirty.take(0) is None


async def test_silence_means_to_look_at_everything() -> None:
    dirty = Dirty()
    await dirty.take(0)
    assert await dirty.take(0.001) is None
