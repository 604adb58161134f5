"""The queue of trials on a real server: shared by workers, nothing lost with a taker, nobody else gets at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.queue import Taken, WorkQueue
from flotilla.schemas.backtest import TrialJob, TrialPlan
from flotilla.schemas.contract import TRIAL_CONSUMER, TRIAL_QUEUE
from flotilla.stack.servers.nats import NatsServer
from tests.integration.logins import engine_login

type Worker = Callable[..., Awaitable[WorkQueue[TrialJob]]]

PLAN = TrialPlan(venues=(), data=(), instruments=(), strategies=(), start_ns=0, end_ns=1)


def order(number: int) -> TrialJob:
    return TrialJob(backtest_id=f"b-{number}", plan=PLAN)


async def put(bus: Bus, count: int) -> None:
    for number in range(count):
        await bus.publish_durable(TRIAL_QUEUE, order(number), message_id=f"b-{number}")


@pytest.fixture
async def worker(bus: Bus, nats: NatsServer) -> AsyncIterator[Worker]:
    """Takers with the credential of a worker, or of a plain engine."""
    await WorkQueue(bus, TRIAL_QUEUE, TRIAL_CONSUMER).ensure()
    made: list[Bus] = []

    async def make(name: str, *, is_worker: bool = True) -> WorkQueue[TrialJob]:
        made.append(await connect(engine_login(nats, name, is_worker=is_worker)))
        return WorkQueue(made[-1], TRIAL_QUEUE, TRIAL_CONSUMER)

    yield make
    for one in made:
        await one.close()


async def taken(queue: WorkQueue[TrialJob], timeout_s: float = 15.0) -> Taken:
    async with asyncio.timeout(timeout_s):
        while (found := await queue.take(1.0)) is None:
            pass
    return found


async def test_each_piece_of_work_goes_to_one_worker(bus: Bus, worker: Worker) -> None:
    await put(bus, 20)
    queues = [await worker(f"w-{number}") for number in range(3)]

    async def work(queue: WorkQueue[TrialJob]) -> list[bytes]:
        done = []
        while (found := await queue.take(1.0)) is not None:
            done.append(found.data)
            await found.done()
        return done

    done = await asyncio.gather(*(work(queue) for queue in queues))
    assert len([data for each in done for data in each]) == 20
    assert len({data for each in done for data in each}) == 20


async def test_what_is_given_back_comes_again_and_its_attempts_are_counted(bus: Bus, worker: Worker) -> None:
    await put(bus, 1)
    queue = await worker("w-1")
    first = await taken(queue)
    await first.give_back(0.1)
    second = await taken(queue)
    assert (first.attempt, second.attempt, first.data == second.data) == (1, 2, True)
    await second.done()
    assert await queue.take(0.5) is None


async def test_a_taker_is_there_before_its_work(bus: Bus, worker: Worker) -> None:
    queue = await worker("w-1")
    waiting = asyncio.get_running_loop().create_task(taken(queue), name="waiting")
    await put(bus, 1)
    assert (await waiting).attempt == 1


async def test_the_queue_survives_the_servers_death(bus: Bus, worker: Worker, nats: NatsServer) -> None:
    await put(bus, 3)
    queue = await worker("w-1")
    await (await taken(queue)).done()
    nats.kill()
    nats.start()
    left = [await taken(queue, 30), await taken(queue, 30)]
    assert len({one.data for one in left}) == 2


async def test_a_plain_engine_gets_no_work(bus: Bus, worker: Worker) -> None:
    await put(bus, 1)
    queue = await worker("e-1", is_worker=False)
    assert await queue.take(1.0) is None
    assert (await taken(await worker("w-1"))).attempt == 1
