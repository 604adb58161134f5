"""Backtests through the whole chain: asked for, queued, run by a real worker, their results whole."""

import pytest

from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    CompareBacktests,
    ListBacktests,
    ResultPart,
    TrialFailure,
    VerifyBacktest,
    WhichBacktest,
)
from flotilla.schemas.fault import FaultCode, FaultError
from tests.integration.backtest_bench import BacktestBench, backtests, chosen, misbehaving, until
from tests.integration.test_replay_equals_backtest import catalog
from tests.integration.test_worker import is_alive

__all__ = ["backtests", "catalog"]


async def verified(bench: BacktestBench, backtest_id: str, verify_id: str) -> BacktestVerdict:
    ask = VerifyBacktest(backtest_id=backtest_id, verify_id=verify_id)
    return await until(
        lambda: bench.operator.call(contract.BACKTEST_VERIFY, ask),
        lambda verdict: verdict.is_equal is not None,
    )


async def test_a_backtest_runs_and_its_result_is_read_in_parts(backtests: BacktestBench) -> None:
    asked = await backtests.run("bt-1", request_id="r1")
    assert asked.status is BacktestStatus.PENDING
    again = await backtests.run("bt-1", request_id="r1")
    assert again.created_at == asked.created_at
    with pytest.raises(FaultError, match="already") as raised:
        await backtests.run("bt-1", request_id="r2")
    assert raised.value.fault.code == FaultCode.CONFLICT

    done = await backtests.status("bt-1", BacktestStatus.COMPLETED, BacktestStatus.FAILED)
    assert done.status is BacktestStatus.COMPLETED, done
    assert (done.progress, done.attempts, done.host, done.worker) == (100.0, 1, "h1", "worker-h1")
    assert done.metrics is not None
    fills = await backtests.part("bt-1", ResultPart.FILLS)
    assert len(fills) > 20
    assert await backtests.part("bt-1", ResultPart.FILLS, offset=5, limit=2) == fills[5:7]
    (manifest,) = await backtests.part("bt-1", ResultPart.MANIFEST)
    assert manifest["host"] == "h1"
    assert len(await backtests.part("bt-1", ResultPart.TRADES)) == done.metrics.total_trades
    assert [view.status for view in backtests.views][-1] is BacktestStatus.COMPLETED
    assert done.metrics.beta is not None
    with pytest.raises(FaultError, match="has completed at"):
        await backtests.cancel("bt-1")

    request = VerifyBacktest(backtest_id="bt-1")
    begun = await backtests.operator.call(contract.BACKTEST_VERIFY, request)
    assert begun.verify_id == "bt-1-verify-1"

    verdict = await verified(backtests, "bt-1", begun.verify_id)
    assert (verdict.is_equal, verdict.fills_compared) == (True, len(fills)), verdict

    await backtests.run(
        "bt-2", chosen(strategy_config={"fast_ema_period": 5}, commission=1.5, latency_ms=10.0)
    )
    await backtests.status("bt-2", BacktestStatus.COMPLETED)
    ids = CompareBacktests(backtest_ids=("bt-1", "bt-2"))
    compared = await backtests.operator.call(contract.BACKTEST_COMPARE, ids)
    assert compared.parameters["strategy_config.fast_ema_period"] == (None, 5)
    assert (await backtests.part("bt-2", ResultPart.FEES))[0]["USD"] != "0"
    listed = await backtests.operator.call(contract.BACKTEST_LIST, ListBacktests(limit=2))
    assert [view.backtest_id for view in listed.backtests] == ["bt-2", "bt-1-verify-1"]
    assert listed.total_count == 3
    rest = await backtests.operator.call(contract.BACKTEST_LIST, ListBacktests(cursor=listed.next))
    assert [view.backtest_id for view in rest.backtests] == ["bt-1"]

    which = WhichBacktest(backtest_id="bt-1", request_id="r3")
    gone = await backtests.operator.call(contract.BACKTEST_REMOVE_RESULT, which)
    assert (gone.is_result_gone, gone.metrics) == (True, done.metrics)
    assert await backtests.operator.call(contract.BACKTEST_REMOVE_RESULT, which) == gone
    for ask in (backtests.part("bt-1", ResultPart.FILLS), _removed(backtests, "bt-1")):
        with pytest.raises(FaultError, match="was deleted") as raised:
            await ask
        assert raised.value.fault.code == FaultCode.NOT_FOUND
    assert (await backtests.get("bt-1")).is_result_gone
    assert not (await backtests.get("bt-2")).is_result_gone
    assert await backtests.part("bt-2", ResultPart.FEES)


async def _removed(bench: BacktestBench, backtest_id: str) -> BacktestView:
    return await bench.operator.call(contract.BACKTEST_REMOVE_RESULT, WhichBacktest(backtest_id=backtest_id))


async def test_a_running_backtest_is_cancelled_and_its_process_is_gone(backtests: BacktestBench) -> None:
    await backtests.run("early")
    assert (await backtests.cancel("early")).status is BacktestStatus.CANCELLED
    await backtests.run("bt-1", misbehaving("loop"))
    running = await until(
        lambda: backtests.get("bt-1"), lambda view: view.status is BacktestStatus.RUNNING and bool(view.host)
    )
    assert running.worker == "worker-h1"
    assert is_alive(backtests.pids["bt-1"])
    cancelled = await backtests.cancel("bt-1")
    assert cancelled.status is BacktestStatus.CANCELLED
    assert cancelled.error is None
    assert not is_alive(backtests.pids["bt-1"])
    assert await backtests.cancel("bt-1") == cancelled
    await backtests.run("bt-2")
    await backtests.status("bt-2", BacktestStatus.COMPLETED)
    assert (await backtests.get("early")).status is BacktestStatus.CANCELLED


@pytest.mark.parametrize(("how", "reason"), [("raise", TrialFailure.STRATEGY), ("exit", TrialFailure.CRASH)])
async def test_a_backtest_that_fails_says_why(
    backtests: BacktestBench, how: str, reason: TrialFailure
) -> None:
    await backtests.run("bad", misbehaving(how))
    failed = await backtests.status("bad", BacktestStatus.FAILED)
    assert (failed.reason, failed.attempts) == (reason, 1)
    assert failed.error
