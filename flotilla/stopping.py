"""Stops engines before the stack under them goes away: each by its policy, all at once, for a bounded time."""

import asyncio
from typing import Final

from flotilla.client import ENDED, Flotilla
from flotilla.narrator import Narrator
from schemas.engine import EngineView
from schemas.fault import FaultError

TIMEOUT_S: Final = 45.0
_REMOVED_S: Final = 10.0


async def stop_engines(fleet: Flotilla, narrator: Narrator, hurry: asyncio.Event) -> None:
    """Stops every active engine and says how each ended; gives up after TIMEOUT_S or when `hurry` is set.

    Returns when the containers of ended sessions are gone too: nobody would remove them once the stack is. What cannot be
    stopped is said and left as it is.
    """
    try:
        active = (await fleet.engines(active=True, limit=1000)).engines
        if active:
            names = ", ".join(engine.instance_id for engine in active)
            narrator.say(f"stopping {names} (Ctrl-C again to leave what still runs)")
            work = asyncio.gather(*(_stop(fleet, engine, narrator) for engine in active))
            await _until_hurried(work, hurry, narrator)
        await _until_removed(fleet, hurry)
    except FaultError as error:
        narrator.warn(f"engines are left as they are: {error.fault.message}")


async def _until_removed(fleet: Flotilla, hurry: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + _REMOVED_S
    while not hurry.is_set() and asyncio.get_running_loop().time() < deadline:
        left = {container.session_id for container in (await fleet.containers()).containers}
        active = (await fleet.engines(active=True, limit=1000)).engines
        if left <= {engine.session.session_id for engine in active if engine.session}:
            return
        await asyncio.sleep(0.1)


async def _until_hurried(work: asyncio.Future[list[None]], hurry: asyncio.Event, narrator: Narrator) -> None:
    waiting = asyncio.get_running_loop().create_task(hurry.wait(), name="hurry")
    await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not work.done():
        work.cancel()
        narrator.warn("engines that have not stopped yet are left as they are")
        await asyncio.wait((work,))
        return
    await work


async def _stop(fleet: Flotilla, engine: EngineView, narrator: Narrator) -> None:
    name = engine.instance_id
    try:
        accepted = await fleet.stop_engine(name)
        view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=TIMEOUT_S)
    except FaultError as error:
        narrator.warn(f"engine {name} is left as it is: {error.fault.message}")
        return
    session = view.session
    if session is not None:
        detail = f": {session.detail}" if session.detail else ""
        narrator.say(f"engine {name} {session.state}{detail}")
