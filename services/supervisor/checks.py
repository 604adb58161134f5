"""Checks by NautilusTrader itself, of plans and of packages, a few at a time: each costs a second of CPU and half a gigabyte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.package import CheckPackage, EnginePython, PackageFindings, Wheel, WhichPython
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.session import CheckLine, PlanCheck, PlanProblems
from flotilla.schemas.wheel import too_many_wheels, wheels_in
from flotilla.services.supervisor.core.check_output import CheckOutput, Question, answer_in
from flotilla.services.supervisor.ports import ContainerRuntime
from flotilla.services.supervisor.ready_check import AFTER_S, ReadyCheck

type Fetch = Callable[[str], Awaitable[bytes]]
type FetchWheel = Callable[[Wheel], Awaitable[bytes]]

AT_ONCE: Final = 2
WAIT_S: Final = 6.0
CHECK_S: Final = 25.0
"""Together they stay below the time that a caller waits; packages and wheels are fetched within it."""
PACKAGE_S: Final = 45.0
"""For a package there is more: somebody waits for his push, and nobody for his engine."""
FETCH_S: Final = 20.0
"""And more for its wheels, which come from afar; a push waits for 75 s."""


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
        ready_after_s: float = AFTER_S,
    ) -> None:
        self._runtime = runtime
        self._fetch = fetch
        self._fetch_wheel = fetch_wheel
        self._check_s = check_s
        self._wait_s = wait_s
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._ready = ReadyCheck(runtime, after_s=ready_after_s)

    async def check(self, request: PlanCheck) -> PlanProblems:
        """Raises FaultError: `busy` when others are checked for long, `unavailable` when nothing can be said of the plan."""
        until = self._until(self._check_s)
        archives = await self._archives(request.packages, until)
        if text := too_many_wheels(_wheels(archives)):
            return PlanProblems(problems=(FieldError("packages", text),))
        line = CheckLine(strategies=request.strategies, plan=request.plan, archives=archives)
        return answer_in(await self._run(line, until, self._check_s), PlanProblems, "the plan")

    async def check_package(self, request: CheckPackage) -> PackageFindings:
        """What is in a package. Raises FaultError likewise, and `not_found` for one that was not uploaded."""
        until = self._until(PACKAGE_S + FETCH_S)
        line = CheckLine(archives=await self._archives((request.digest,), until), is_package=True)
        try:
            return answer_in(await self._run(line, until, PACKAGE_S), PackageFindings, "the package")
        finally:
            self._ready.expect()

    async def python(self, request: WhichPython) -> EnginePython:
        """What packages find here. Raises FaultError likewise."""
        output = await self._run(CheckLine(is_python=True), self._until(self._check_s), self._check_s)
        return answer_in(output, EnginePython, "Python")

    async def close(self) -> None:
        """Nothing is left of checks that nobody asked anything."""
        await self._ready.close()

    def _until(self, check_s: float) -> float:
        return asyncio.get_running_loop().time() + self._wait_s + check_s

    async def _archives(self, digests: Iterable[str], until: float) -> tuple[bytes, ...]:
        async with _in_time(until):
            return tuple([await self._fetch(digest) for digest in digests])

    async def _run(self, line: CheckLine, until: float, check_s: float) -> CheckOutput:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError:
            text = "other plans are being checked"
            raise fault(FaultCode.BUSY, text, retry_after_s=self._wait_s) from None
        try:
            async with _in_time(until):
                content = await self._input(line)
            said = await self._ready.answer(Question(content, self._left_s(until, check_s)))
            return said or await self._runtime.check(content, self._left_s(until, check_s))
        finally:
            self._slots.release()

    def _left_s(self, until: float, check_s: float) -> float:
        return min(check_s, until - asyncio.get_running_loop().time())

    async def _input(self, line: CheckLine) -> bytes:
        """The line, and behind it the wheels that its packages need."""
        wheels = _wheels(line.archives)
        # Which hands out what it holds: joined, all of it would be there twice.
        content = BytesIO()
        content.write(msgspec.json.encode(msgspec.structs.replace(line, wheels=wheels)) + b"\n")
        for wheel in wheels:
            content.write(await self._fetch_wheel(wheel))
        return content.getvalue()


@asynccontextmanager
async def _in_time(until: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(until):
            yield
    except TimeoutError:
        raise fault(FaultCode.UNAVAILABLE, "its packages could not be fetched in time") from None


def _wheels(archives: Iterable[bytes]) -> tuple[Wheel, ...]:
    try:
        return tuple(sorted({wheel for archive in archives for wheel in wheels_in(archive)}))
    except ArchiveError:
        return ()  # whoever reads the archive says what is wrong with it
