"""Walk forwards: where windows lie, that no choice looks ahead, and what the choices earn one after the other."""

import math
from datetime import UTC, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.records import DAY_NS, START_NS, SUMMARY, curve, point
from flotilla.schemas.backtest import Axis, BacktestStatus, EquityPoint, StudyConfig, StudyKind, WindowKind
from flotilla.schemas.performance import Sample, performance
from flotilla.schemas.walk_forward import MAX_STITCHED_POINTS
from flotilla.services.orchestrator.backtests.core.model import Backtest, Facts, Study
from flotilla.services.orchestrator.backtests.core.stitching import stitched, tried_ids, walk_forward
from flotilla.services.orchestrator.backtests.core.study_plan import members, settle, step
from flotilla.services.orchestrator.backtests.core.study_ranking import Point
from flotilla.services.orchestrator.backtests.core.windows import MAX_WINDOWS, windows
from tests.unit.orchestrator.makers import NOW
from tests.unit.orchestrator.test_backtest_plans import SOURCES, config
from tests.unit.orchestrator.test_backtest_turns import outcome

DONE, PENDING = BacktestStatus.COMPLETED, BacktestStatus.PENDING
YEAR = config(start_date="2001-01-01", end_date="2001-12-31")
MOVING = st.sampled_from((WindowKind.ROLLING, WindowKind.ANCHORED))


def chosen(windows: WindowKind = WindowKind.ROLLING, **more: Any) -> StudyConfig:
    values: dict[str, Any] = {"base": YEAR, "axes": {"fast": Axis(values=(3, 5))}, "windows": windows}
    return StudyConfig(**{**values, "kind": StudyKind.WALK_FORWARD, **more})


def study(**more: Any) -> Study:
    settled, errors = settle("s", chosen(**more), SOURCES.template_set, NOW)
    assert errors == []
    assert settled is not None
    return settled


def wrong(**more: Any) -> dict[str, str]:
    settled, errors = settle("s", chosen(**more), SOURCES.template_set, NOW)
    assert settled is None
    return {error.field: error.message for error in errors}


def days(span: tuple[int, int]) -> tuple[float, float]:
    """The range in days from its year's first, the end not included."""
    start = YEAR.start_ns
    return (span[0] - start) / DAY_NS, (span[1] + 1_000 - start) / DAY_NS


@pytest.mark.parametrize(("kind", "starts"), [(WindowKind.ROLLING, (0, 60)), (WindowKind.ANCHORED, (0, 0))])
def test_lengths_make_as_many_windows_as_begin_to_try_within_the_range(
    kind: WindowKind, starts: tuple[int, int]
) -> None:
    found = windows(chosen(kind, in_sample_days=200, out_of_sample_days=60))
    assert [days(each.train) for each in found] == [(starts[0], 200), (starts[1], 260), (2 * starts[1], 320)]
    assert [days(each.test) for each in found] == [(200, 260), (260, 320), (320, 365)]


def test_a_longer_step_leaves_time_between_what_is_tried() -> None:
    found = windows(chosen(in_sample_days=100, out_of_sample_days=50, step_days=100))
    assert [days(each.test) for each in found] == [(100, 150), (200, 250), (300, 350)]
    assert [days(each.train) for each in found] == [(0, 100), (100, 200), (200, 300)]


@given(MOVING, st.integers(1, 20), st.floats(0.1, 0.9))
def test_folds_try_one_after_the_other_up_to_the_end_of_the_range(
    kind: WindowKind, folds: int, train_share: float
) -> None:
    found = windows(chosen(kind, folds=folds, train_share=train_share))
    assert len(found) == folds
    for one, after in pairwise(found):
        assert after.test[0] == one.test[1] + 1_000
    for each in found:
        assert each.train[1] + 1_000 == each.test[0]
        assert kind is WindowKind.ROLLING or each.train[0] == YEAR.start_ns
    assert YEAR.end_ns - found[-1].test[1] < 1_000_000_000
    inside, outside = (after - before for before, after in (found[0].train, found[0].test))
    assert math.isclose(inside / (inside + outside), train_share, rel_tol=1e-4)


@given(
    MOVING,
    st.floats(0.01, 300),
    st.floats(1, 300),
    st.one_of(st.none(), st.floats(1, 3)),
)
def test_windows_never_overlap_in_what_they_try_nor_leave_the_range(
    kind: WindowKind, inside: float, outside: float, longer: float | None
) -> None:
    step_days = outside * longer if longer else None
    asked = chosen(kind, in_sample_days=inside, out_of_sample_days=outside, step_days=step_days)
    found = windows(asked)
    for each in found:
        assert asked.base.start_ns <= each.train[0] < each.train[1] < each.test[0] < each.test[1]
        assert each.test[1] <= asked.base.end_ns
    assert all(one.test[1] < after.test[0] for one, after in pairwise(found))


@pytest.mark.parametrize(
    ("more", "field", "text"),
    [
        ({"in_sample_days": 365, "out_of_sample_days": 1}, "in_sample_days", "leaves nothing"),
        ({"in_sample_days": 1e-6, "out_of_sample_days": 1}, "in_sample_days", "a second or more"),
        (
            {"in_sample_days": 1, "out_of_sample_days": 0.5},
            "out_of_sample_days",
            f"728 windows of the range; at most {MAX_WINDOWS}",
        ),
        ({"folds": 100, "base": config(end_date="2000-01-01T00:00:30")}, "folds", "too many"),
    ],
)
def test_lengths_that_do_not_fit_the_range_are_named(more: dict[str, Any], field: str, text: str) -> None:
    assert text in wrong(**more)[f"config.{field}"]


def test_the_backtests_of_all_windows_are_counted_before_they_are_made() -> None:
    axes = {"fast": Axis(low=1, high=300, step=1)}
    assert "make 108600 backtests" in wrong(axes=axes, in_sample_days=3, out_of_sample_days=1)["config.axes"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"kind": StudyKind.GRID}, "`windows` are of a walk forward"),
        ({"windows": WindowKind.APART, "in_sample_days": 1, "out_of_sample_days": 1}, "rolling or anchored"),
        ({"in_sample_days": 1}, "give both"),
        ({"step_days": 1}, "give both"),
        ({"in_sample_days": 1, "out_of_sample_days": 2, "step_days": 1.5}, "must not overlap"),
        ({"in_sample_days": 1, "out_of_sample_days": 2, "folds": 5}, "leave them out"),
    ],
)
def test_what_contradicts_itself_is_refused(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        chosen(**more)


def test_every_backtest_may_ask_for_what_was_before_its_window_where_the_base_may() -> None:
    walk = study(base=msgspec.structs.replace(YEAR, warm_up=True), in_sample_days=200, out_of_sample_days=60)
    points = {number: Point(number, f"s-{number:04}", DONE, 1.0) for number in (1, 2)}
    assert all(each.config.warm_up for each in (*members(walk), *step(walk, points).add))


RATIOS = st.one_of(st.none(), st.floats(-9, 9))


@given(MOVING, st.lists(RATIOS, min_size=2, max_size=2), st.lists(RATIOS, min_size=7, max_size=7))
def test_a_choice_depends_on_nothing_but_what_ran_in_its_own_sample(
    kind: WindowKind, inside: list[float | None], others: list[float | None]
) -> None:
    """Whatever came of what was tried, and of later windows: the second window of three tries the same."""
    walk = study(windows=kind, in_sample_days=200, out_of_sample_days=60)
    own = {
        number: Point(number, f"s-{number:04}", DONE, each)
        for number, each in zip((4, 5), inside, strict=True)
    }
    rest = {
        number: Point(number, f"s-{number:04}", PENDING if each is None else DONE, each)
        for number, each in zip((1, 2, 3, 7, 8, 9, 10), others, strict=True)
    }
    alone = [each for each in step(walk, own).add if each.number == 6]
    assert [each for each in step(walk, {**own, **rest}).add if each.number == 6] == alone
    for each in members(walk):
        window = walk.windows[(each.number - 1) // 3]
        assert (each.config.start_ns, each.config.end_ns) == window.train
    for each in alone:
        assert each.config.start_ns > walk.windows[1].train[1]


def later(piece: tuple[EquityPoint, ...], days: int) -> tuple[EquityPoint, ...]:
    return tuple(msgspec.structs.replace(each, at_ns=each.at_ns + days * DAY_NS) for each in piece)


def test_each_piece_begins_with_what_the_one_before_ended_with() -> None:
    samples, used = stitched({"a": curve(100.0, 110.0, 55.0), "b": later(curve(10.0, 12.0, 15.0), 9)})
    assert [round(each.equity, 6) for each in samples] == [100.0, 110.0, 55.0, 55.0, 66.0, 82.5]
    assert samples[-1].at_ns == START_NS + 10 * DAY_NS
    assert used == {"a", "b"}


@pytest.mark.parametrize("first", [(100.0, 0.0), (100.0, -20.0)])
def test_nothing_follows_on_nothing(first: tuple[float, ...]) -> None:
    samples, used = stitched({"a": curve(*first), "b": later(curve(10.0, 12.0), 9)})
    assert (samples[-1].equity, used) == (first[-1], {"a"})
    assert stitched({"a": (point(0, 0.0), point(1, 5.0))}) == ([], set())


@given(st.lists(st.floats(0.9, 1.1), min_size=40, max_size=80), st.integers(1, 39))
def test_a_curve_that_is_cut_and_stitched_has_the_figures_of_the_whole(growth: list[float], at: int) -> None:
    equities = [1_000.0]
    for each in (0.97, 1.02, *growth):
        equities.append(equities[-1] * each)
    whole = curve(*equities)
    # The second piece began elsewhere, with other money, and with the moment at which the first one ended.
    second = tuple(msgspec.structs.replace(each, equity=each.equity * 7.5) for each in whole[at:])
    samples, _ = stitched({"a": whole[: at + 1], "b": second})
    ours = performance(samples, UTC)
    theirs = performance([Sample(each.at_ns, each.equity) for each in whole], UTC)
    for name in ("total_return", "max_drawdown", "volatility", "sharpe_ratio", "sortino_ratio"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-6, abs=1e-9), name
    assert (ours.returns, ours.years) == (theirs.returns, theirs.years)


def made(
    number: int,
    total_return: float,
    status: BacktestStatus = DONE,
    unanswered: int = 0,
    answered: int | None = None,
) -> Backtest:
    result = outcome().result
    facts = Facts(
        metrics=msgspec.structs.replace(result.metrics, total_return=total_return),
        currency="USD",
        summary=msgspec.structs.replace(SUMMARY, unanswered_requests=unanswered, answered_requests=answered),
        has_result=True,
    )
    return Backtest(
        backtest_id=f"s-{number:04}",
        config=YEAR,
        created_at=NOW,
        updated_at=NOW,
        status=status,
        number=number,
        facts=facts,
    )


def test_windows_have_their_choice_what_came_of_it_and_where_it_changed() -> None:
    walk = study(in_sample_days=200, out_of_sample_days=60)
    values = (1.0, 2.0, 0.5, 3.0, 1.0, -1.0, 1.0, None)
    points = {number: Point(number, f"s-{number:04}", DONE, each) for number, each in enumerate(values, 1)}
    tried = {"s-0003": made(3, 0.1, unanswered=2), "s-0006": made(6, -0.5, unanswered=1)}
    curves = {"s-0003": curve(100.0, 110.0), "s-0006": later(curve(100.0, 50.0), 9)}
    assert tried_ids(walk, points) == ["s-0003", "s-0006"]
    found = walk_forward(walk, points, tried, curves, UTC)
    assert [(each.chosen, each.parameters, each.changed) for each in found.windows] == [
        ("s-0002", {"fast": 5}, ()),
        ("s-0004", {"fast": 3}, ("fast",)),
        ("s-0007", {"fast": 3}, ()),
    ]
    assert [(each.in_sample, each.out_of_sample, each.total_return) for each in found.windows] == [
        (2.0, 0.5, 0.1),
        (3.0, -1.0, -0.5),
        (1.0, None, None),
    ]
    assert [(each.tried, each.status, each.is_stitched) for each in found.windows] == [
        ("s-0003", DONE, True),
        ("s-0006", DONE, True),
        (None, None, False),
    ]
    assert found.figures is not None
    assert [round(each, 9) for each in (found.figures.total_return or 0, found.figures.final_equity)] == [
        -0.45,
        55.0,
    ]
    assert found.figures.max_drawdown == pytest.approx(-0.5)
    assert [round(each.drawdown, 9) for each in found.curve] == [0.0, 0.0, 0.0, 0.5]
    assert (found.currency, found.timezone, found.unanswered_requests) == ("USD", "UTC", 3)


@pytest.mark.parametrize(
    ("answered", "sum_"), [((0, 0), 0), ((0, 2), 2), ((3, None), None), ((None, None), None)]
)
def test_requests_that_were_answered_are_counted_where_every_window_knows_them(
    answered: tuple[int | None, int | None], sum_: int | None
) -> None:
    walk = study(in_sample_days=200, out_of_sample_days=60)
    points = {number: Point(number, f"s-{number:04}", DONE, 1.0) for number in range(1, 7)}
    tried = {
        f"s-{number:04}": made(number, 0.1, answered=each)
        for number, each in zip((3, 6), answered, strict=True)
    }
    assert walk_forward(walk, points, tried, {}, UTC).answered_requests == sum_
    assert walk_forward(walk, points, {}, {}, UTC).answered_requests is None


def test_a_window_whose_result_was_not_saved_is_no_piece_and_a_long_curve_fits_its_answer() -> None:
    walk = study(in_sample_days=200, out_of_sample_days=60)
    points = {number: Point(number, f"s-{number:04}", DONE, 1.0) for number in range(1, 7)}
    tried = {"s-0003": made(3, 0.1), "s-0006": made(6, 0.1)}
    long = curve(*(100.0 + math.sin(n) for n in range(9_000)))
    found = walk_forward(walk, points, tried, {"s-0006": long}, UTC)
    assert [each.is_stitched for each in found.windows] == [False, True, False]
    assert len(found.curve) <= MAX_STITCHED_POINTS
    assert found.figures is not None
    assert found.figures.returns == 8_999
    assert min(each.equity for each in found.curve) == min(each.equity for each in long)
    assert len(msgspec.json.encode(found)) < 500_000
    none = walk_forward(walk, points, tried, {}, UTC)
    assert (none.figures, none.curve) == (None, ())


def test_the_windows_of_before_stay_what_they_were() -> None:
    apart = windows(chosen(WindowKind.APART, folds=2))
    middle = timedelta(days=365 / 2) // timedelta(microseconds=1) * 1_000
    assert [each.train[0] - YEAR.start_ns for each in apart] == [0, middle]
    assert [each.test[1] + 1_000 - YEAR.start_ns for each in apart] == [middle, 2 * middle]
