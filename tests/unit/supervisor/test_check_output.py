"""What the output of a check means."""

import asyncio

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError, FieldError
from flotilla.schemas.package import Wheel
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.session import CheckLine, PlanCheck, PlanProblems
from flotilla.schemas.wheel import WHEELS_FILE, wheels_text
from flotilla.schemas.wheel_archive import OpenWheel
from flotilla.services.supervisor.checks import PlanChecks
from flotilla.services.supervisor.core.check_output import CheckOutput, answer_in
from tests.wheels import wheel

AT_ONCE = 2

MAX_BYTES = 1024 * 1024

SOUND = b'{"problems":[]}\n'


@pytest.mark.parametrize(
    ("stdout", "problems"),
    [
        (SOUND, ()),
        (b"a strategy prints\nas it likes\n" + SOUND, ()),
        (b'{"problems":[{"field":"plan.node","message":"no"}]}', (FieldError("plan.node", "no"),)),
    ],
)
def test_the_last_line_is_the_answer(stdout: bytes, problems: tuple[FieldError, ...]) -> None:
    output = CheckOutput(exit_code=0, stdout=stdout)
    assert answer_in(output, PlanProblems, "the plan") == PlanProblems(problems=problems)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (CheckOutput(exit_code=None), "too long"),
        (CheckOutput(exit_code=137), "too much memory"),
        (CheckOutput(exit_code=78, stderr=b"one\nit cannot be read\n"), "exit code 78: it cannot be read"),
        (CheckOutput(exit_code=0, stdout=b"x" * (MAX_BYTES + 1)), "said too much"),
        (CheckOutput(exit_code=0), "cannot be read"),
        (CheckOutput(exit_code=0, stdout=SOUND + b"and more\n"), "cannot be read"),
        (CheckOutput(exit_code=0, stdout=b'{"problems":1}'), "cannot be read"),
        (CheckOutput(exit_code=0, stdout=b"\xff"), "cannot be read"),
    ],
)
def test_without_an_answer_nothing_is_known_of_the_plan(output: CheckOutput, words: str) -> None:
    with pytest.raises(FaultError) as caught:
        answer_in(output, PlanProblems, "the plan")
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    assert words in caught.value.fault.message


class SlowRuntime:
    """Checks until it is told to be done."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.running = 0

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        self.running += 1
        assert self.running <= AT_ONCE
        await self.done.wait()
        self.running -= 1
        return CheckOutput(exit_code=0, stdout=SOUND)


async def nothing_there(wanted: object) -> bytes:
    raise AssertionError(wanted)


async def test_only_a_few_are_checked_at_once_and_who_waits_too_long_is_told() -> None:
    runtime = SlowRuntime()
    checks = PlanChecks(runtime, nothing_there, nothing_there, wait_s=0.05)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        first = [group.create_task(checks.check(PlanCheck())) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(FaultError) as caught:
            await checks.check(PlanCheck())
        assert caught.value.fault.code == FaultCode.BUSY
        assert caught.value.fault.retry_after_s
        runtime.done.set()
    assert all(task.result().problems == () for task in first)
    assert (await checks.check(PlanCheck())).problems == ()


class Recording:
    """Says that all is sound, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        self.given.append(line)
        return CheckOutput(exit_code=0, stdout=SOUND)


async def test_wheels_follow_the_line_once_each_and_more_than_a_process_takes_is_a_problem() -> None:
    made = [wheel(f"fe-{number}") for number in range(2)]
    content = {digest_of(data): data for _, data in made}
    listed = [OpenWheel(data, name).as_listed for name, data in made]
    huge = [msgspec.structs.replace(each, unpacked_bytes=300 << 20) for each in listed]
    archives = {
        digest_of(archive): archive
        for wheels in (listed, listed[:1], huge[:1], huge[1:])
        if (archive := pack({"mine.py": b"", WHEELS_FILE: wheels_text(wheels)}))
    }

    async def fetch(digest: str) -> bytes:
        return archives[digest]

    async def fetch_wheel(wanted: Wheel) -> bytes:
        return content[wanted.digest]

    runtime = Recording()
    checks = PlanChecks(runtime, fetch, fetch_wheel)  # type: ignore[arg-type]
    both, one, *large = archives
    assert (await checks.check(PlanCheck(packages=(both, one)))).problems == ()
    line, _, following = runtime.given[0].partition(b"\n")
    assert msgspec.json.decode(line, type=CheckLine).wheels == tuple(sorted(listed))
    assert following == b"".join(content[each.digest] for each in sorted(listed))
    (problem,) = (await checks.check(PlanCheck(packages=tuple(large)))).problems
    assert (problem.field, "more than 512 MiB unpacked together" in problem.message) == ("packages", True)
    assert len(runtime.given) == 1


class Patient:
    """Keeps how long it was given."""

    def __init__(self) -> None:
        self.given_s: list[float] = []

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        self.given_s.append(timeout_s)
        return CheckOutput(exit_code=0, stdout=SOUND)


async def test_what_fetching_takes_is_of_the_time_that_a_caller_waits() -> None:
    name, data = wheel("fe-a")
    archive = pack({"mine.py": b"", WHEELS_FILE: wheels_text((OpenWheel(data, name).as_listed,))})
    is_away = asyncio.Event()
    runtime = Patient()

    async def at_once(_: object) -> bytes:
        return archive

    async def never(_: object) -> bytes:
        is_away.set()
        await asyncio.Event().wait()
        raise AssertionError

    for fetch, fetch_wheel in ((never, at_once), (at_once, never)):
        checks = PlanChecks(runtime, fetch, fetch_wheel, check_s=0.1, wait_s=0.1)  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            with pytest.raises(FaultError, match="could not be fetched in time") as caught:
                await checks.check(PlanCheck(packages=("a" * 64,)))
        assert caught.value.fault.code == FaultCode.UNAVAILABLE
        # And the slot is free.
        for _ in range(AT_ONCE + 1):
            assert (await checks.check(PlanCheck())).problems == ()
    assert is_away.is_set()
    assert max(runtime.given_s) <= 0.1
