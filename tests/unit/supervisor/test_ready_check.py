"""A check that waits for its question is taken when there is one, thrown away when nobody asks, and never an answer by itself."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.package import CheckPackage
from flotilla.schemas.session import PlanCheck
from flotilla.services.supervisor.checks import PlanChecks
from flotilla.services.supervisor.core.check_output import CheckOutput, Question
from flotilla.services.supervisor.ready_check import ReadyCheck

QUESTION = Question(b"is it sound?\n", 5.0)
OTHER = Question(b"and this?\n", 5.0)


class Host:
    """Counts what is begun, and answers with the line. `dies` with this exit code instead, when it is asked; `is_away` begins nothing."""

    def __init__(self, *, dies: int = 0, is_away: bool = False) -> None:
        self.begun = 0
        self.unasked = 0
        self.dies = dies
        self.is_away = is_away
        self.plain: list[bytes] = []
        self.stdout = b""

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        self.plain.append(line)
        return CheckOutput(exit_code=0, stdout=self.stdout or line)

    async def check_when_asked(self, asked: Future[Question | None]) -> CheckOutput:
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "Docker does not answer")
        self.begun += 1
        question = await asyncio.wrap_future(asked)
        if question is None:
            self.unasked += 1
            return CheckOutput(exit_code=None)
        return CheckOutput(exit_code=self.dies, stdout=self.stdout or question.line)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


def ready(host: Host, *, keep_s: float = 60.0) -> ReadyCheck:
    return ReadyCheck(host, after_s=0.01, keep_s=keep_s)  # type: ignore[arg-type]


async def test_nothing_is_kept_before_somebody_pushed() -> None:
    host = Host()
    check = ready(host)
    assert await check.answer(QUESTION) is None
    await asyncio.sleep(0.05)
    assert host.begun == 0
    await check.close()


async def test_the_one_that_waits_answers_once_and_the_next_is_another() -> None:
    host = Host()
    check = ready(host)
    for count in (1, 2, 3):
        check.expect()
        await until(lambda count=count: host.begun == count)
        first, second = await asyncio.gather(check.answer(QUESTION), check.answer(OTHER))
        assert first is not None
        assert first.stdout == QUESTION.line
        assert second is None
    assert host.unasked == 0
    await check.close()


async def test_expected_twice_it_is_begun_once() -> None:
    host = Host()
    check = ready(host)
    check.expect()
    check.expect()
    await until(lambda: host.begun == 1)
    check.expect()
    await asyncio.sleep(0.05)
    assert host.begun == 1
    await check.close()
    assert host.unasked == 1


async def test_one_that_nobody_asks_is_let_go_after_a_while() -> None:
    host = Host()
    check = ready(host, keep_s=0.05)
    check.expect()
    await until(lambda: host.unasked == 1)
    assert await check.answer(QUESTION) is None
    await check.close()


async def test_one_that_died_is_no_answer() -> None:
    host = Host(dies=137)
    check = ready(host)
    check.expect()
    await until(lambda: host.begun == 1)
    assert await check.answer(QUESTION) is None
    await check.close()


async def test_where_none_can_be_begun_there_is_none_and_the_next_is_tried() -> None:
    host = Host(is_away=True)
    check = ready(host)
    check.expect()
    await asyncio.sleep(0.05)
    assert await check.answer(QUESTION) is None
    host.is_away = False
    check.expect()
    await until(lambda: host.begun == 1)
    assert await check.answer(QUESTION) is not None
    await check.close()


async def test_a_pushed_package_has_the_next_check_made_ready_and_a_plan_does_not() -> None:
    host = Host()
    host.stdout = b'{"problems":[]}\n'

    async def archive(_: str) -> bytes:
        return b""

    async def no_wheel(wanted: object) -> bytes:
        raise AssertionError(wanted)

    checks = PlanChecks(host, archive, no_wheel, ready_after_s=0.01)  # type: ignore[arg-type]
    await checks.check(PlanCheck())
    await asyncio.sleep(0.05)
    assert host.begun == 0
    await checks.check_package(CheckPackage(digest="a" * 64))
    await until(lambda: host.begun == 1)
    assert len(host.plain) == 2
    await checks.check_package(CheckPackage(digest="b" * 64))
    await until(lambda: host.begun == 2)
    assert len(host.plain) == 2
    await checks.close()
    assert host.unasked == 1
