"""Walk forwards with real trials: no choice sees what comes after its window, and a killed orchestrator goes on where it was."""

import math
import signal
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any, Final

import pytest

from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    Axis,
    BacktestConfig,
    BacktestStatus,
    ListBacktests,
    ResultPart,
    StudyConfig,
    StudyKind,
    WhichStudy,
    WindowKind,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.walk_forward import WalkForward
from flotilla.services.orchestrator.backtests.core.model import Study
from flotilla.services.orchestrator.backtests.core.study_plan import choice_of, members
from flotilla.services.orchestrator.backtests.core.study_ranking import Point
from flotilla.services.orchestrator.backtests.core.windows import windows
from tests import marked_catalog
from tests.engine_processes import ema_cross
from tests.integration.backtest_bench import BacktestBench, backtests, chosen, patiently, until
from tests.integration.test_marked_equity import Trials
from tests.integration.test_replay_equals_backtest import catalog
from tests.unit.orchestrator.makers import NOW

__all__ = ["backtests", "catalog"]

DAILY: Final = "EVERYDAY.SIM"
FASTS: Final = (2, 4, 7, 11)
BASE: Final = BacktestConfig(
    strategy="ema_cross", start_date="2020-01-01", end_date="2021-05-14", instruments=(DAILY,)
)
AXES: Final = {"fast_ema_period": Axis(values=FASTS)}


def walk(kind: WindowKind, base: BacktestConfig = BASE, **more: Any) -> StudyConfig:
    values: dict[str, Any] = {"in_sample_days": 200, "out_of_sample_days": 100, "best_by": "total_return"}
    return StudyConfig(kind=StudyKind.WALK_FORWARD, base=base, axes=AXES, windows=kind, **{**values, **more})


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trials, Trials]]:
    """Trials on two catalogs that are the same up to the end of the first window's sample, and other ones after it."""
    end = windows(walk(WindowKind.ROLLING))[0].train[1]
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    for folder, other_after in zip(folders, (None, end), strict=True):
        marked_catalog.write(folder, other_after=other_after)
    with closing(Trials(folders[0])) as one, closing(Trials(folders[1])) as other:
        yield one, other


def ran(trials: Trials, config: BacktestConfig) -> Any:
    """A backtest of a walk forward that asks for the past before its window."""
    given = {"fast_ema_period": 3, **config.strategy_config}
    strategy = ema_cross(
        instrument_id=DAILY,
        bar_type=marked_catalog.bar_type(DAILY),
        slow_ema_period=13,
        trade_size="3000",
        request_bars=True,
        **given,
    )
    span = {"start_ns": config.start_ns, "end_ns": config.end_ns}
    return trials.run(DAILY, strategy, **span, warm_up=True)


@pytest.mark.parametrize("kind", [WindowKind.ROLLING, WindowKind.ANCHORED])
def test_what_comes_after_a_window_cannot_change_what_it_chooses(
    two: tuple[Trials, Trials], kind: WindowKind
) -> None:
    config = walk(kind)
    study = Study(
        study_id="s",
        config=config,
        created_at=NOW,
        choices=tuple({"fast_ema_period": each} for each in FASTS),
        windows=windows(config),
    )
    first = members(study)[: len(FASTS)]
    results = [[ran(trials, each.config) for each in first] for trials in two]
    for one, other in zip(*results, strict=True):
        assert one["fills"]
        assert one["summary"]["unanswered_requests"] == 0
        for part in ("fills", "orders", "equity_curve", "metrics", "summary", "balances", "events"):
            assert one[part] == other[part]
    chosen_of = []
    for found in results:
        points = {
            each.number: Point(each.number, "", BacktestStatus.COMPLETED, result["metrics"]["total_return"])
            for each, result in zip(first, found, strict=True)
        }
        assert len({point.value for point in points.values()}) > 1, "so that there is something to choose"
        chosen_of.append(choice_of(study, 0, points))
    assert chosen_of[0] == chosen_of[1] is not None
    # The next window's sample reaches beyond, so that the test could have failed.
    after = members(study)[len(FASTS)]
    one, other = (ran(trials, after.config)["equity_curve"][-1]["equity"] for trials in two)
    assert one != other


async def stood(bench: BacktestBench, study_id: str) -> WalkForward:
    request = WhichStudy(study_id=study_id)
    return await patiently(lambda: bench.operator.call(contract.STUDY_WALK_FORWARD, request))


async def test_an_orchestrator_killed_on_the_way_goes_on_and_the_pieces_are_one_curve(
    backtests: BacktestBench,
) -> None:
    axes = {"fast_ema_period": Axis(values=(3, 8, 15))}
    config = StudyConfig(
        kind=StudyKind.WALK_FORWARD,
        base=chosen(),
        axes=axes,
        windows=WindowKind.ROLLING,
        in_sample_days=365,
        out_of_sample_days=182,
        best_by="total_return",
    )
    asked = await backtests.study("roll", config)
    assert (asked.folds, asked.total) == (5, 20)
    await until(
        lambda: stood(backtests, "roll"), lambda found: any(each.is_stitched for each in found.windows)
    )
    backtests.end("orchestrator", signal.SIGKILL)
    backtests.start("orchestrator")
    done = await until(lambda: backtests.of_study("roll"), lambda view: view.status.is_final)
    assert (done.status, done.counts["completed"]) == (BacktestStatus.COMPLETED, 20)
    assert set(backtests.endings().values()) == {1}
    listed = await backtests.operator.call(contract.BACKTEST_LIST, ListBacktests(study_id="roll"))
    views = {view.backtest_id: view for view in listed.backtests}
    found = await stood(backtests, "roll")
    assert all(each.is_stitched for each in found.windows)
    equity, highest, deepest = 1_000_000.0, 1_000_000.0, 0.0
    for each in found.windows:
        assert each.chosen is not None
        assert each.tried is not None
        inside = [views[f"roll-{number:04}"] for number in range(4 * each.number - 3, 4 * each.number)]
        returns = [view.metrics.total_return for view in inside if view.metrics]
        assert (max(returns, key=lambda one: one or 0), each.chosen) == (
            each.in_sample,
            inside[returns.index(each.in_sample)].backtest_id,
        )
        assert views[each.tried].config.strategy_config == each.parameters
        curve = await backtests.part(each.tried, ResultPart.EQUITY_CURVE, limit=5_000)
        for point in curve:
            now = equity * point["equity"] / curve[0]["equity"]
            highest, deepest = max(highest, now), min(deepest, now / max(highest, now) - 1)
        equity = now
    assert found.figures is not None
    assert found.figures.final_equity == pytest.approx(equity)
    assert found.figures.max_drawdown == pytest.approx(deepest)
    assert found.figures.total_return == pytest.approx(
        math.prod(1 + (each.total_return or 0) for each in found.windows) - 1
    )
    assert found.figures.sharpe_ratio is not None
    assert [each.at_ns for each in found.curve] == sorted(each.at_ns for each in found.curve)
    assert (found.currency, found.unanswered_requests > 0) == ("USD", True)
    for one, after in pairwise(found.windows):
        assert after.out_of_sample_start_ns == one.out_of_sample_end_ns + 1_000
        assert bool(after.changed) == (after.parameters != one.parameters)

    await backtests.study("plain", StudyConfig(base=chosen(end_date="2000-12-31"), axes=axes))
    with pytest.raises(FaultError, match="it is a grid and no walk_forward") as raised:
        await stood(backtests, "plain")
    assert raised.value.fault.code == FaultCode.CONFLICT
