"""What a stop is answered, and when: once its engine has taken it, or with the word that this is not known."""

import asyncio
import time

from flotilla.schemas import contract
from flotilla.schemas.engine import EngineAccepted, StopEngine
from flotilla.schemas.states import ClientState, RunState, StopPolicy
from tests.integration.orchestrator_bench import Bench, bench, idle, until

__all__ = ["bench", "idle"]

MORE_THAN_WAIT_FOR_ONE = 80


async def stop(bench: Bench, request_id: str, instance_id: str = "e1") -> EngineAccepted:
    request = StopEngine(instance_id=instance_id, request_id=request_id)
    return await bench.call(contract.ENGINE_STOP, request)


async def test_a_stop_is_answered_once_its_engine_has_taken_it(bench: Bench) -> None:
    engine = await bench.trading()
    engine.may_answer.clear()

    async def commands() -> list[object]:
        return list(engine.commands)

    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(stop(bench, "r1"))
        again = tasks.create_task(stop(bench, "r1"))
        await until(commands)
        assert not answer.done()
        assert not again.done()
        engine.may_answer.set()
    assert (answer.result().is_taken, answer.result().state) == (True, ClientState.STOPPING)
    assert again.result() == answer.result()
    assert len(engine.commands) == 1
    # Whoever stops it again, and asks the same question again, hears the same.
    assert (await stop(bench, "r2")).is_taken is True
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)
    assert await stop(bench, "r1") == answer.result()


async def test_a_stop_that_nobody_takes_in_time_is_accepted_and_says_that_it_is_not_known(
    bench: Bench,
) -> None:
    engine = await bench.trading()
    engine.may_answer.clear()
    began = time.monotonic()
    answer = await stop(bench, "r1")
    assert 1.9 < time.monotonic() - began < 4
    assert (answer.is_taken, answer.state) == (False, ClientState.STOPPING)
    assert answer.message == (
        "engine e1 is stopping; it has not taken the stop yet as far as is known, and orders may leave it until it has"
    )
    engine.may_answer.set()
    assert (await stop(bench, "r2")).is_taken is True
    # What was said once is said again, also when more is known by now.
    assert await stop(bench, "r1") == answer


async def test_a_sidecar_that_took_a_stop_is_asked_again_whether_its_engine_has(bench: Bench) -> None:
    engine = await bench.trading()
    engine.does_take = False
    assert (await stop(bench, "r1")).is_taken is False
    engine.does_take = True
    assert (await stop(bench, "r2")).is_taken is True
    assert len(engine.commands) == 2


async def test_stops_that_wait_for_a_silent_engine_keep_no_other_waiting(bench: Bench) -> None:
    silent = await bench.trading("e1")
    await bench.trading("e2")
    silent.may_answer.clear()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(stop(bench, f"r{n}", "e1")) for n in range(MORE_THAN_WAIT_FOR_ONE)]
        answer = await stop(bench, "other", "e2")
        assert answer.is_taken is True
        assert not any(each.done() for each in waiting)
    assert {each.result().is_taken for each in waiting} == {False}


async def test_a_stop_before_the_start_has_a_host_is_taken_at_once(bench: Bench) -> None:
    bench.host.is_in_sight = False
    bench.later(60)
    await bench.start()
    began = time.monotonic()
    answer = await stop(bench, "r1")
    assert (answer.is_taken, answer.state) == (True, ClientState.STOPPED)
    assert time.monotonic() - began < 1.5


async def test_a_sidecar_from_before_a_stop_could_say_how_long_it_has_is_stopped_by_its_policy_too(
    bench: Bench,
) -> None:
    engine = await bench.trading()
    engine.is_from_before = True
    request = StopEngine(instance_id="e1", policy=StopPolicy.LEAVE, request_id="r1")
    assert (await bench.call(contract.ENGINE_STOP, request)).is_taken is True
    assert [(command.policy, command.timeout_s) for command in engine.commands] == [(StopPolicy.LEAVE, None)]
