"""The engine process: what the zygote's child runs, from the first frame on its link to its exit code."""

import asyncio
import socket
import traceback
from typing import Final

from flotilla.engine_sidecar.engine.last_lines import LastLines
from flotilla.engine_sidecar.engine.link_thread import LinkThread
from flotilla.engine_sidecar.engine.live_engine import LiveEngine
from flotilla.engine_sidecar.engine.node_plan import PlanRefusedError
from flotilla.engine_sidecar.link.frames import Ended, Run
from flotilla.engine_sidecar.strategies.guard import fault_text
from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.states import FailureReason

FIRST_FRAME_S: Final = 30.0
LAST_WORD_S: Final = 2.0


def run(sock: socket.socket) -> int:
    """Runs one engine over the link `sock` and returns the process's exit code: 0, 78 for a bad plan, else 1.

    It leaves threads and the event loop as they are: the caller ends the process at once, and a strategy's own thread that
    never returns must not hold it.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    ended = loop.run_until_complete(_converse(sock, loop))
    if ended.reason is None:
        return 0
    return 78 if ended.reason is FailureReason.CONFIG else 1


async def _converse(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> Ended:
    link, last_lines = LinkThread(sock, loop), LastLines()
    link.start()
    try:
        ended = await _live(link, loop, last_lines)
    except Exception as error:  # noqa: BLE001 - the last word must be said
        traceback.print_exc()
        ended = Ended(FailureReason.CRASH, fault_text(error))
    last_lines.write()
    link.send(ended)
    link.close(LAST_WORD_S)
    return ended


async def _live(link: LinkThread, loop: asyncio.AbstractEventLoop, last_lines: LastLines) -> Ended:
    try:
        async with asyncio.timeout(FIRST_FRAME_S):
            first = await link.receive()
    except TimeoutError:
        return Ended(FailureReason.CONFIG, f"nothing to run came within {FIRST_FRAME_S:g} s")
    if not isinstance(first, Run):
        return Ended(FailureReason.CONFIG, f"expected what to run, not {type(first).__name__}")
    packages = OpenPackages()
    try:
        engine = _built(first, link, loop, packages)
        if isinstance(engine, Ended):
            return engine
        last_lines.kernel = engine.kernel
        return await engine.live()
    finally:
        packages.close()


def _built(
    run: Run, link: LinkThread, loop: asyncio.AbstractEventLoop, packages: OpenPackages
) -> LiveEngine | Ended:
    try:
        packages.add(run.packages, [package.label for package in run.plan.packages], run.wheels)
        return LiveEngine(run, link, loop, packages)
    except PlanRefusedError as error:
        return Ended(error.reason, str(error))
    except ArchiveError as error:
        return Ended(FailureReason.CONFIG, f"plan.packages: {error}")
    except UnpackingError as error:
        return Ended(FailureReason.HOST, f"plan.packages: {error}")
