"""What every ContainerRuntime does, run on real Docker, on real processes and on the fake of the unit tests alike."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import aclosing, suppress
from itertools import groupby
from pathlib import Path

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import ContainerFacts, ContainerStatus, PlanProblems
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.supervisor.adapters.called_off_file import CalledOffFile
from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime
from flotilla.services.supervisor.called_off import CalledOff
from flotilla.services.supervisor.core.check_output import Question, answer_in
from flotilla.services.supervisor.ports import ContainerRuntime
from tests.fakes.doomed_supervisor import LINE
from tests.fakes.memory_runtime import Program, Sidecar
from tests.fakes.supervised import (
    Bench,
    DockerBench,
    MemoryBench,
    ProcessBench,
    doomed_supervisor,
    printed,
    reported,
    session,
)

MAX_BYTES = 1024 * 1024

SECRET = "SECRET-OF-THE-LAUNCH-LINE"
WAIT = 'read -r line; echo "ready ${#line}"; while :; do sleep 0.05 & wait $!; done'
OBEDIENT = f'trap "exit 0" TERM; {WAIT}'
STUBBORN = f'trap "" TERM; {WAIT}'
OBEYS_THE_SECOND = f'n=0; trap "n=\\$((n+1)); [ \\$n -lt 2 ] || exit 0" TERM; {WAIT}'
BEATS_FOR_A_WHILE = (
    'trap "exit 0" TERM; read -r line; for i in 1 2 3 4 5 6 7 8 9 10; do'
    ' touch "$FLOTILLA_HEARTBEAT_FILE"; echo beat; sleep 0.2 & wait $!; done;'
    " echo still; while :; do sleep 0.05 & wait $!; done"
)
CHECK = 'read -r line; echo "got ${#line}"; echo "last words" >&2; exit 3'
FROM_THE_STACK = "of-the-stack"
LOOKS_AROUND = "read -r line; env | grep -q FLOTILLA_HEARTBEAT_FILE || exit 4; env | grep -q of-the-stack && exit 5; exit 0"
EXITS_AS_TOLD = r"read -r line; code=${line##*:}; exit ${code%\}}"

type MakeRuntime = Callable[[str], ContainerRuntime]


async def obedient(sidecar: Sidecar) -> int:
    ready(sidecar)
    await sidecar.term()
    return 0


async def stubborn(sidecar: Sidecar) -> int:
    ready(sidecar)
    while True:
        await sidecar.term()


async def obeys_the_second(sidecar: Sidecar) -> int:
    ready(sidecar)
    await sidecar.term()
    await sidecar.term()
    return 0


async def beats_for_a_while(sidecar: Sidecar) -> int:
    for _ in range(10):
        sidecar.beat()
        sidecar.say("beat")
        await asyncio.sleep(0.02)
    sidecar.say("still")
    await sidecar.term()
    return 0


async def exits_as_told(sidecar: Sidecar) -> int:
    code: int = json.loads(sidecar.line)["exit"]
    return code


def ready(sidecar: Sidecar) -> None:
    sidecar.say(f"ready {len(sidecar.line) - 1}")


IN_MEMORY: dict[str, Program] = {
    OBEDIENT: obedient,
    STUBBORN: stubborn,
    OBEYS_THE_SECOND: obeys_the_second,
    BEATS_FOR_A_WHILE: beats_for_a_while,
    EXITS_AS_TOLD: exits_as_told,
}

outside = pytest.mark.parametrize("bench", ["docker", "process"], indirect=True)
"""For what can only be seen of real processes."""


@pytest.fixture
def memory() -> MemoryBench:
    return MemoryBench(IN_MEMORY)


@pytest.fixture(params=["docker", "process", "memory"])
def bench(request: pytest.FixtureRequest) -> Bench:
    found: Bench = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def make(bench: Bench) -> AsyncIterator[MakeRuntime]:
    """Runtimes of the bench, all closed at the end."""
    made: list[ContainerRuntime] = []

    def make_one(script: str) -> ContainerRuntime:
        made.append(bench.runtime(script))
        return made[-1]

    yield make_one
    for runtime in made:
        await runtime.close()


def has_exited(facts: ContainerFacts) -> bool:
    return facts.status == ContainerStatus.EXITED


def code_of(caught: pytest.ExceptionInfo[FaultError]) -> FaultCode:
    return caught.value.fault.code


async def test_ensuring_makes_the_session_run(bench: Bench, make: MakeRuntime) -> None:
    spec = session()
    facts = await make(OBEDIENT).ensure(spec, LINE)
    assert facts.status == ContainerStatus.RUNNING
    assert (facts.session_id, facts.instance_id, facts.generation) == (spec.session_id, "e1", 3)
    assert (facts.host, facts.name) == ("here", f"nautilus-engine-{spec.session_id}")
    assert facts.created_at is not None
    assert facts.started_at is not None
    assert facts.started_at >= facts.created_at
    assert facts.exit_code is None


async def test_facts_tell_what_the_engine_is_and_what_it_may_use(bench: Bench, make: MakeRuntime) -> None:
    spec = session(engine_type=EngineType.PAPER)
    facts = await make(OBEDIENT).ensure(spec, LINE)
    assert (facts.engine_type, facts.trading_mode) == (EngineType.PAPER, TradingMode.PAPER)
    assert facts.memory_limit_bytes == 512 << 20
    # Where nothing limits CPUs no limit is told.
    assert facts.cpus == (0.5 if isinstance(bench, DockerBench) else None)


async def test_ensuring_twice_changes_nothing(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEDIENT)
    first = await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    assert await runtime.ensure(spec, LINE) == first
    assert await runtime.list() == (first,)
    assert bench.output(spec.session_id).count("ready") == 1


async def test_ensuring_ten_times_at_once_makes_one(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEDIENT)
    facts = await asyncio.gather(*(runtime.ensure(spec, LINE) for _ in range(10)))
    assert len({one.container_id for one in facts}) == 1
    assert len(await runtime.list()) == 1


async def test_two_runtimes_ensuring_at_once_make_one(bench: Bench, make: MakeRuntime) -> None:
    spec = session()
    outcomes = await asyncio.gather(
        make(OBEDIENT).ensure(spec, LINE), make(OBEDIENT).ensure(spec, LINE), return_exceptions=True
    )
    settled = await make(OBEDIENT).ensure(spec, LINE)
    assert {one.container_id for one in outcomes if isinstance(one, ContainerFacts)} <= {settled.container_id}
    await printed(bench, spec.session_id, f"ready {len(LINE) - 1}")


@outside
async def test_the_launch_line_arrives_whole_and_is_visible_nowhere(bench: Bench, make: MakeRuntime) -> None:
    spec = session()
    await make(OBEDIENT).ensure(spec, LINE)
    await printed(bench, spec.session_id, f"ready {len(LINE) - 1}")
    traces = bench.traces(spec.session_id)
    assert "trap" in traces  # it does see the command
    assert SECRET not in traces


@outside
async def test_what_adapters_would_take_from_the_environment_of_the_stack_is_not_there(
    bench: Bench, make: MakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("BINANCE_API_KEY", "BINANCE_API_SECRET", "OKX_API_PASSPHRASE", "DYDX_PRIVATE_KEY", "TWS_ACCOUNT")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "NO_PROXY")
    for name in (*keys, *proxies):
        monkeypatch.setenv(name, FROM_THE_STACK)
    runtime = make(LOOKS_AROUND)
    await runtime.ensure(session(), LINE)
    assert (await reported(runtime, has_exited)).exit_code == 0


async def test_a_launch_line_of_300_kilobytes_arrives_whole(bench: Bench, make: MakeRuntime) -> None:
    spec = session()
    await make(OBEDIENT).ensure(spec, b"x" * 300_000 + b"\n")
    await printed(bench, spec.session_id, "ready 300000")


@outside
async def test_the_sidecar_sees_the_end_of_its_input_after_the_line(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make("cat >/dev/null; exit 5")
    await runtime.ensure(spec, LINE)
    assert (await reported(runtime, has_exited)).exit_code == 5


async def test_an_exit_code_is_reported(bench: Bench, make: MakeRuntime) -> None:
    runtime = make(EXITS_AS_TOLD)
    await runtime.ensure(session(), LINE)
    facts = await reported(runtime, has_exited)
    assert facts.exit_code == 42
    assert not facts.is_oom_killed
    assert facts.finished_at is not None
    assert facts.started_at is not None
    assert facts.finished_at >= facts.started_at


async def test_a_session_that_ended_is_reported_and_not_run_again(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(EXITS_AS_TOLD)
    await runtime.ensure(spec, LINE)
    ended = await reported(runtime, has_exited)
    again = await runtime.ensure(spec, LINE)
    assert (again.status, again.exit_code) == (ContainerStatus.EXITED, 42)
    assert again.container_id == ended.container_id


async def test_another_specification_under_the_same_session_is_a_conflict(
    bench: Bench, make: MakeRuntime
) -> None:
    spec, runtime = session(), make(OBEDIENT)
    first = await runtime.ensure(spec, LINE)
    with pytest.raises(FaultError) as caught:
        await runtime.ensure(session(spec.session_id, generation=4), LINE)
    assert code_of(caught) == FaultCode.CONFLICT
    assert await runtime.inspect(spec.session_id) == first


async def test_stopping_ends_with_exit_0_and_a_report(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEDIENT)
    await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    watching = asyncio.gather(reported(runtime, has_exited))
    facts = await runtime.stop(spec.session_id, 10)
    assert (facts.status, facts.exit_code) == (ContainerStatus.EXITED, 0)
    assert (await watching)[0].exit_code == 0


async def test_stopping_a_stopped_one_is_a_success(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(EXITS_AS_TOLD)
    await runtime.ensure(spec, LINE)
    await reported(runtime, has_exited)
    assert (await runtime.stop(spec.session_id, 10)).exit_code == 42
    assert (await runtime.kill(spec.session_id)).exit_code == 42


async def test_one_that_ignores_the_stop_is_killed_when_its_time_is_over(
    bench: Bench, make: MakeRuntime
) -> None:
    spec, runtime = session(), make(STUBBORN)
    await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    started = time.monotonic()
    facts = await runtime.stop(spec.session_id, 1)
    assert (facts.status, facts.exit_code) == (ContainerStatus.EXITED, -9)
    assert 0.9 < time.monotonic() - started < 8


async def test_a_first_signal_that_is_lost_costs_a_second(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEYS_THE_SECOND)
    await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    assert (await runtime.stop(spec.session_id, timeout_s=20)).exit_code == 0


async def test_a_start_that_must_not_go_on_leaves_nothing_and_runs_nothing(
    bench: Bench, make: MakeRuntime
) -> None:
    spec, runtime = session(), make(OBEDIENT)

    def go_on() -> None:
        raise fault(FaultCode.CONFLICT, "called off")

    with pytest.raises(FaultError, match="called off"):
        await runtime.ensure(spec, LINE, go_on)
    assert await runtime.list() == ()
    assert (await runtime.ensure(spec, LINE)).status == ContainerStatus.RUNNING
    # One that runs is reported, whatever would keep it from starting.
    assert (await runtime.ensure(spec, LINE, go_on)).status == ContainerStatus.RUNNING


async def test_what_was_left_of_a_start_that_was_called_off_is_swept_and_no_start_that_may_come_again_is_touched(
    bench: Bench, make: MakeRuntime, tmp_path: Path
) -> None:
    off, retried, running, ended = (session() for _ in range(4))
    runtime = make(OBEDIENT)
    await runtime.probe()
    for spec in (running, ended):
        await runtime.ensure(spec, LINE)
    await runtime.kill(ended.session_id)
    for spec in (off, retried):
        await asyncio.to_thread(bench.create, spec)
    for spec in (off, running, ended):
        await CalledOff(CalledOffFile(tmp_path)).add(spec.session_id)
    await CalledOff(CalledOffFile(tmp_path)).sweep(runtime)
    assert {facts.session_id: facts.status for facts in await runtime.list()} == {
        retried.session_id: ContainerStatus.CREATED,
        running.session_id: ContainerStatus.RUNNING,
        ended.session_id: ContainerStatus.EXITED,
    }
    assert (await runtime.ensure(retried, LINE)).status == ContainerStatus.RUNNING
    await printed(bench, retried.session_id, f"ready {len(LINE) - 1}")


async def test_the_pulse_changes_as_long_as_the_sidecar_beats(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(BEATS_FOR_A_WHILE)
    assert await runtime.pulse(spec.session_id) is None
    await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "beat")
    first = await runtime.pulse(spec.session_id)
    assert first is not None
    await printed(bench, spec.session_id, "still")
    last = await runtime.pulse(spec.session_id)
    assert last != first
    assert await runtime.pulse(spec.session_id) == last


async def test_many_stop_side_by_side(bench: Bench, make: MakeRuntime) -> None:
    specs, runtime = [session() for _ in range(6)], make(STUBBORN)
    await asyncio.gather(*(runtime.ensure(spec, LINE) for spec in specs))
    started = time.monotonic()
    facts = await asyncio.gather(*(runtime.stop(spec.session_id, 2) for spec in specs))
    assert [one.exit_code for one in facts] == [-9] * 6
    assert time.monotonic() - started < 8


async def test_killing_tells_the_signal(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEDIENT)
    await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    facts = await runtime.kill(spec.session_id)
    assert (facts.status, facts.exit_code, facts.is_oom_killed) == (ContainerStatus.EXITED, -9, False)


@outside
async def test_a_sidecar_that_dies_of_a_signal_tells_it(bench: Bench, make: MakeRuntime) -> None:
    runtime = make("read -r line; kill -SEGV $$")
    await runtime.ensure(session(), LINE)
    assert (await reported(runtime, has_exited)).exit_code == -11


async def test_a_running_one_is_not_removed(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEDIENT)
    await runtime.ensure(spec, LINE)
    with pytest.raises(FaultError) as caught:
        await runtime.remove(spec.session_id)
    assert code_of(caught) == FaultCode.CONFLICT
    assert (await runtime.inspect(spec.session_id)).status == ContainerStatus.RUNNING


async def test_removing_leaves_nothing_and_removing_again_is_a_success(
    bench: Bench, make: MakeRuntime
) -> None:
    spec, runtime = session(), make(EXITS_AS_TOLD)
    await runtime.ensure(spec, LINE)
    await reported(runtime, has_exited)
    gone = await runtime.remove(spec.session_id)
    assert (gone.status, gone.instance_id, gone.exit_code) == (ContainerStatus.GONE, "e1", 42)
    assert await runtime.list() == ()
    again = await runtime.remove(spec.session_id)
    assert (again.status, again.session_id) == (ContainerStatus.GONE, spec.session_id)
    # What is said of one that was never here can be said on the bus.
    assert msgspec.json.decode(msgspec.json.encode(again), type=ContainerFacts) == again


@pytest.mark.parametrize("verb", ["inspect", "stop", "kill"])
async def test_one_that_is_not_here_is_not_found(bench: Bench, make: MakeRuntime, verb: str) -> None:
    runtime = make(OBEDIENT)
    with pytest.raises(FaultError) as caught:
        await (runtime.stop("nobody", 1) if verb == "stop" else getattr(runtime, verb)("nobody"))
    assert code_of(caught) == FaultCode.NOT_FOUND


async def test_the_list_has_all_of_them(bench: Bench, make: MakeRuntime) -> None:
    specs, runtime = [session(instance_id=f"e{n}") for n in range(3)], make(OBEDIENT)
    await asyncio.gather(*(runtime.ensure(spec, LINE) for spec in specs))
    assert {facts.session_id for facts in await runtime.list()} == {spec.session_id for spec in specs}


async def test_a_restarted_supervisor_adopts_and_stops_what_the_old_one_started(
    bench: Bench, make: MakeRuntime
) -> None:
    spec, old = session(), make(OBEDIENT)
    first = await old.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    await old.close()
    new = make(OBEDIENT)
    assert await new.list() == (first,)
    assert await new.ensure(spec, LINE) == first
    assert (await new.stop(spec.session_id, 10)).exit_code == 0


async def test_an_exit_while_nobody_watched_is_reported(bench: Bench, make: MakeRuntime) -> None:
    spec, old = session(), make(EXITS_AS_TOLD)
    await old.ensure(spec, LINE)
    await old.close()
    new = make(EXITS_AS_TOLD)
    await asyncio.to_thread(_wait_until_over, bench, spec.session_id)
    assert (await reported(new, has_exited)).exit_code == 42


def _wait_until_over(bench: Bench, session_id: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if isinstance(bench, DockerBench) and not bench.inspect(session_id)["State"]["Running"]:
            return
        if isinstance(bench, ProcessBench) and not bench.pids(session_id):
            return
        if isinstance(bench, MemoryBench) and bench.has_ended(session_id):
            return
        time.sleep(0.02)
    raise AssertionError("it runs on")


async def test_a_watch_reports_start_end_and_removal(bench: Bench, make: MakeRuntime) -> None:
    spec, runtime = session(), make(OBEDIENT)
    seen: list[ContainerStatus] = []

    async def act() -> None:
        await runtime.ensure(spec, LINE)
        await printed(bench, spec.session_id, "ready")
        await until(lambda: ContainerStatus.RUNNING in seen)
        await runtime.stop(spec.session_id, 5)
        await until(lambda: ContainerStatus.EXITED in seen)
        await runtime.remove(spec.session_id)

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks, aclosing(runtime.watch()) as changes:
        tasks.create_task(act())
        async for facts in changes:
            seen.append(facts.status)
            if facts.status == ContainerStatus.GONE:
                break
    # Facts change more often than the status, and Docker has a moment between create and start.
    assert [status for status, _ in groupby(seen) if status != ContainerStatus.CREATED] == [
        ContainerStatus.RUNNING,
        ContainerStatus.EXITED,
        ContainerStatus.GONE,
    ]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.02)


@outside
async def test_a_supervisor_killed_while_it_starts_a_session_leaves_one_that_has_its_line_or_none(
    bench: Bench, make: MakeRuntime
) -> None:
    runtime = make(OBEDIENT)
    for delay_s in (0, 0.01, 0.03, 0.06, 0.12, 0.25):
        spec = session()
        body = msgspec.json.encode(spec).decode()
        with doomed_supervisor(bench, OBEDIENT, "ensure", body) as supervisor:
            assert supervisor.stdout is not None
            assert await asyncio.to_thread(supervisor.stdout.readline) == "go\n"
            await asyncio.sleep(delay_s)
            supervisor.kill()
        facts = await runtime.ensure(spec, LINE)
        assert facts.status == ContainerStatus.RUNNING
        await printed(bench, spec.session_id, f"ready {len(LINE) - 1}")
        assert bench.output(spec.session_id).count("ready") == 1
        assert [one.session_id for one in await runtime.list()].count(spec.session_id) == 1


@outside
async def test_the_deadline_of_a_stop_holds_although_its_supervisor_was_killed(
    bench: Bench, make: MakeRuntime
) -> None:
    spec, runtime = session(), make(STUBBORN)
    await runtime.ensure(spec, LINE)
    await printed(bench, spec.session_id, "ready")
    with doomed_supervisor(bench, STUBBORN, "stop", spec.session_id) as supervisor:
        assert supervisor.stdout is not None
        assert await asyncio.to_thread(supervisor.stdout.readline) == "go\n"
        await asyncio.sleep(0.5)
        supervisor.kill()
    assert (await runtime.inspect(spec.session_id)).status == ContainerStatus.RUNNING
    assert (await reported(runtime, has_exited)).exit_code == -9


@outside
async def test_a_check_gets_its_line_and_gives_its_output_and_leaves_nothing(
    bench: Bench, make: MakeRuntime
) -> None:
    runtime = bench.runtime(OBEDIENT, check=CHECK)
    first, second = await asyncio.gather(runtime.check(LINE, 20), runtime.check(b"short\n", 20))
    assert (first.exit_code, first.stdout) == (3, f"got {len(LINE) - 1}\n".encode())
    assert first.stderr.endswith(b"last words\n")
    assert second.stdout == b"got 5\n"
    assert await runtime.list() == ()
    assert left_of_checks(bench) == []
    await runtime.close()


@outside
async def test_a_check_that_takes_too_long_is_ended(bench: Bench, make: MakeRuntime) -> None:
    runtime = bench.runtime(OBEDIENT, check='trap "" TERM; read -r line; sleep 60 & wait')
    started = time.monotonic()
    assert (await runtime.check(LINE, 1)).exit_code is None
    assert time.monotonic() - started < 30
    assert left_of_checks(bench) == []
    await runtime.close()


@outside
async def test_a_check_that_says_too_much_is_cut(bench: Bench, make: MakeRuntime) -> None:
    runtime = bench.runtime(OBEDIENT, check="head -c 3000000 /dev/zero")
    output = await runtime.check(LINE, 20)
    assert len(output.stdout) > MAX_BYTES
    with pytest.raises(FaultError):
        answer_in(output, PlanProblems, "the plan")
    assert left_of_checks(bench) == []
    await runtime.close()


@outside
async def test_a_check_whose_supervisor_was_killed_ends_and_leaves_nothing_once_the_next_one_came(
    bench: Bench, make: MakeRuntime
) -> None:
    with doomed_supervisor(bench, "sleep 60", "check", "2") as supervisor:
        assert supervisor.stdout is not None
        assert await asyncio.to_thread(supervisor.stdout.readline) == "go\n"
        await until(lambda: left_of_checks(bench) != [])
        supervisor.kill()
    runtime = make(OBEDIENT)
    assert await runtime.list() == ()
    if isinstance(runtime, DockerRuntime):
        await runtime.sweep_checks()
    await until(lambda: left_of_checks(bench) == [])


@outside
async def test_a_check_that_waits_answers_what_it_is_asked_later_and_leaves_nothing(
    bench: Bench, make: MakeRuntime
) -> None:
    runtime = bench.runtime(OBEDIENT, check=CHECK)
    asked: Future[Question | None] = Future()
    async with asyncio.TaskGroup() as group:
        output = group.create_task(runtime.check_when_asked(asked))
        await until(lambda: left_of_checks(bench) != [])
        await asyncio.sleep(0.5)
        assert not output.done()
        asked.set_result(Question(LINE, 20))
    assert (output.result().exit_code, output.result().stdout) == (3, f"got {len(LINE) - 1}\n".encode())
    assert left_of_checks(bench) == []
    await runtime.close()


@outside
async def test_a_check_that_nobody_asks_is_let_go(bench: Bench, make: MakeRuntime) -> None:
    runtime = bench.runtime(OBEDIENT, check=CHECK)
    asked: Future[Question | None] = Future()
    async with asyncio.TaskGroup() as group:
        output = group.create_task(runtime.check_when_asked(asked))
        await until(lambda: left_of_checks(bench) != [])
        asked.set_result(None)
    assert output.result().exit_code is None
    assert left_of_checks(bench) == []
    await runtime.close()


@outside
async def test_a_check_that_waits_ends_with_its_supervisor(bench: Bench, make: MakeRuntime) -> None:
    mark = f"waits-{secrets.token_hex(8)}"
    with doomed_supervisor(bench, f"read -r line; echo {mark}", "wait", "") as supervisor:
        assert supervisor.stdout is not None
        assert await asyncio.to_thread(supervisor.stdout.readline) == "go\n"
        await until(lambda: with_words(mark) != [])
        supervisor.kill()
    await until(lambda: with_words(mark) == [])


def with_words(words: str) -> list[str]:
    """The shells of this machine that were given them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes()
            if line.startswith((b"sh\0", b"/bin/sh\0")) and words.encode() in line:
                found.append(path.parent.name)
    return found


def left_of_checks(bench: Bench) -> list[str]:
    if isinstance(bench, DockerBench):
        return bench.checks()
    assert isinstance(bench, ProcessBench)
    return [path.name for path in bench.root.glob(".check-*")]


async def test_probe_tells_what_the_host_has(bench: Bench, make: MakeRuntime) -> None:
    probe = await make(OBEDIENT).probe()
    assert probe.is_up
    assert probe.cpus >= 1
    assert probe.memory_bytes > 100 << 20


async def test_live_trading_without_confirmation_is_refused(bench: Bench, make: MakeRuntime) -> None:
    runtime = make(OBEDIENT)
    spec = session(engine_type=EngineType.LIVE, trading_mode=TradingMode.LIVE)
    with pytest.raises(FaultError) as caught:
        await runtime.ensure(spec, LINE)
    assert code_of(caught) in (FaultCode.CONFIRMATION_REQUIRED, FaultCode.FORBIDDEN)
    assert await runtime.list() == ()
