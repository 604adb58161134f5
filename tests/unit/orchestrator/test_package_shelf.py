"""The versions in memory are those on record, whatever changes while they are read."""

import asyncio
from typing import Any

from flotilla.services.orchestrator.packages.core.model import Removed, Version
from flotilla.services.orchestrator.packages.core.offers import removed_of
from flotilla.services.orchestrator.packages.shelf import PackageShelf
from tests.unit.orchestrator.test_packages import A, B, version

ONE, TWO = version("1", A), version("2", B)


class SlowRecord:
    """Answers with what it held when it was asked, once it may."""

    def __init__(self) -> None:
        self.held: list[Version] = [ONE]
        self.gone: list[Removed] = []
        self.reads = 0
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def versions(self) -> list[Version]:
        self.reads += 1
        self.is_asked.set()
        held = [*self.held]
        await self.may_answer.wait()
        return held

    async def removed(self) -> list[Removed]:
        return [*self.gone]


async def reading() -> tuple[SlowRecord, PackageShelf, asyncio.Task[tuple[Version, ...]]]:
    """A shelf whose first read is under way."""
    record, files = SlowRecord(), object()
    as_any: Any = record
    shelf = PackageShelf(files, as_any)  # type: ignore[arg-type]
    task: asyncio.Task[tuple[Version, ...]] = asyncio.get_running_loop().create_task(shelf.versions())
    await record.is_asked.wait()
    return record, shelf, task


async def test_what_is_pushed_while_the_record_is_read_is_not_lost() -> None:
    record, shelf, task = await reading()
    record.held.append(TWO)
    shelf.put(TWO)
    record.may_answer.set()
    assert await task == (ONE, TWO)
    assert record.reads == 2


async def test_what_is_removed_while_the_record_is_read_is_gone() -> None:
    record, shelf, task = await reading()
    record.held.clear()
    record.gone.append(removed_of(ONE))
    shelf.take_away(ONE)
    record.may_answer.set()
    assert await task == ()
    assert await shelf.removed() == (removed_of(ONE),)


async def test_what_was_read_already_when_it_is_put_is_there_once() -> None:
    record, shelf, task = await reading()
    record.may_answer.set()
    await task
    shelf.put(TWO)
    shelf.put(TWO)
    shelf.take_away(ONE)
    assert (await shelf.versions(), await shelf.removed()) == ((TWO,), (removed_of(ONE),))
    shelf.put(ONE)
    assert (await shelf.versions(), await shelf.removed()) == ((TWO, ONE), ())
    assert record.reads == 1
