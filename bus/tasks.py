"""Background tasks with a name and an owner, for objects that outlive the TaskGroup of one call."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from flotilla.bus.logs import get_logger

log = get_logger(__name__)


class Tasks:
    """Owns tasks until they end or `close` cancels them. A task that fails is logged with its name; it never fails unseen."""

    def __init__(self) -> None:
        # In the order in which they were started: a set would have them in that of their addresses.
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Runs the coroutine as a task of this owner."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    async def join(self, timeout_s: float | None = None) -> bool:
        """Waits until all tasks have ended; False when some still run after `timeout_s`."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        return not self._tasks

    async def close(self) -> None:
        """Cancels what still runs and waits for it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("task failed", task=task.get_name(), error=repr(error))
