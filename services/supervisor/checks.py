"""Checks by NautilusTrader itself, of plans and of packages, a few at a time: each costs a second of CPU and half a gigabyte."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.package import CheckPackage, EnginePython, PackageFindings, Wheel, WhichPython
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.session import CheckLine, PlanCheck, PlanProblems
from flotilla.schemas.wheel import too_many_wheels, wheels_in
from flotilla.services.supervisor.core.check_output import CheckOutput, answer_in
from flotilla.services.supervisor.ports import ContainerRuntime

type Fetch = Callable[[str], Awaitable[bytes]]
type FetchWheel = Callable[[Wheel], Awaitable[bytes]]

AT_ONCE: Final = 2
WAIT_S: Final = 6.0
CHECK_S: Final = 25.0
"""Together they stay below the time that a caller waits."""
PACKAGE_S: Final = 45.0
"""For a package there is more: somebody waits for his push, and nobody for his engine."""


class PlanChecks:
    """Answers what NautilusTrader would refuse. `fetch` gets an archive by its digest, `fetch_wheel` a wheel."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        fetch: Fetch,
        fetch_wheel: FetchWheel,
        *,
        check_s: float = CHECK_S,
        wait_s: float = WAIT_S,
    ) -> None:
        self._runtime = runtime
        self._fetch = fetch
        self._fetch_wheel = fetch_wheel
        self._check_s = check_s
        self._wait_s = wait_s
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def check(self, request: PlanCheck) -> PlanProblems:
        """Raises FaultError: `busy` when others are checked for long, `unavailable` when nothing can be said of the plan."""
        archives = tuple([await self._fetch(digest) for digest in request.packages])
        if text := too_many_wheels(_wheels(archives)):
            return PlanProblems(problems=(FieldError("packages", text),))
        line = CheckLine(strategies=request.strategies, plan=request.plan, archives=archives)
        return answer_in(await self._run(line, self._check_s), PlanProblems, "the plan")

    async def check_package(self, request: CheckPackage) -> PackageFindings:
        """What is in a package. Raises FaultError likewise, and `not_found` for one that was not uploaded."""
        line = CheckLine(archives=(await self._fetch(request.digest),), is_package=True)
        return answer_in(await self._run(line, PACKAGE_S), PackageFindings, "the package")

    async def python(self, request: WhichPython) -> EnginePython:
        """What packages find here. Raises FaultError likewise."""
        return answer_in(await self._run(CheckLine(is_python=True), self._check_s), EnginePython, "Python")

    async def _run(self, line: CheckLine, check_s: float) -> CheckOutput:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError:
            text = "other plans are being checked"
            raise fault(FaultCode.BUSY, text, retry_after_s=self._wait_s) from None
        try:
            return await self._runtime.check(await self._input(line), check_s)
        finally:
            self._slots.release()

    async def _input(self, line: CheckLine) -> bytes:
        """The line, and behind it the wheels that its packages need."""
        wheels = _wheels(line.archives)
        content = [await self._fetch_wheel(wheel) for wheel in wheels]
        return b"".join((msgspec.json.encode(msgspec.structs.replace(line, wheels=wheels)), b"\n", *content))


def _wheels(archives: Iterable[bytes]) -> tuple[Wheel, ...]:
    try:
        return tuple(sorted({wheel for archive in archives for wheel in wheels_in(archive)}))
    except ArchiveError:
        return ()  # whoever reads the archive says what is wrong with it
