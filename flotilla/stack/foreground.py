"""A stack in the foreground: from its start until somebody asks it to end, by Ctrl-C, SIGTERM or `flotilla down`."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

from flotilla.show.progress import Narrator
from flotilla.stack.stack import Stack, StackSettings
from flotilla.state.exits import Exit
from flotilla.state.settings import Connection

STOP: Final = signal.SIGTERM
STOP_LEAVING_ENGINES: Final = signal.SIGUSR1
"""What `flotilla down` sends."""


class Ending:
    """How the stack was asked to end: `asked` is set by the first signal, `hurry` by the next."""

    def __init__(self, *, leave_engines: bool) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self.leave_engines = leave_engines

    def listen(self) -> None:
        """Takes the signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(STOP_LEAVING_ENGINES, self._leave)

    def _stop(self) -> None:
        if self.asked.is_set():
            self.hurry.set()
        self.asked.set()

    def _leave(self) -> None:
        self.leave_engines = True
        self._stop()


async def run_stack(
    settings: StackSettings,
    narrator: Narrator,
    on_ready: Callable[[Connection], None],
    *,
    leave_engines: bool = False,
) -> Exit:
    """Runs it; OK when it was ready and then asked to end, INTERRUPTED when it was asked before."""
    ending = Ending(leave_engines=leave_engines)
    ending.listen()
    stack = Stack(settings, narrator)
    try:
        if not await _started(stack, ending, on_ready):
            return Exit.INTERRUPTED
        await ending.asked.wait()
        return Exit.OK
    finally:
        narrator.say("stopping")
        await stack.stop(leave_engines=ending.leave_engines, hurry=ending.hurry)
        narrator.say("stopped")


async def _started(stack: Stack, ending: Ending, on_ready: Callable[[Connection], None]) -> bool:
    """False when the end was asked for first."""
    loop = asyncio.get_running_loop()
    starting = loop.create_task(stack.start(), name="start")
    asked = loop.create_task(ending.asked.wait(), name="asked")
    await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
    if starting.cancelled():
        return False
    on_ready(starting.result())
    return True
