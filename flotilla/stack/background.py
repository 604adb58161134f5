"""A stack in the background: starts `flotilla up` as a process of its own, and stops one wherever it was started."""

import asyncio
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from flotilla.show.progress import Narrator
from flotilla.stack.stack import Stack, StackSettings
from flotilla.state.errors import StackError, StackRunsError
from flotilla.state.exits import Exit
from flotilla.state.folder import StateFolder
from flotilla.state.lock import holder
from flotilla.state.programs import python
from flotilla.state.settings import Connection

STOP: Final = signal.SIGTERM
STOP_LEAVING_ENGINES: Final = signal.SIGUSR1
"""What `flotilla down` sends."""
_READY_S: Final = 180.0
_POLL_S: Final = 0.05


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


def start_detached(folder: StateFolder, arguments: Sequence[str]) -> Connection:
    """Runs `flotilla up` with `arguments` in a session of its own; returns when it is ready.

    Raises StackRunsError when one runs already, StackError with its last words when it ends instead.
    """
    if (pid := holder(folder)) is not None:
        raise StackRunsError(folder.root, pid)
    folder.create()
    log_file = folder.logs / "up.log"
    log_file.unlink(missing_ok=True)
    with log_file.open("ab") as log:  # to append, so that it can be cut off while it is written
        process = subprocess.Popen(
            python("-m", "flotilla", "up", "--state", str(folder.root), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            words = log_file.read_text(errors="replace").strip()
            raise StackError(f"the stack ended with exit code {code}:\n{words}", f"see {log_file}")
        if (connection := _ready(folder, process.pid)) is not None:
            return connection
        time.sleep(_POLL_S)
    process.send_signal(signal.SIGTERM)
    raise StackError(f"the stack was not ready within {_READY_S:g} s", f"see {log_file}")


def stop_running(folder: StateFolder, *, leave_engines: bool, timeout_s: float) -> int | None:
    """Stops the stack on a folder and returns its process id, None when none ran. Raises StackError when it goes on."""
    pid = holder(folder)
    if pid is None:
        return None
    # By file descriptor: the number cannot come to mean another process in between.
    process = os.pidfd_open(pid)
    try:
        if holder(folder) == pid:
            signal.pidfd_send_signal(process, STOP_LEAVING_ENGINES if leave_engines else STOP)
        if not select.select([process], [], [], timeout_s)[0]:
            raise StackError(
                f"process {pid} is still stopping after {timeout_s:g} s",
                f"see {folder.logs}; `flotilla down` again makes it leave what still runs",
            )
    finally:
        os.close(process)
    return pid


def _ready(folder: StateFolder, pid: int) -> Connection | None:
    try:
        found = msgspec.json.decode(folder.connection_file.read_bytes(), type=Connection)
    except FileNotFoundError:
        return None
    return found if found.pid == pid else None
