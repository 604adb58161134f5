"""Stops engines before the stack under them goes away: each by its policy, all at once, for a bounded time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from flotilla.client.client import ENDED, Flotilla, engines_going
from flotilla.client.retry import patiently
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultError
from flotilla.show.progress import Narrator

TIMEOUT_S: Final = 45.0
_REMOVED_S: Final = 10.0
_AWAY_S: Final = 10.0
"""For a service that is being started again just now."""


async def stop_engines(
    fleet: Flotilla,
    narrator: Narrator,
    hurry: asyncio.Event,
    note: Callable[[Sequence[EngineView]], None] = lambda _: None,
) -> bool:
    """Stops every engine that runs or is about to, and says how each ended; gives up after TIMEOUT_S or when `hurry` is set.

    Returns when the containers of ended sessions are gone too: nobody would remove them once the stack is. What cannot be
    stopped is said and left as it is. `note` is told of those that go, before the first is stopped. True when no container of an engine is left on any host in sight.
    """
    seen: set[str] = set()
    try:
        note(await _going(fleet))
        # One that was restarted while the others were being stopped is in the next round.
        while going := [engine for engine in await _going(fleet) if engine.instance_id not in seen]:
            names = ", ".join(engine.instance_id for engine in going)
            narrator.say(f"stopping {names} (Ctrl-C again to leave what still runs)")
            work = asyncio.gather(*(_stop(fleet, engine, narrator) for engine in going))
            await _until_hurried(work, hurry, narrator)
            seen |= {engine.instance_id for engine in going}
        await _until_removed(fleet, hurry)
        return not (await fleet.containers()).containers
    except FaultError as error:
        narrator.warn(f"engines are left as they are: {error.fault.message}")
        return False


async def _going(fleet: Flotilla) -> list[EngineView]:
    """Engines that run, and those that wait for their next restart."""
    return await patiently(lambda: engines_going(fleet.bus), away_s=_AWAY_S)


async def _until_removed(fleet: Flotilla, hurry: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + _REMOVED_S
    while not hurry.is_set() and asyncio.get_running_loop().time() < deadline:
        left = {container.session_id for container in (await fleet.containers()).containers}
        if left <= {engine.session.session_id for engine in await _going(fleet) if engine.session}:
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
        accepted = await patiently(lambda: fleet.stop_engine(name), away_s=_AWAY_S)
        view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=TIMEOUT_S)
    except FaultError as error:
        narrator.warn(f"engine {name} is left as it is: {error.fault.message}")
        return
    session = view.session
    if session is not None:
        detail = f": {session.detail}" if session.detail else ""
        narrator.say(f"engine {name} {session.state}{detail}")
