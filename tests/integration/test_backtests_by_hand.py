"""An orchestrator whose worker is the test: pieces that mix, workers out of reach, a queue that was lost."""

import hashlib
import time
import zlib
from typing import Any

import msgspec
import pytest

from flotilla.bus.queue import WorkQueue
from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestStatus,
    BacktestView,
    CancelTrial,
    ClaimTrial,
    Outcome,
    ReadResult,
    ResultPart,
    RunBacktest,
    TrialBeat,
    TrialClaimed,
    TrialEvent,
    TrialGone,
    TrialJob,
    TrialPart,
    TrialProgress,
    WhichBacktest,
)
from flotilla.schemas.contract import TRIAL_CONSUMER, TRIAL_QUEUE
from flotilla.schemas.fault import FaultCode
from tests.integration.orchestrator_bench import Actor, Bench, refused, until
from tests.unit.orchestrator.test_backtest_results import fill
from tests.unit.orchestrator.test_backtest_turns import outcome

CONFIG = BacktestConfig(
    strategy="ema_cross", start_date="2000-01-03", end_date="2001-12-31", instruments=("SPX.SIM",)
)


async def run(bench: Bench, backtest_id: str = "bt-1") -> None:
    await bench.call(contract.BACKTEST_RUN, RunBacktest(backtest_id=backtest_id, config=CONFIG))


async def claim(bench: Bench, worker: str = "w1", attempt: int = 1) -> TrialClaimed:
    request = ClaimTrial(backtest_id="bt-1", worker=worker, session_id=f"s-{worker}", attempt=attempt)
    return await bench.call(contract.TRIAL_CLAIM, request)


async def get(bench: Bench) -> BacktestView:
    return await bench.call(contract.BACKTEST_GET, WhichBacktest(backtest_id="bt-1"))


def parts(packed: bytes) -> list[TrialPart]:
    half = len(packed) // 2
    digest = hashlib.sha256(packed).hexdigest()
    pieces = enumerate((packed[:half], packed[half:]))
    return [TrialPart(index=index, count=2, sha256=digest, data=data) for index, data in pieces]


def packed(one: Outcome) -> bytes:
    return zlib.compress(msgspec.json.encode(one))


async def tell(bench: Bench, data: Any, attempt: int, worker: str = "w1") -> None:
    event = TrialEvent(backtest_id="bt-1", attempt=attempt, at_ns=time.time_ns(), data=data)
    await bench.operator.publish_durable(
        contract.TRIAL_EVENT, event, message_id=f"{time.time_ns()}", instance_id=worker
    )


async def status(bench: Bench, wanted: BacktestStatus) -> BacktestView:
    return await until(lambda: get(bench), lambda view: view.status is wanted, within_s=30)


async def test_pieces_of_two_attempts_never_mix_and_a_result_counts_once(bench: Bench) -> None:
    heard: list[BacktestView] = []

    async def hear(view: BacktestView, _: object) -> None:
        heard.append(view)

    await bench.operator.listen(contract.FLEET_BACKTEST, hear)
    await run(bench)
    queue = WorkQueue[TrialJob](bench.operator, TRIAL_QUEUE, TRIAL_CONSUMER)
    taken = await until(lambda: queue.take(1.0), lambda found: found is not None, within_s=30)
    assert taken is not None
    assert msgspec.json.decode(taken.data, type=TrialJob).backtest_id == "bt-1"
    assert (await claim(bench)).is_wanted
    assert not (await claim(bench, "w2", 2)).is_wanted
    bench.later(11)
    assert (await claim(bench, "w2", 2)).is_wanted

    first = parts(packed(outcome(fills=(fill(1),))))
    second = parts(packed(outcome(fills=(fill(1), fill(2)))))
    await tell(bench, first[0], 1)
    await tell(bench, second[1], 2, "w2")
    await tell(bench, second[1], 2, "w2")
    assert (await get(bench)).status is BacktestStatus.RUNNING
    await tell(bench, second[0], 2, "w2")
    done = await status(bench, BacktestStatus.COMPLETED)
    await tell(bench, first[1], 1)
    assert await taken.done()
    page = await bench.call(contract.BACKTEST_RESULT, ReadResult(backtest_id="bt-1", part=ResultPart.FILLS))
    assert page.total == 2
    assert not (await claim(bench, "w3", 3)).is_wanted
    assert await get(bench) == done
    assert [view.status for view in heard if view.status.is_final] == [BacktestStatus.COMPLETED]


async def test_a_result_that_cannot_be_read_is_a_failure(bench: Bench) -> None:
    await run(bench)
    assert (await claim(bench)).is_wanted
    await tell(bench, TrialPart(index=0, count=1, sha256="0" * 64, data=b"x"), 1)
    failed = await status(bench, BacktestStatus.FAILED)
    assert failed.error is not None
    assert "SHA-256" in failed.error


async def test_a_cancel_that_was_not_confirmed_says_so_and_is_made_good_when_the_worker_comes_back(
    bench: Bench,
) -> None:
    await run(bench)
    assert (await claim(bench)).is_wanted
    which = WhichBacktest(backtest_id="bt-1")
    told = await refused(bench, contract.BACKTEST_CANCEL, which)
    assert told.code == FaultCode.OUTCOME_UNKNOWN
    assert "not confirmed" in told.message
    cancelled = await get(bench)
    assert cancelled.status is BacktestStatus.CANCELLED
    assert cancelled.error is not None
    assert "w1" in cancelled.error

    asked: list[str] = []

    async def cancel(order: CancelTrial) -> TrialGone:
        asked.append(order.backtest_id)
        return TrialGone(backtest_id=order.backtest_id, pid=1, milliseconds=1.0)

    await bench.operator.serve(contract.COMMAND_CANCEL_TRIAL, cancel, instance_id="w1")
    progress = TrialProgress(events=1, total=2, simulated_ns=1, events_per_s=1.0)
    beat = TrialBeat(backtest_id="bt-1", attempt=1, worker="w1", progress=progress)

    async def told_to_cancel() -> list[str]:
        await bench.operator.publish(contract.TRIAL_BEAT, beat, instance_id="w1")
        return asked

    assert await until(told_to_cancel, within_s=30) == ["bt-1"]
    again = await bench.call(contract.BACKTEST_CANCEL, which)
    assert (again.status, again.error) == (BacktestStatus.CANCELLED, None)
    assert again.cancelled_at == cancelled.cancelled_at


async def test_progress_is_live_and_told_to_the_fleet(bench: Bench) -> None:
    heard: list[BacktestView] = []

    async def hear(view: BacktestView, _: object) -> None:
        heard.append(view)

    await bench.operator.listen(contract.FLEET_PROGRESS, hear)
    await run(bench)
    assert (await claim(bench)).is_wanted
    progress = TrialProgress(events=1, total=4, simulated_ns=1, events_per_s=1.0, remaining_s=3.0)
    for _ in range(20):
        beat = TrialBeat(backtest_id="bt-1", attempt=1, worker="w1", progress=progress)
        await bench.operator.publish(contract.TRIAL_BEAT, beat, instance_id="w1")
    shown = await until(lambda: get(bench), lambda view: view.progress > 0)
    assert (shown.progress, shown.trial) == (25.0, progress)
    assert len(heard) <= 2
    assert heard[0].progress == 25.0


async def test_what_the_queue_lost_is_queued_again(bench: Bench) -> None:
    await run(bench)
    queue = WorkQueue[TrialJob](bench.operator, TRIAL_QUEUE, TRIAL_CONSUMER)

    async def lose() -> bool:
        taken = await queue.take(1.0)
        return taken is not None and await taken.done()  # and nobody ever claims it

    await until(lose, within_s=30)
    assert await queue.left() == 0

    async def again() -> bool:
        bench.later(3)
        return await queue.take(1.0) is not None

    await until(again, within_s=30)


@pytest.mark.parametrize("cursor", ["x", "2026-01-01~1~a", "2026-01-01T00:00:00+00:00~1~../x"])
async def test_a_cursor_that_nobody_gave_is_refused(bench: Bench, cursor: str) -> None:
    request = msgspec.convert({"cursor": cursor}, contract.BACKTEST_LIST.request)
    assert (await refused(bench, contract.BACKTEST_LIST, request)).errors[0].field == "cursor"


async def test_an_orchestrator_that_comes_after_goes_on(idle: Bench, connect_as: Any) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await run(idle)
        assert (await claim(idle)).is_wanted
        await tell(idle, parts(packed(outcome()))[0], 1)
    await tell(idle, parts(packed(outcome()))[1], 1)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert (await status(idle, BacktestStatus.COMPLETED)).attempts == 1
