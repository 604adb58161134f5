"""When a stack is ready for its clients."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flotilla.client.client import Flotilla
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.stack.child_restarter import Keeper
from flotilla.stack.own_host import own_host
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


async def wait_in_sight(fleet: Flotilla, root: Path) -> None:
    """Returns once the orchestrator has heard of this host: before that it refuses whatever a host must do. Raises StackError."""
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    while not await _is_in_sight(fleet, root):
        if asyncio.get_running_loop().time() > deadline:
            raise StackError("the orchestrator does not hear of this host", "see the supervisor's log")
        await asyncio.sleep(_POLL_S)


async def _is_in_sight(fleet: Flotilla, root: Path) -> bool:
    own = own_host(root)
    try:
        hosts = (await fleet.hosts()).hosts
    except FaultError:
        return False
    return own is not None and any(each.host == own.host and each.is_in_sight for each in hosts)


async def _problem(fleet: Flotilla, actor: Actor) -> str | None:
    try:
        health = await fleet.health(actor)
    except FaultError as error:
        return error.fault.message
    if health.is_ready:
        return None
    return ", ".join(f"{name}: {state}" for name, state in health.checks.items() if state != "ok")
