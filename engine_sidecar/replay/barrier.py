"""Knows when a node's engines have nothing left to do, so that a replay never runs ahead of what its last event caused."""

import asyncio
from typing import Any


class Barrier:
    """Watches the queues of the data, risk and execution engines of one kernel.

    NautilusTrader's engines put messages on their queues by way of `call_soon_threadsafe`, so a message may be in no queue
    yet. The barrier counts those too: it wraps each queue's `enqueue` and the call that follows it. A message leaves its
    queue in the same step that handles it, so empty queues and a count of zero mean that everything was handled.
    """

    def __init__(self, kernel: Any) -> None:
        data, risk, execution = kernel.data_engine, kernel.risk_engine, kernel.exec_engine
        enqueuers = [data._cmd_enqueuer, data._req_enqueuer, data._res_enqueuer, data._data_enqueuer]
        enqueuers += [
            risk._cmd_enqueuer,
            risk._evt_enqueuer,
            execution._cmd_enqueuer,
            execution._evt_enqueuer,
        ]
        self._queues: list[asyncio.Queue[Any]] = [enqueuer._queue for enqueuer in enqueuers]
        self._orders: asyncio.Queue[Any] = execution._cmd_enqueuer._queue
        self._on_their_way = 0
        for enqueuer in enqueuers:
            self._count(enqueuer)

    @property
    def is_quiet(self) -> bool:
        """True when no message waits anywhere."""
        if self._on_their_way:
            return False
        for queue in self._queues:  # noqa: SIM110 - twice as fast as all(), and asked several times an event
            if not queue.empty():
                return False
        return True

    async def wait(self) -> None:
        """Returns when quiet; lets every other task run meanwhile."""
        while not self.is_quiet:  # noqa: ASYNC110 - a turn of the loop is what it waits for
            await asyncio.sleep(0)

    async def orders_left(self) -> None:
        """Returns once all that the execution engine was given before has been carried out, however busy the feeds are.

        Lets a turn pass first, for what is in no queue yet, and one after, because a client sends in a task of its own.
        """
        await asyncio.sleep(0)
        while not self._orders.empty():  # noqa: ASYNC110 - a turn of the loop is what it waits for
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _count(self, enqueuer: Any) -> None:
        enqueue, put = enqueuer.enqueue, enqueuer._enqueue_nowait_safely

        def counted_enqueue(message: Any) -> None:
            if enqueuer.size < enqueuer.capacity:  # a full queue is filled by tasks; it is not quiet anyway
                self._on_their_way += 1
            enqueue(message)

        def counted_put(queue: asyncio.Queue[Any], message: Any) -> None:
            self._on_their_way -= 1
            put(queue, message)

        enqueuer.enqueue, enqueuer._enqueue_nowait_safely = counted_enqueue, counted_put
