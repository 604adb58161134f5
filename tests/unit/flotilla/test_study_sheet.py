"""The sheet of a study: ranks, the map over two axes, and what was tried out of sample as one curve."""

from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import Axis, BacktestView, StudyConfig, StudyKind, StudyView
from flotilla.schemas.config import StrategyChoice
from flotilla.show.tear_sheet.heat import heat_map
from flotilla.show.tear_sheet.study_sheet import StudyRecord, study_sheet
from tests.unit.flotilla.test_backtest_tables import metrics, study, view
from tests.unit.flotilla.test_study_cli_tables import MEMBERS, walk, walked
from tests.unit.flotilla.test_tear_sheet import HOSTILE, Page, rows

DASH = "\N{EN DASH}"


def member(number: int, sharpe: float | None, **parameters: Any) -> BacktestView:
    return view(f"s-{number:04}", metrics=metrics(sharpe, total_return=0.1), parameters=parameters)


def grid(*names: str, **over: Any) -> StudyView:
    axes = {name: Axis(values=(1, 2)) for name in names}
    config = StudyConfig(base=view().config, axes=axes, **over)
    return msgspec.structs.replace(study("completed"), config=config, best=None)


MEMBERS_2 = (
    *(member(1, 0.5, fast=5, slow=20), member(2, 1.5, fast=10, slow=20), member(3, -1.0, fast=5, slow=100)),
    member(4, None, fast=10, slow=100),
)


def test_backtests_stand_in_their_rank_with_parameters_and_figures() -> None:
    found = rows(study_sheet(StudyRecord(study=grid("fast", "slow"), members=MEMBERS_2)))
    assert ["1", "s-0002", "10", "20", "1.50", "10.00 %", DASH, DASH, "1,221"] in found
    assert ["3", "s-0003", "5", "100", "-1.00", "10.00 %", DASH, DASH, "1,221"] in found
    assert not [row for row in found if "s-0004" in row]


def test_of_several_strategies_an_axis_has_the_value_of_the_one_that_it_names() -> None:
    def two(number: int, sharpe: float, fast: int, slow: int) -> BacktestView:
        made = member(number, sharpe)
        chosen = (
            StrategyChoice(template="ema_cross", parameters={"fast": fast, "size": 7}),
            StrategyChoice(template="ema_cross", parameters={"slow": slow}),
        )
        config = msgspec.structs.replace(made.config, strategy=None, strategy_config={}, strategies=chosen)
        return msgspec.structs.replace(made, config=config)

    members = (two(1, 0.5, 5, 20), two(2, 1.5, 10, 20), two(3, -1.0, 5, 100))
    study = grid("0.fast", "1.slow")
    base = msgspec.structs.replace(study.config, base=members[0].config)
    study = msgspec.structs.replace(study, config=base)
    found = rows(study_sheet(StudyRecord(study=study, members=members)))
    assert ["1", "s-0002", "10", "20", "1.50", "10.00 %", DASH, DASH, "1,221"] in found
    assert ["20", "0.50", "1.50"] in found
    html = study_sheet(StudyRecord(study=study, members=members))
    assert "0.size7" in "".join(Page(html).text.split())


def test_the_map_has_numbers_in_their_order_and_marks_the_best() -> None:
    html = study_sheet(StudyRecord(study=grid("fast", "slow"), members=MEMBERS_2))
    found = rows(html)
    assert ["20", "0.50", "1.50"] in found
    assert ["100", "-1.00", DASH] in found
    assert '<td class="g4 top">1.50</td>' in html
    assert html.count(' top"') == 1


def test_a_map_over_more_axes_has_the_best_of_each_cell_and_the_lowest_when_that_is_sought() -> None:
    members = [member(n, n / 10, a=n % 2, b=n % 3, c=n) for n in range(1, 13)]
    high, low = (heat_map(members, grid("a", "b", "c", lowest=lowest).config) for lowest in (False, True))
    assert high is not None
    assert low is not None
    assert (high.tried, high.across.headings, high.down and high.down.headings) == (
        2,
        ("0", "1"),
        ("0", "1", "2"),
    )
    assert (high.cells[0][0], low.cells[0][0]) == (1.2, 0.6)


def test_many_numbers_of_an_axis_are_put_into_bins_that_hold_them_all() -> None:
    members = [member(n, 1.0 + n, period=n * 1.7) for n in range(100)]
    found = heat_map(members, grid("period").config)
    assert found is not None
    assert len(found.across.headings) <= 12
    assert None not in found.cells[0]
    assert max(each for each in found.cells[0] if each is not None) == 100.0
    assert sorted({found.across.places[key] for key in found.across.places}) == list(
        range(len(found.cells[0]))
    )


def test_a_study_without_two_values_of_an_axis_or_without_a_result_says_so() -> None:
    for members in ((), (MEMBERS_2[0],)):
        text = Page(study_sheet(StudyRecord(study=grid("fast"), members=members))).text
        assert "There is no result yet, or no axis has two values" in text


def test_names_without_end_make_no_axis() -> None:
    members = [member(n, float(n), name=f"n{n}", fast=n % 3) for n in range(200)]
    found = heat_map(members, grid("name", "fast").config)
    assert found is not None
    assert (found.across.name, found.down) == ("fast", None)
    assert heat_map(members, grid("name").config) is None


def test_a_walk_forward_is_one_curve_of_what_was_tried_out_of_sample_with_each_choice() -> None:
    html = study_sheet(StudyRecord(study=walk(), members=MEMBERS, walk=walked()))
    text = Page(html).text
    assert "2 of 2 windows. Each piece begins with the equity that the one before ended with" in text
    assert "The choice changed at 1 of 1 windows after the first (*)." in text
    assert "next window, another choice" in text
    found = rows(html)
    assert ["1", "2000-07-02", "0.90", "-0.50", "-20.00 %", "5", "2000-12-30", "2000-01-02"] in found
    assert ["2", "2000-12-31", "0.70", "0.30", "50.00 %", "10*", "2001-06-30", "2000-07-02"] in found
    assert ["Sharpe ratio", "1.25"] in found
    assert ["final equity", "1,200,000.00 USD"] in found
    assert '<b class="changed">10*</b>' in html
    assert "2, apart, 70.00 % in sample" in text


def test_a_walk_forward_without_a_curve_says_so_and_cold_windows_do() -> None:
    bare = walked(figures=None, curve=(), unanswered_requests=4)
    text = Page(study_sheet(StudyRecord(study=walk(), members=MEMBERS, walk=bare))).text
    assert "There is no curve" in text
    assert "4 requests for the past were answered with nothing" in text


def test_a_warm_up_that_nothing_asked_for_is_told() -> None:
    study = walk()
    base = msgspec.structs.replace(study.config.base, warm_up=True)
    study = msgspec.structs.replace(study, config=msgspec.structs.replace(study.config, base=base))
    record = StudyRecord(study=study, members=MEMBERS, walk=walked(answered_requests=0))
    assert "no strategy requested history" in Page(study_sheet(record)).text


def test_lengths_that_were_chosen_are_told() -> None:
    lengths: dict[str, Any] = {
        "folds": 4,
        "windows": "rolling",
        "in_sample_days": 365.0,
        "out_of_sample_days": 90.5,
    }
    config = msgspec.convert(msgspec.to_builtins(walk().config) | lengths, StudyConfig)
    told = msgspec.structs.replace(walk(), config=config)
    text = Page(study_sheet(StudyRecord(study=told, members=MEMBERS, walk=walked()))).text
    assert "2, rolling, 365 days in sample, 90.5 out of it, every 90.5 days" in text


def test_hostile_parameters_and_errors_are_text() -> None:
    base = msgspec.structs.replace(view().config, strategy_config={HOSTILE: HOSTILE})
    config = StudyConfig(base=base, axes={"fast": Axis(values=(HOSTILE, "b"))}, kind=StudyKind.RANDOM)
    failed = msgspec.structs.replace(view("s-0009", "failed"), error=HOSTILE)
    members = (*(member(n, float(n), fast=value) for n, value in enumerate((HOSTILE, "b"))), failed)
    html = study_sheet(
        StudyRecord(study=msgspec.structs.replace(study(), config=config, best=members[0]), members=members)
    )
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "iframe", "link", "a"})
    assert page.text.count("<script>alert(1)</script>") >= 5
    assert not set(html) & {"\x00", "\u202e"}


@pytest.mark.parametrize("kind", list(StudyKind))
def test_a_large_study_stays_below_a_megabyte(kind: StudyKind) -> None:
    members = tuple(member(n, n / 100, fast=n % 37, slow=n % 101) for n in range(1, 5_001))
    record = StudyRecord(
        study=msgspec.structs.replace(grid("fast", "slow", kind=kind, folds=2), total=5_000), members=members
    )
    html = study_sheet(record)
    assert len(html.encode()) < 1_000_000
    assert "4,500 more." in html
