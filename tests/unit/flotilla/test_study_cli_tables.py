"""What walk forwards look like to people, and by which option a fault is told."""

from typing import Any

import click
import msgspec
import pytest

from benchmarks.records import DAY_NS, START_NS
from flotilla.cli.commands.backtests import run as backtest_run
from flotilla.cli.option_names import by_option, option_of
from flotilla.cli.study_options import study_config
from flotilla.schemas.backtest import Axis, BacktestStatus, BacktestView, StudyConfig, StudyKind, StudyView
from flotilla.schemas.fault import FaultError, FieldError, invalid
from flotilla.schemas.walk_forward import StitchedFigures, StitchedPoint, StudyWindow, WalkForward
from flotilla.show.study_tables import as_json, place_of, result_line, study_report
from tests.unit.flotilla.test_backtest_tables import metrics, shown, study, view


def walk(**over: Any) -> StudyView:
    """Two folds of two choices: 1, 2 choose and 3 tries, then 4, 5 and 6."""
    axes = {"fast": Axis(values=(5, 10))}
    config = StudyConfig(base=view().config, axes=axes, kind=StudyKind.WALK_FORWARD, folds=2)
    return msgspec.structs.replace(study("completed"), config=config, total=6, folds=2, **over)


def member(number: int, sharpe: float, fast: int, *, total_return: float = 0.1, **over: Any) -> BacktestView:
    name, figures = f"w-{number:04}", metrics(sharpe, total_return=total_return)
    return view(name, metrics=figures, parameters={"fast": fast}, **over)


MEMBERS = (
    member(1, 0.9, 5),
    member(2, 0.2, 10),
    member(3, -0.5, 5, total_return=-0.2),
    member(4, 0.1, 5),
    member(5, 0.7, 10),
    member(6, 0.3, 10, total_return=0.5),
)


def window(number: int, **over: Any) -> StudyWindow:
    """One of two: half a year in sample, half a year out of it."""
    half, start = 182 * DAY_NS, START_NS + (number - 1) * 182 * DAY_NS
    spans = {
        "in_sample_start_ns": start,
        "in_sample_end_ns": start + half - 1_000,
        "out_of_sample_start_ns": start + half,
        "out_of_sample_end_ns": start + 2 * half - 1_000,
    }
    return StudyWindow(number=number, **{**spans, **over})


FIGURES = StitchedFigures(
    total_return=0.2,
    annualized_return=None,
    volatility=0.15,
    sharpe_ratio=1.25,
    sortino_ratio=None,
    calmar_ratio=None,
    max_drawdown=-0.2,
    max_drawdown_days=90.0,
    final_equity=1_200_000.0,
    returns=364,
    years=0.99,
)


def walked(**over: Any) -> WalkForward:
    """What came of the two windows of MEMBERS."""
    windows = (
        window(
            *(1,),
            chosen="w-0001",
            parameters={"fast": 5},
            tried="w-0003",
            status=BacktestStatus.COMPLETED,
            in_sample=0.9,
            out_of_sample=-0.5,
            total_return=-0.2,
            is_stitched=True,
        ),
        window(
            *(2,),
            chosen="w-0005",
            parameters={"fast": 10},
            changed=("fast",),
            tried="w-0006",
            status=BacktestStatus.COMPLETED,
            in_sample=0.7,
            out_of_sample=0.3,
            total_return=0.5,
            is_stitched=True,
        ),
    )
    equities = (
        (182, 1_000_000.0, 0.0),
        (300, 800_000.0, 0.2),
        (364, 800_000.0, 0.2),
        (546, 1_200_000.0, 0.0),
    )
    points = tuple(
        StitchedPoint(at_ns=START_NS + day * DAY_NS, equity=equity, drawdown=lost)
        for day, equity, lost in equities
    )
    known = {"windows": windows, "currency": "USD", "figures": FIGURES, "curve": points}
    return WalkForward(study_id="st", **{**known, **over})


def test_a_backtest_of_a_walk_forward_has_its_fold_and_sample() -> None:
    places = [place_of(walk(), one) for one in MEMBERS]
    assert [(each.fold, each.sample) for each in places if each] == [
        (fold, sample) for fold in (1, 2) for sample in ("in", "in", "out")
    ]
    assert place_of(study(), MEMBERS[0]) is None
    assert result_line(MEMBERS[2], walk()).plain == (
        "w-0003  completed  window 1 out of sample  Sharpe ratio -0.50  fast=5"
    )
    told = msgspec.json.decode(as_json(MEMBERS[4], walk()))
    assert (told["fold"], told["sample"], told["start_date"]) == (2, "in", "1999-01-05")


def test_windows_show_both_samples_the_choice_and_what_the_choices_earned() -> None:
    text = shown(study_report(walk(best=MEMBERS[5]), MEMBERS, walked()))
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "in", "2000-01-02", "2000-07-01", "0.90", "10.00", "%", "1,221"] in rows
    assert ["out", "2000-07-02", "2000-12-30", "-0.50", "-20.00", "%", "1,221"] in rows
    assert ["1", "w-0001", "5"] in rows
    assert ["2", "w-0005", "10*"] in rows
    assert "best out of sample by Sharpe ratio: w-0006 (window 2), fast=10" in text
    words = " ".join(text.split())
    assert "2 of 2 windows stitched: return 20.00 %, Sharpe ratio 1.25, max drawdown -20.00 %" in words
    assert "mean Sharpe ratio over 2 windows: 0.80 in sample, -0.10 out of it" in words
    assert "the choice changed at 1 of 1 windows after the first (*)" in words
    assert "began cold" not in words
    assert max(map(len, text.splitlines())) <= 80


def test_nothing_is_chosen_while_a_window_is_under_way_and_cold_windows_say_so() -> None:
    under_way = WalkForward(study_id="st", windows=(window(1), window(2)), unanswered_requests=3)
    text = " ".join(shown(study_report(walk(), (MEMBERS[0],), under_way)).split())
    assert "1 in 2000-01-02 2000-07-01 \N{EN DASH}" in text
    assert "mean" not in text
    assert "stitched" not in text
    assert "3 requests for the past were answered with nothing out of sample: each window began cold" in text


@pytest.mark.parametrize(
    ("answered", "warms_up", "is_said"),
    [(0, True, True), (2, True, False), (None, True, False), (0, False, False)],
)
def test_a_warm_up_that_nothing_asked_for_is_told(
    answered: int | None, warms_up: bool, is_said: bool
) -> None:
    chosen = walk()
    base = msgspec.structs.replace(chosen.config.base, warm_up=warms_up)
    config = msgspec.structs.replace(chosen.config, base=base)
    found = walked(answered_requests=answered)
    text = shown(study_report(msgspec.structs.replace(chosen, config=config), MEMBERS, found))
    assert ("no strategy requested history" in " ".join(text.split())) is is_said


def test_a_study_says_how_many_parameters_it_leaves_out() -> None:
    assert "not tried: 3 that break a rule" in shown(study_report(study(left_out=3), ()))
    assert "not tried" not in shown(study_report(study(), ()))


def test_a_cancelled_study_says_so_once() -> None:
    assert shown(study_report(study("cancelled", why_ended="cancelled"), ())).count("cancelled") == 1


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("config.initial_balance", "--balance"),
        ("config.strategy_config.fast", "--param fast"),
        ("config.bar_types[0]", "--bar-type"),
        ("config.fill_model.prob_slippage", "--prob-slippage"),
        ("config.seed", "--seed"),
        ("config.strategies[0].parameters.fast", "--add-strategy"),
        ("config.exec_algorithms[0].path", "--exec-algorithm"),
        ("config.venue_settings.SIM.leverages", "--venue-set SIM.leverages"),
        ("config.output_path", None),
        ("backtest_id", None),
    ],
)
def test_a_fault_of_a_backtest_is_told_by_its_option(field: str, option: str | None) -> None:
    assert option_of(field, is_study=False) == option


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("config.seed", "--choice-seed"),
        ("config.base.seed", "--seed"),
        ("config.axes.fast.low", "--axis fast"),
        ("config.axes.1.fast", "--axis 1.fast"),
        ("config.best_by", "--best-by"),
        ("config.out_of_sample_days", "--out-of-sample"),
        ("config.windows", "--windows"),
        ("config.base", None),
    ],
)
def test_a_fault_of_a_study_is_told_by_its_option(field: str, option: str | None) -> None:
    assert option_of(field, is_study=True) == option


def test_a_pattern_is_told_in_words_and_the_field_stays() -> None:
    with pytest.raises(FaultError) as caught, click.Context(backtest_run), by_option():
        raise invalid(FieldError("config.bar_types[0]", r"Expected `str` matching regex '\A.*\Z'"))
    (error,) = caught.value.fault.errors
    assert error.field == "config.bar_types[0]"
    assert error.message == "must be a bar type such as SPX.SIM-1-DAY-LAST-EXTERNAL (--bar-type)"
    assert caught.value.fault.message == f"{error.field}: {error.message}"


@pytest.mark.parametrize("field", ["config.exec_things", "config.no_such_thing", "config.axes"])
def test_no_option_is_named_that_the_command_lacks(field: str) -> None:
    with pytest.raises(FaultError) as caught, click.Context(backtest_run), by_option():
        raise invalid(FieldError(field, "unknown field"))
    assert "(--" not in caught.value.fault.message


@pytest.mark.parametrize(
    ("axis", "field"), [("fast=9:1:2", "config.axes.fast.low"), ("Fast=1,2", "config.axes")]
)
def test_the_axis_at_fault_is_named(axis: str, field: str) -> None:
    with pytest.raises(FaultError) as caught:
        study_config(view().config, axes=("slow=1,2", axis), choice_seed=None)
    assert [error.field for error in caught.value.fault.errors] == [field]
