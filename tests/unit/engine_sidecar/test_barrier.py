"""When a node is quiet, on NautilusTrader's own queues."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.common.component import LiveClock, Logger
from nautilus_trader.live.enqueue import ThrottledEnqueuer

from engine_sidecar.replay.barrier import Barrier

NAMES = {
    "data_engine": ("cmd", "req", "res", "data"),
    "risk_engine": ("cmd", "evt"),
    "exec_engine": ("cmd", "evt"),
}


@pytest.fixture
async def nodes() -> Any:
    """As much of a kernel as a barrier looks at."""
    loop, clock, log = asyncio.get_running_loop(), LiveClock(), Logger("test")

    def engine(names: tuple[str, ...]) -> Any:
        return SimpleNamespace(
            **{
                f"_{name}_enqueuer": ThrottledEnqueuer(name, asyncio.Queue(3), loop, clock, log)
                for name in names
            }
        )

    return SimpleNamespace(**{name: engine(queues) for name, queues in NAMES.items()})


async def test_a_message_on_its_way_or_in_a_queue_is_not_quiet(nodes: Any) -> None:
    barrier = Barrier(nodes)
    assert barrier.is_quiet
    commands = nodes.risk_engine._cmd_enqueuer
    commands.enqueue("one")
    assert commands._queue.empty()
    assert not barrier.is_quiet
    await asyncio.sleep(0)
    assert commands._queue.qsize() == 1
    assert not barrier.is_quiet
    commands._queue.get_nowait()
    assert barrier.is_quiet


async def test_waiting_ends_when_what_messages_cause_is_handled_too(nodes: Any) -> None:
    barrier = Barrier(nodes)
    data, orders = nodes.data_engine._data_enqueuer, nodes.exec_engine._cmd_enqueuer
    handled: list[str] = []

    async def work() -> None:
        handled.append(await data._queue.get())
        orders.enqueue("order")
        handled.append(await orders._queue.get())

    working = asyncio.get_running_loop().create_task(work())
    data.enqueue("bar")
    await barrier.wait()
    assert handled == ["bar", "order"]
    await working


async def test_a_full_queue_is_waited_for_as_well(nodes: Any) -> None:
    barrier = Barrier(nodes)
    data = nodes.data_engine._data_enqueuer
    for number in range(5):
        data.enqueue(number)
        await asyncio.sleep(0)
    assert not barrier.is_quiet
    got = [await data._queue.get() for _ in range(5)]
    assert got == [0, 1, 2, 3, 4]
    assert barrier.is_quiet
