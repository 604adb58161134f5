"""Things that are done after a while, and faults that end by themselves."""

import asyncio
from collections.abc import Callable


class Later:
    """What is done after some seconds, for as long as `tasks` lives; without one nothing is."""

    def __init__(self) -> None:
        self.tasks: asyncio.TaskGroup | None = None
        self._ends: dict[str, asyncio.Task[None]] = {}

    def do(self, seconds: float, act: Callable[[], object]) -> None:
        """Does something after `seconds`; it may be a coroutine function."""
        if self.tasks is not None:
            self.tasks.create_task(_wait(seconds, act), name="later")

    def end(self, fault: str, seconds: float, act: Callable[[], object]) -> None:
        """Ends a fault after `seconds`, or if they are 0 not by itself; an earlier end of the same one does not count any more."""
        if (before := self._ends.pop(fault, None)) is not None:
            before.cancel()
        if seconds > 0 and self.tasks is not None:
            self._ends[fault] = self.tasks.create_task(_wait(seconds, act), name=f"end of {fault}")


async def _wait(seconds: float, act: Callable[[], object]) -> None:
    await asyncio.sleep(seconds)
    done = act()
    if asyncio.iscoroutine(done):
        await done
