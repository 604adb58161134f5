"""When a stack may be used: every service says so itself."""

import asyncio
from collections.abc import Mapping
from typing import Final

from flotilla.client.client import Flotilla
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.stack.child_restarter import Keeper
from flotilla.state.errors import StackError

_TIMEOUT_S: Final = 45.0
_TRIES: Final = 3
_POLL_S: Final = 0.05


async def wait_ready(fleet: Flotilla, services: Mapping[Actor, Keeper]) -> None:
    """Returns when all are ready. Raises StackError naming one that is not in time, or that keeps ending."""
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    for actor, keeper in services.items():
        while (problem := await _problem(fleet, actor)) is not None:
            if keeper.restarts >= _TRIES or asyncio.get_running_loop().time() > deadline:
                tail = keeper.child.log_tail(5)
                raise StackError(
                    f"the {actor} is not ready: {problem}\n{tail}", f"see {keeper.child.log_file}"
                )
            await asyncio.sleep(_POLL_S)


async def _problem(fleet: Flotilla, actor: Actor) -> str | None:
    try:
        health = await fleet.health(actor)
    except FaultError as error:
        return error.fault.message
    if health.is_ready:
        return None
    return ", ".join(f"{name}: {state}" for name, state in health.checks.items() if state != "ok")
