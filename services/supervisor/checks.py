"""Checks of plans by NautilusTrader itself, a few at a time: each costs a second of CPU and half a gigabyte."""

import asyncio
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import PlanCheck, PlanProblems
from flotilla.services.supervisor.core.check_output import problems_in
from flotilla.services.supervisor.ports import ContainerRuntime

AT_ONCE: Final = 2
WAIT_S: Final = 6.0
CHECK_S: Final = 25.0
"""Together they stay below the time that a caller waits."""


class PlanChecks:
    """Answers what NautilusTrader would refuse."""

    def __init__(
        self, runtime: ContainerRuntime, *, check_s: float = CHECK_S, wait_s: float = WAIT_S
    ) -> None:
        self._runtime = runtime
        self._check_s = check_s
        self._wait_s = wait_s
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def check(self, request: PlanCheck) -> PlanProblems:
        """Raises FaultError: `busy` when others are checked for long, `unavailable` when nothing can be said of the plan."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise fault(FaultCode.BUSY, "other plans are being checked", retry_after_s=self._wait_s) from None
        try:
            output = await self._runtime.check(msgspec.json.encode(request) + b"\n", self._check_s)
        finally:
            self._slots.release()
        return problems_in(output)
