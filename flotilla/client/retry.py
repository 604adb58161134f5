"""Asks again where nobody answers: what was put into the queue goes on without the orchestrator, which comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from flotilla.schemas.fault import FaultCode, FaultError

T = TypeVar("T")

AWAY_S: Final = 60.0
_AGAIN_S: Final = 1.0
_AWAY: Final = (FaultCode.UNAVAILABLE, FaultCode.OUTCOME_UNKNOWN, FaultCode.BUSY)


async def patiently(ask: Callable[[], Awaitable[T]], *, away_s: float = AWAY_S) -> T:
    """The answer to what may be asked twice. Raises its FaultError after `away_s` without one, others at once."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + away_s
    while True:
        try:
            return await ask()
        except FaultError as error:
            if error.fault.code not in _AWAY or loop.time() > deadline:
                raise
            await asyncio.sleep(_AGAIN_S)
