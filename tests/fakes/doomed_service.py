"""The supervisor's service, but it kills itself with SIGKILL at one boundary between two steps of a start or a stop."""

import functools
import inspect
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import ContainerFacts, WhichSession
from flotilla.services.supervisor import __main__ as service
from flotilla.services.supervisor.adapters import docker_launch, process_runtime
from flotilla.services.supervisor.adapters.docker_client import TimedClient
from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime
from flotilla.services.supervisor.adapters.process_runtime import ProcessRuntime
from flotilla.services.supervisor.called_off import CalledOff
from flotilla.services.supervisor.handlers import Handlers

CALL_OFF_S = 30.0
"""How long a slow start waits for the call-off."""
STORED_S = 1.0
"""What a call-off may take until it is stored."""


class Boundary(NamedTuple):
    """Where it dies: before or after the functions. `is_slow`: a start is not done before it was called off.

    `is_frozen`: it is reached only when the sidecar does not answer.
    """

    where: tuple[tuple[Any, str], ...]
    is_after: bool
    is_slow: bool = False
    is_frozen: bool = False


_REMOVE = Handlers.remove
_LAUNCH = ((ProcessRuntime, "_start"), (docker_launch, "_launch"))
BOUNDARIES = {
    "start received": Boundary(((Handlers, "start"),), is_after=False),
    "session created": Boundary(_LAUNCH, is_after=False),
    "session started": Boundary(_LAUNCH, is_after=True),
    "start done": Boundary(((Handlers, "start"),), is_after=True),
    "call-off received": Boundary(((Handlers, "call_off"),), is_after=False, is_slow=True),
    "call-off stored": Boundary(((CalledOff, "add"),), is_after=True, is_slow=True),
    "call-off done": Boundary(((Handlers, "call_off"),), is_after=True, is_slow=True),
    "stop received": Boundary(((Handlers, "stop"),), is_after=False, is_frozen=True),
    "told to stop": Boundary(
        # Docker's own stop lasts as long as its container; a second after it began it is told again.
        ((process_runtime, "_ask_to_stop"), (TimedClient, "kill")),
        is_after=True,
        is_frozen=True,
    ),
    "silence noticed": Boundary(
        ((ProcessRuntime, "kill"), (DockerRuntime, "kill")), is_after=False, is_frozen=True
    ),
    "stop done": Boundary(((Handlers, "stop"),), is_after=True, is_frozen=True),
    "removal received": Boundary(((Handlers, "remove"),), is_after=False),
    "removed": Boundary(((Handlers, "remove"),), is_after=True),
}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _doomed(function: Callable[..., Any], *, is_after: bool) -> Callable[..., Any]:
    """The function, with which this process ends."""

    @functools.wraps(function)
    async def slowly(*arguments: Any, **named: Any) -> Any:
        if function is _REMOVE and not await _is_here(*arguments):
            return await function(*arguments, **named)
        if is_after:
            await function(*arguments, **named)
        _die()
        return None

    @functools.wraps(function)
    def at_once(*arguments: Any, **named: Any) -> None:
        if is_after:
            function(*arguments, **named)
        _die()

    return slowly if inspect.iscoroutinefunction(function) else at_once


async def _is_here(handlers: Handlers, request: WhichSession) -> bool:
    """False for the removal of what an earlier supervisor has removed, and of which it did not live to tell."""
    try:
        await handlers.inspect(request)
    except FaultError:
        return False
    return True


def _hold_starts() -> None:
    """Has every start wait for a call-off."""
    called_off = threading.Event()
    call_off = Handlers.call_off

    async def telling(its: Handlers, request: WhichSession) -> ContainerFacts:
        called_off.set()
        return await call_off(its, request)

    def held(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def slowly(*arguments: Any, **named: Any) -> Any:
            called_off.wait(CALL_OFF_S)
            time.sleep(STORED_S)
            return function(*arguments, **named)

        return slowly

    handlers: Any = Handlers
    handlers.call_off = telling
    for owner, attribute in _LAUNCH:
        setattr(owner, attribute, held(getattr(owner, attribute)))


def main(name: str) -> None:
    """Serves until the boundary is reached."""
    boundary = BOUNDARIES[name]
    if boundary.is_slow:
        _hold_starts()
    for owner, attribute in boundary.where:
        doomed = _doomed(getattr(owner, attribute), is_after=boundary.is_after)
        setattr(owner, attribute, doomed)
    service.main()
