"""Events on their way to the bus: none waits for another's acknowledgement, and the stream keeps their order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from flotilla.bus.bus import Bus
from flotilla.engine_sidecar.outbox.journal import Entry
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.engine_sidecar.outbox.publisher import WINDOW, EventPublisher
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.telemetry import EventKind
from tests.unit.sidecar.samples import spec


class SlowBus:
    """Acknowledges, or does not, when the test says so. `got` is what was published, in order, by the payload's text."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.waiting: dict[str, asyncio.Future[None]] = {}

    async def publish_durable(self, _: object, payload: bytes, **__: object) -> int:
        self.got.append(payload.decode())
        self.waiting[payload.decode()] = told = asyncio.get_running_loop().create_future()
        await told
        return 1

    def acknowledge(self, *names: str) -> None:
        for name in names:
            self.waiting[name].set_result(None)

    def fail(self, name: str) -> None:
        self.waiting[name].set_exception(fault(FaultCode.UNAVAILABLE, "no acknowledgement"))


class Publishing:
    """A publisher that runs."""

    def __init__(self) -> None:
        self.outbox = Outbox(max_events=1_000, max_bytes=1 << 20)
        self.publisher = EventPublisher(spec(), self.outbox)
        self.bus = SlowBus()

    def add(self, *numbers: int, kind: EventKind = EventKind.FILL) -> None:
        for number in numbers:
            self.outbox.add(Entry(number, kind, str(number).encode()))
        self.publisher.wake(kind)

    async def until_got(self, *names: str) -> None:
        async with asyncio.timeout(5):
            while self.bus.got != list(names):
                await asyncio.sleep(0.001)

    async def settled(self) -> None:
        """Nothing more is done until something happens outside."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def publishing() -> AsyncIterator[Publishing]:
    made = Publishing()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.publisher.run(cast(Bus, cast(Any, made.bus))), name="publisher")
        yield made
        task.cancel()


async def test_an_event_waits_for_no_acknowledgement_but_leaves_the_outbox_with_all_before_it(
    publishing: Publishing,
) -> None:
    publishing.add(1)
    await publishing.until_got("1")
    publishing.add(2, 3)
    await publishing.until_got("1", "2", "3")
    publishing.bus.acknowledge("2")
    await publishing.settled()
    assert publishing.outbox.published == 0
    publishing.bus.acknowledge("1")
    await publishing.settled()
    assert (publishing.outbox.published, len(publishing.outbox)) == (2, 1)


async def test_not_more_than_a_window_is_on_its_way(publishing: Publishing) -> None:
    publishing.add(*range(1, WINDOW + 3))
    await publishing.settled()
    assert len(publishing.bus.got) == WINDOW
    publishing.bus.acknowledge("1")
    await publishing.settled()
    assert len(publishing.bus.got) == WINDOW + 1


async def test_nothing_new_goes_out_before_the_first_that_failed_is_stored(publishing: Publishing) -> None:
    publishing.add(1, 2)
    await publishing.until_got("1", "2")
    publishing.bus.fail("1")
    publishing.add(3)
    await publishing.settled()
    publishing.bus.acknowledge("2")
    await publishing.until_got("1", "2", "1")
    await publishing.settled()
    publishing.bus.acknowledge("1")
    await publishing.until_got("1", "2", "1", "2", "3")
    publishing.bus.acknowledge("2", "3")
    await publishing.settled()
    assert (publishing.outbox.published, len(publishing.outbox)) == (3, 0)


@pytest.mark.parametrize("kind", [EventKind.ORDER, EventKind.ACCOUNT])
async def test_an_event_that_may_rest_leaves_before_the_next_that_may_not_and_soon_by_itself(
    publishing: Publishing, kind: EventKind
) -> None:
    publishing.add(1, kind=kind)
    await publishing.settled()
    assert publishing.bus.got == []
    publishing.add(2)
    await publishing.settled()
    assert publishing.bus.got == ["1", "2"]
    publishing.add(3, kind=kind)
    publishing.add(4, kind=kind)
    await publishing.until_got("1", "2", "3", "4")
