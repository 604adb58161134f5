"""Whether orders have left is known also while a feed never leaves its queue empty."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.replay.barrier import Barrier


class Enqueuer:
    """As NautilusTrader's: a message is put on the queue by a later turn of the loop."""

    capacity = 1000

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    @property
    def size(self) -> int:
        return self._queue.qsize()

    def enqueue(self, message: object) -> None:
        asyncio.get_running_loop().call_soon(
            lambda: self._enqueue_nowait_safely(self._queue, message)  # it is replaced by the barrier
        )

    def _enqueue_nowait_safely(self, queue: asyncio.Queue[Any], message: object) -> None:
        queue.put_nowait(message)


def engine() -> Any:
    names = ("_cmd_enqueuer", "_req_enqueuer", "_res_enqueuer", "_data_enqueuer", "_evt_enqueuer")
    return SimpleNamespace(**{name: Enqueuer() for name in names})


async def test_orders_have_left_once_they_are_carried_out_whatever_the_feeds_do() -> None:
    kernel = SimpleNamespace(data_engine=engine(), risk_engine=engine(), exec_engine=engine())
    barrier = Barrier(kernel)
    kernel.data_engine._data_enqueuer.enqueue("one of very many")
    orders = kernel.exec_engine._cmd_enqueuer
    orders.enqueue("an order")
    async with asyncio.TaskGroup() as tasks:
        left = tasks.create_task(asyncio.wait_for(barrier.orders_left(), 10))
        for _ in range(5):
            await asyncio.sleep(0)
            assert not left.done()
        assert await orders._queue.get() == "an order"
    assert not barrier.is_quiet
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(barrier.wait(), 0.05)
