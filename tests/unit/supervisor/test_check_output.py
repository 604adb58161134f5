"""What the output of a check means."""

import asyncio

import pytest

from flotilla.schemas.fault import FaultCode, FaultError, FieldError
from flotilla.schemas.session import PlanCheck, PlanProblems
from flotilla.services.supervisor.checks import PlanChecks
from flotilla.services.supervisor.core.check_output import CheckOutput, answer_in

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
