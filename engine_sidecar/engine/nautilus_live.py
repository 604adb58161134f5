"""The engine process: what the zygote's child runs, from the first frame on its link to its exit code."""

import asyncio
import socket
import time
import traceback
from typing import Final

from nautilus_trader.common.component import flush_logger

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
# NautilusTrader writes its log from a thread that flush_logger does not wait for; without this half of the last lines are lost.
_LOG_S: Final = 0.2


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
    link = LinkThread(sock, loop)
    link.start()
    try:
        ended = await _live(link, loop)
    except Exception as error:  # noqa: BLE001 - the last word must be said
        traceback.print_exc()
        ended = Ended(FailureReason.CRASH, fault_text(error))
    flush_logger()
    time.sleep(_LOG_S)  # noqa: ASYNC251 - nothing else runs any more
    link.send(ended)
    link.close(LAST_WORD_S)
    return ended


async def _live(link: LinkThread, loop: asyncio.AbstractEventLoop) -> Ended:
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
        return engine if isinstance(engine, Ended) else await engine.live()
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
