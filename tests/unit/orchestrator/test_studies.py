"""Studies: the same parameters each time, windows that part the range, and what follows from results."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.backtest import Axis, BacktestConfig, BacktestStatus, StudyConfig, StudyKind
from flotilla.schemas.config import StrategyChoice
from flotilla.services.orchestrator.backtests.core.axes import choices
from flotilla.services.orchestrator.backtests.core.model import Study
from flotilla.services.orchestrator.backtests.core.study_plan import member_id, members, settle, step
from flotilla.services.orchestrator.backtests.core.study_ranking import Point, best, best_of
from flotilla.services.orchestrator.backtests.core.views import study_view
from flotilla.services.orchestrator.backtests.core.windows import windows
from tests.unit.orchestrator.makers import NOW
from tests.unit.orchestrator.test_backtest_plans import CROSS, SOURCES, config

MAX_TRIALS = 10_000

DONE, FAILED, PENDING = BacktestStatus.COMPLETED, BacktestStatus.FAILED, BacktestStatus.PENDING


def chosen(**more: Any) -> StudyConfig:
    values: dict[str, Any] = {"base": config(), "axes": {"fast": Axis(values=(3, 5))}}
    return StudyConfig(**values | more)


def study(**more: Any) -> Study:
    settled, errors = settle("s", chosen(**more), SOURCES.template_set, NOW)
    assert errors == []
    assert settled is not None
    return settled


def wrong(**more: Any) -> dict[str, str]:
    settled, errors = settle("s", chosen(**more), SOURCES.template_set, NOW)
    assert settled is None
    return {error.field: error.message for error in errors}


def points(*found: tuple[BacktestStatus, float | None]) -> dict[int, Point]:
    return {number: Point(number, f"s-{number:04}", *each) for number, each in enumerate(found, 1)}


def test_a_grid_is_every_combination_in_one_order() -> None:
    axes = {"slow": Axis(values=(10, 20)), "fast": Axis(low=1, high=2, step=1)}
    assert study(axes=axes).choices == (
        {"fast": 1, "slow": 10},
        {"fast": 1, "slow": 20},
        {"fast": 2, "slow": 10},
        {"fast": 2, "slow": 20},
    )


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 99))
def test_a_grid_has_the_product_of_its_axes_and_is_the_same_again(sizes: list[int], seed: int) -> None:
    axes = {f"p{index}": Axis(values=tuple(range(size))) for index, size in enumerate(sizes)}
    asked = chosen(axes=axes, seed=seed)
    found, errors = choices(asked, {})
    assert (errors, found) == ([], choices(asked, {})[0])
    distinct = {msgspec.json.encode(each) for each in found}
    product = 1
    for size in sizes:
        product *= size
    assert len(found) == len(distinct) == product


@given(st.integers(1, 40), st.integers(0, 1000))
def test_random_parameters_are_distinct_within_their_axes_and_the_same_for_a_seed(
    samples: int, seed: int
) -> None:
    axes = {"fast": Axis(low=1, high=9), "x": Axis(low=0.5, high=1.5), "y": Axis(low=0, high=1, step=0.25)}
    asked = chosen(kind=StudyKind.RANDOM, axes=axes, samples=samples, seed=seed)
    found, _ = choices(asked, CROSS.parameters)
    assert found == choices(asked, CROSS.parameters)[0]
    assert len({msgspec.json.encode(each) for each in found}) == len(found) == samples
    for each in found:
        assert isinstance(each["fast"], int)
        assert 1 <= each["fast"] <= 9
        assert 0.5 <= each["x"] <= 1.5
        assert each["y"] in (0, 0.25, 0.5, 0.75, 1)


def test_random_gives_what_there_is_when_more_is_asked_for() -> None:
    assert len(study(kind=StudyKind.RANDOM, samples=50).choices) == 2


def test_steps_are_decimal() -> None:
    found, _ = choices(chosen(axes={"x": Axis(low=0.1, high=0.3, step=0.1)}), {})
    assert [each["x"] for each in found] == [0.1, 0.2, 0.3]


def test_combinations_that_break_a_rule_are_left_out() -> None:
    assert study(axes={"fast": Axis(values=(5, 20, 30))}).choices == ({"fast": 5},)
    assert "every combination" in wrong(axes={"fast": Axis(values=(20, 30))})["config.axes"]


TWO = (
    StrategyChoice(template="ema_cross", parameters={"slow": 30}),
    StrategyChoice(strategy_path="m:Own", config_path="m:OwnConfig", config={"size": 1}),
)


def test_an_axis_of_one_strategy_of_several_names_it() -> None:
    base = config(strategy=None, strategies=TWO)
    axes = {"0.fast": Axis(values=(5, 40)), "1.size": Axis(values=(2, 3))}
    made = study(base=base, axes=axes)
    # The rule of the template holds for it: 40 is not less than 30.
    assert made.choices == ({"0.fast": 5, "1.size": 2}, {"0.fast": 5, "1.size": 3})
    last = members(made)[-1].config
    assert [one.given for one in last.strategies] == [{"slow": 30, "fast": 5}, {"size": 3}]
    assert [last.parameter(name) for name in axes] == [5, 3]
    assert last.parameter("7.size") is None


@pytest.mark.parametrize(
    ("base", "axis", "text"),
    [
        (config(), "0.fast", "a parameter's name alone"),
        (config(strategy=None, strategies=TWO), "fast", "must name its strategy, 0., 1."),
        (config(strategy=None, strategies=TWO), "2.fast", "must name its strategy"),
    ],
)
def test_an_axis_of_no_strategy_is_refused(base: BacktestConfig, axis: str, text: str) -> None:
    assert text in wrong(base=base, axes={axis: Axis(values=(1, 2))})[f"config.axes.{axis}"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"best_by": "luck"}, "config.best_by"),
        ({"axes": {"fast": Axis(low=1, high=2)}}, "config.axes.fast"),
        ({"axes": {"fast": Axis(low=1, high=MAX_TRIALS + 5, step=1)}}, "config.axes"),
        (
            {"kind": StudyKind.WALK_FORWARD, "folds": 100, "base": config(end_date="2000-01-01T00:00:30")},
            "config.folds",
        ),
    ],
)
def test_what_is_wrong_with_a_study_is_named(more: dict[str, Any], field: str) -> None:
    assert field in wrong(**more)


@given(st.integers(1, 20), st.floats(0.1, 0.9))
def test_windows_part_the_range_without_gap_or_overlap(folds: int, share: float) -> None:
    asked = chosen(kind=StudyKind.WALK_FORWARD, folds=folds, train_share=share)
    spans = [span for window in windows(asked) for span in (window.train, window.test)]
    assert len(spans) == 2 * folds
    assert spans[0][0] == asked.base.start_ns
    assert asked.base.end_ns - spans[-1][1] < 1_000
    for (_, end), (start, _) in pairwise(spans):
        assert start == end + 1_000


def test_the_backtests_of_a_walk_forward_cover_their_windows_to_the_microsecond() -> None:
    walk = study(kind=StudyKind.WALK_FORWARD, folds=2)
    for member in members(walk):
        window = walk.windows[(member.number - 1) // 3]
        assert (member.config.start_ns, member.config.end_ns) == window.train
    assert [member_id(walk, member.number) for member in members(walk)] == [
        "s-0001",
        "s-0002",
        "s-0004",
        "s-0005",
    ]


def test_a_fold_tries_its_best_once_all_of_it_has_ended() -> None:
    walk = study(kind=StudyKind.WALK_FORWARD, folds=1)
    assert step(walk, points((DONE, 1.0), (PENDING, None))).add == ()
    (due,) = step(walk, points((DONE, 1.0), (DONE, 2.0))).add
    assert (due.number, due.config.strategy_config) == (3, {"fast": 5})
    assert (due.config.start_ns, due.config.end_ns) == walk.windows[0].test
    assert step(walk, points((DONE, 1.0), (DONE, 2.0), (PENDING, None))).end is None
    assert step(walk, points((DONE, 1.0), (DONE, 2.0), (DONE, -1.0))).end is DONE
    found = best(walk, points((DONE, 1.0), (DONE, 2.0), (DONE, -1.0)))
    assert found is not None
    assert found.number == 3


def test_a_fold_without_a_result_has_nothing_to_try() -> None:
    walk = study(kind=StudyKind.WALK_FORWARD, folds=1)
    ended = step(walk, points((FAILED, None), (FAILED, None)))
    assert (ended.add, ended.end) == ((), FAILED)


def test_a_study_ends_when_all_have_ended_or_when_enough_is_known() -> None:
    assert step(study(), points((DONE, 1.0), (PENDING, None))).end is None
    assert step(study(), points((DONE, 1.0), (FAILED, None))).end is DONE
    enough = step(study(stop_after=1), points((DONE, 1.0), (PENDING, None)))
    assert (enough.end, enough.why) == (DONE, "stopped after 1 results")
    over = msgspec.structs.replace(study(), status=DONE)
    assert step(over, points((DONE, 1.0))).end is None


@pytest.mark.parametrize(("lowest", "number"), [(False, 2), (True, 1)])
def test_the_best_is_the_highest_or_the_lowest_and_of_equals_the_first(lowest: bool, number: int) -> None:
    found = best(study(lowest=lowest), points((DONE, 1.0), (DONE, 3.0), (DONE, 3.0), (FAILED, 9.0)))
    assert found is not None
    assert found.number == number


def test_a_view_counts_every_state() -> None:
    shown = study_view(study(), points((DONE, 1.0), (PENDING, None)).values(), None)
    assert (shown.status, shown.total) == (BacktestStatus.RUNNING, 2)
    assert shown.counts == {"pending": 1, "running": 0, "completed": 1, "failed": 0, "cancelled": 0}
    assert study_view(study(), points((PENDING, None)).values(), None).status is PENDING


def test_parameters_that_are_not_tried_are_counted() -> None:
    ruled_out = study(axes={"fast": Axis(values=(5, 50)), "slow": Axis(values=(10, 60))})
    assert study_view(ruled_out, (), None).left_out == 4 - len(ruled_out.choices) == 1
    few = study(kind=StudyKind.RANDOM, axes={"fast": Axis(values=(3, 5))}, samples=9)
    assert study_view(few, (), None).left_out == 7
    assert study_view(study(), (), None).left_out == 0


def test_the_best_is_sought_among_figures_of_the_newest_definition() -> None:
    done = BacktestStatus.COMPLETED
    older, newer = Point(1, "s-0001", done, 9.0), Point(2, "s-0002", done, 0.5, 2)
    worse = Point(3, "s-0003", done, 0.1, 2)
    assert best_of((older, worse, newer), lowest=False) == newer
    assert best_of((older, worse, newer), lowest=True) == worse
    assert best_of((older,), lowest=False) == older
