"""Studies through the whole chain, also when some of their backtests kill what runs them."""

import os
import signal

import msgspec
import pytest

from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    Axis,
    BacktestStatus,
    BacktestView,
    ListBacktests,
    ListStudies,
    ResultPart,
    StudyConfig,
    StudyKind,
    TrialFailure,
    WhichStudy,
)
from flotilla.schemas.fault import FaultCode, FaultError
from tests.integration.backtest_bench import BacktestBench, backtests, chosen, misbehaving, until
from tests.integration.test_replay_equals_backtest import catalog

__all__ = ["backtests", "catalog"]

POISON = tuple(os.environ.get("FLOTILLA_POISON", "kill").split(","))
"""What the bad ones do."""


def _total_return(view: BacktestView) -> float:
    assert view.metrics is not None
    return view.metrics.total_return or 0.0


async def test_poison_ends_after_so_many_tries_and_takes_no_other_along(backtests: BacktestBench) -> None:
    ways = StudyConfig(base=misbehaving("kill"), axes={"how": Axis(values=POISON)})
    await backtests.study("poison", ways)
    axes = {"fast_ema_period": Axis(values=(3, 5, 8, 40)), "slow_ema_period": Axis(low=20, high=40, step=10)}
    asked = await backtests.study("grid", StudyConfig(base=chosen(end_date="2010-12-31"), axes=axes))
    assert asked.total == 9  # a fast average of 40 bars is not faster than any of the slow ones
    poison = await until(
        lambda: backtests.of_study("poison"), lambda view: view.status.is_final, within_s=120
    )
    assert (poison.status, poison.counts["failed"]) == (BacktestStatus.FAILED, len(POISON))
    for number in range(1, len(POISON) + 1):
        view = await backtests.get(f"poison-{number:04}")
        assert (view.reason, view.attempts) == (TrialFailure.POISON, 5)
        assert "begun 5 times, and each time its process or its worker was killed" in (view.error or "")
    study = await until(lambda: backtests.of_study("grid"), lambda view: view.status.is_final)
    assert study.status is BacktestStatus.COMPLETED
    assert study.counts["completed"] == study.total == 9
    assert study.best is not None
    listed = await backtests.operator.call(contract.BACKTEST_LIST, ListBacktests(study_id="grid"))
    assert [view.backtest_id for view in listed.backtests] == [f"grid-{n:04}" for n in range(9, 0, -1)]
    ratios = [view.metrics.sharpe_ratio or 0.0 for view in listed.backtests if view.metrics]
    assert study.best.metrics is not None
    assert study.best.metrics.sharpe_ratio == max(ratios)
    assert set(backtests.endings().values()) == {1}
    with pytest.raises(FaultError, match="is completed already") as raised:
        await backtests.operator.call(contract.STUDY_CANCEL, WhichStudy(study_id="grid"))
    assert raised.value.fault.code == FaultCode.CONFLICT


async def test_a_study_of_grids_ranks_them_as_their_equity_does(backtests: BacktestBench) -> None:
    axes = {"spacing_percent": Axis(values=(1.0, 2.0, 5.0))}
    base = chosen(strategy="grid", base_currency=None)
    config = StudyConfig(base=base, axes=axes, best_by="total_return")
    await backtests.study("grids", config)
    study = await until(lambda: backtests.of_study("grids"), lambda view: view.status.is_final)
    listed = await backtests.operator.call(contract.BACKTEST_LIST, ListBacktests(study_id="grids"))
    worth, realized = {}, {}
    for view in listed.backtests:
        curve = await backtests.part(view.backtest_id, ResultPart.EQUITY_CURVE)
        worth[view.backtest_id] = curve[-1]["equity"]
        assert view.currency == "USD"
        assert view.summary is not None
        realized[view.backtest_id] = view.summary.nautilus_statistics.total_return
        assert view.summary.positions_open == 1, "so that what is realized is not what it is worth"
    assert len(set(worth.values())) == 3
    assert study.best is not None
    assert study.best.backtest_id == max(worth, key=lambda name: worth[name])
    assert sorted(worth, key=lambda name: worth[name]) != sorted(
        realized, key=lambda name: realized[name] or 0
    )


async def test_workers_go_on_with_what_is_queued_while_the_orchestrator_is_away(
    backtests: BacktestBench,
) -> None:
    axes = {"fast_ema_period": Axis(values=(3, 5, 8)), "slow_ema_period": Axis(low=20, high=50, step=10)}
    await backtests.study("long", StudyConfig(base=chosen(), axes=axes))
    await until(lambda: backtests.of_study("long"), lambda view: view.counts["completed"] > 0)
    backtests.end("orchestrator", signal.SIGKILL)
    before = len(backtests.pids)

    async def begun_since() -> int:
        return len(backtests.pids) - before

    await until(begun_since, lambda count: count >= 5)
    backtests.start("orchestrator")
    study = await until(lambda: backtests.of_study("long"), lambda view: view.status.is_final)
    assert (study.status, study.counts["completed"]) == (BacktestStatus.COMPLETED, 12)
    assert set(backtests.endings().values()) == {1}


async def test_a_walk_forward_tries_the_best_of_each_fold_and_a_cancel_ends_a_study(
    backtests: BacktestBench,
) -> None:
    axes = {"fast_ema_period": Axis(values=(5, 10))}
    walk = StudyConfig(kind=StudyKind.WALK_FORWARD, base=chosen(), axes=axes, folds=2, best_by="total_return")
    assert (await backtests.study("walk", walk)).total == 6
    done = await until(lambda: backtests.of_study("walk"), lambda view: view.status.is_final)
    assert (done.status, done.counts["completed"]) == (BacktestStatus.COMPLETED, 6)
    trained = [await backtests.get(f"walk-{number:04}") for number in (1, 2)]
    tried = await backtests.get("walk-0003")
    best = max(trained, key=_total_return)
    assert tried.config.strategy_config == best.config.strategy_config
    assert tried.config.start_ns == trained[0].config.end_ns + 1_000
    assert done.best is not None
    assert done.best.backtest_id in ("walk-0003", "walk-0006")

    base = misbehaving("loop")
    hanging = StudyConfig(base=base, axes={"order_id_tag": Axis(values=tuple(f"{n:03}" for n in range(6)))})
    await backtests.study("hang", hanging)
    await until(lambda: backtests.of_study("hang"), lambda view: view.counts["running"] > 0)
    ended = await backtests.operator.call(contract.STUDY_CANCEL, WhichStudy(study_id="hang"))
    again = await backtests.operator.call(contract.STUDY_CANCEL, WhichStudy(study_id="hang"))
    assert (again.status, again.completed_at) == (ended.status, ended.completed_at)
    assert ended.status is BacktestStatus.CANCELLED
    assert ended.counts["cancelled"] == 6
    newest = await backtests.operator.call(contract.STUDY_LIST, ListStudies(limit=1))
    rest = await backtests.operator.call(contract.STUDY_LIST, ListStudies(cursor=newest.next))
    assert [[one.study_id for one in page.studies] for page in (newest, rest)] == [["hang"], ["walk"]]
    assert rest.next is None
    wrong = msgspec.structs.replace(walk, best_by="luck")
    with pytest.raises(FaultError, match="best_by"):
        await backtests.study("wrong", wrong)
