"""What every demo has: a folder of its own, ears for its engine, and an end when it is asked for one."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from flotilla.client.client import Flotilla
from flotilla.client.watch import Watch
from flotilla.demo.event_audit import Tally
from flotilla.schemas.telemetry import EngineMetrics
from flotilla.show.progress import Narrator
from flotilla.stack.checks import require_all
from flotilla.state.errors import StackError
from flotilla.state.folder import StateFolder

ENGINE: Final = "demo"


@asynccontextmanager
async def own_folder(narrator: Narrator) -> AsyncIterator[StateFolder]:
    """A temporary folder, which is kept when something fails."""
    await asyncio.to_thread(_require_all)
    root = Path(tempfile.mkdtemp(prefix="flotilla-demo-"))
    try:
        yield StateFolder(root)
    except Exception:
        narrator.warn(f"logs and state are kept in {root}")
        raise
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    shutil.rmtree(root)


def _require_all() -> None:
    try:
        require_all(StateFolder(Path(tempfile.gettempdir()) / "flotilla-demo"), 0)
    except StackError as error:
        raise StackError(
            str(error), f"{error.remedy}; the demo keeps its state below TMPDIR, not in --state"
        ) from None


async def listen(
    updates: Watch,
    tally: Tally,
    show: Callable[[EngineMetrics], None],
    *,
    until: Callable[[Tally], bool],
    timeout_s: float,
) -> None:
    """Counts what comes in until `until` holds of the tally, or time is up; what is missing then, the tally knows."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not (until(tally) or tally.is_over):
        update = await updates.next(max(0.0, deadline - loop.time()))
        if update is None:
            return
        tally.take(update)
        if update.kind == "metrics":
            show(update.payload)


async def recorded(fleet: Flotilla, expected: int) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """The sequence in PostgreSQL, once it has all that was heard, and its gaps."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        numbers = [event.seq async for event in fleet.all_events(ENGINE)]
        if len(numbers) >= expected or asyncio.get_running_loop().time() > deadline:
            return numbers, (await fleet.events(ENGINE, limit=1)).missing
        await asyncio.sleep(0.1)


def end_on_sigterm() -> None:
    """SIGTERM ends the demo as Ctrl-C does: engine and stack are stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
