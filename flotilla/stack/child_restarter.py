"""Keeps one process of the stack alive: starts it again whenever it ends, at once, then with growing pauses."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

from flotilla.show.progress import Narrator
from flotilla.stack.servers.child import Child

_HEALTHY_S: Final = 10.0
_MIN_PAUSE_S: Final = 0.1
_MAX_PAUSE_S: Final = 5.0


class Keeper:
    """One child. `restarts` counts how often it had to be started again.

    `prepare` runs before every start. Starts happen on the event loop's thread, which must be the main one: a child ends with
    the thread that started it.
    """

    def __init__(
        self, child: Child, narrator: Narrator, *, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.child = child
        self.restarts = 0
        self._prepare = prepare
        self._narrator = narrator

    def start(self) -> None:
        """Starts the child for the first time."""
        self._prepare()
        self.child.start()

    async def run(self) -> None:
        """Until it is cancelled; the child runs on then."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            began = loop.time()
            ending = ended_how(await ended(self.child))
            if loop.time() - began > _HEALTHY_S:
                pause = 0.0
            when = f"in {pause:g} s" if pause else "now"
            self._narrator.warn(f"{self.child.name} ended ({ending}); starting it again {when}")
            await asyncio.sleep(pause)
            pause = min(max(pause * 2, _MIN_PAUSE_S), _MAX_PAUSE_S)
            self._start_again()

    def _start_again(self) -> None:
        try:
            self.start()
        except OSError as error:
            self._narrator.warn(f"{self.child.name} could not be started: {error}")
        else:
            self.restarts += 1


async def ended(child: Child) -> int:
    """Waits for the end of a child without polling; its exit code, negative for a signal."""
    pid = child.pid
    if pid is not None:
        over = asyncio.Event()
        fd = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(fd)
            os.close(fd)
    return child.wait()


def ended_how(exit_code: int) -> str:
    """An exit code for people: `exit code 1`, `SIGKILL`."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
