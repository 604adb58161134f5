"""Things that are done after a while, and faults that end by themselves."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Lasting(Protocol):
    """A verb that may end by itself: after `seconds`, or if they are 0 when it is told to."""

    @property
    def seconds(self) -> float: ...


class Later:
    """What is done after some seconds, for as long as `tasks` lives; without one nothing is."""

    def __init__(self) -> None:
        self.tasks: asyncio.TaskGroup | None = None

    def do(self, seconds: float, act: Callable[[], object]) -> None:
        """Does something after `seconds`; it may be a coroutine function."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            done = act()
            if asyncio.iscoroutine(done):
                await done

        if self.tasks is not None:
            self.tasks.create_task(wait(), name="later")
