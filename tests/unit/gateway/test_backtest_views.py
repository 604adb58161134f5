"""Backtests in the shapes of the REST contract, as documents and as tables."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    Difference,
    EquityPoint,
    Metrics,
    ResultPart,
    StudyConfig,
    StudyView,
)
from flotilla.services.gateway.backtests.results import TABLES, columns, csv_text, rows
from flotilla.services.gateway.backtests.views import (
    backtest_summary,
    iso_moment,
    results_summary,
    shown,
    study_summary,
    verdict_message,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)
CONFIG = BacktestConfig(
    strategy="ema_cross", start_date="2020-01-01", end_date="2020-12-31", instruments=("SPX.SIM",)
)


def view(status: BacktestStatus) -> BacktestView:
    return BacktestView(backtest_id="a", status=status, config=CONFIG, created_at=NOW)


@pytest.mark.parametrize(
    ("ns", "wanted"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_577_836_800_000_000_000, "2020-01-01T00:00:00Z"),
        (1_577_836_800_000_000_001, "2020-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_moment_keeps_its_nanoseconds(ns: int, wanted: str) -> None:
    assert iso_moment(ns) == wanted


@given(st.integers(0, 2**63 - 1))
def test_a_moment_reads_back_as_it_was(ns: int) -> None:
    whole, _, fraction = iso_moment(ns).removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    assert seconds * 1_000_000_000 + int(fraction or 0) == ns


@pytest.mark.parametrize("status", list(BacktestStatus))
def test_nothing_is_a_result_until_there_are_figures(status: BacktestStatus) -> None:
    assert results_summary(view(status)) is None
    told = msgspec.to_builtins(backtest_summary(view(status)))
    assert (told["results"], told["status"]) == (None, str(status))
    assert "completed_at" not in told


@pytest.mark.parametrize(
    ("counts", "total", "progress"),
    [
        ({}, 0, 0.0),
        ({"pending": 3}, 3, 0.0),
        ({"pending": 1, "running": 1, "completed": 1}, 3, 33.3),
        ({"completed": 1, "failed": 1, "cancelled": 1}, 3, 100.0),
    ],
)
def test_the_progress_of_a_study_is_what_ended_of_it(
    counts: dict[str, int], total: int, progress: float
) -> None:
    config = msgspec.convert(
        {"base": msgspec.to_builtins(CONFIG), "axes": {"a": {"values": [1]}}}, StudyConfig
    )
    study = StudyView(
        study_id="s",
        status=BacktestStatus.RUNNING,
        config=config,
        created_at=NOW,
        total=total,
        counts=counts,
    )
    assert study_summary(study).progress == progress


@pytest.mark.parametrize(
    ("is_equal", "differences", "words"),
    [
        (None, (), "ask again"),
        (True, (), "are equal"),
        (False, (), "differ"),
        (False, (Difference(where="files[0].sha256", first="a", second="b"),), "files[0].sha256"),
    ],
)
def test_a_verdict_is_told_in_words(
    *, is_equal: bool | None, differences: tuple[Difference, ...], words: str
) -> None:
    verdict = BacktestVerdict(backtest_id="a", verify_id="b", is_equal=is_equal, differences=differences)
    assert words in verdict_message(verdict)
    older = msgspec.structs.replace(verdict, is_equal=True, figures_versions=(1, 2))
    assert "are equal" in verdict_message(older)
    assert "the definition of figures has changed (version 1, now 2)" in verdict_message(older)


def test_what_is_a_table_has_columns_for_its_rows() -> None:
    point = EquityPoint(at_ns=5, equity=1.5, balance=1.0, unrealized_pnl=0.5, drawdown=0.0)
    entry = msgspec.Raw(msgspec.json.encode(point))
    (row,) = rows(ResultPart.EQUITY_CURVE, entry)
    assert dict(zip(columns(ResultPart.EQUITY_CURVE), row, strict=True)) == {
        "timestamp": "1970-01-01T00:00:00.000000005Z",
        "equity": 1.5,
        "drawdown": 0.0,
        "balance": 1.0,
        "unrealized_pnl": 0.5,
    }
    fees = msgspec.Raw(b'{"USD":"1.50","EUR":"-2"}')
    assert list(rows(ResultPart.FEES, fees)) == [("USD", "1.50"), ("EUR", "-2")]
    assert {ResultPart.MANIFEST, ResultPart.REPORT} == set(ResultPart) - TABLES
    assert all(columns(part) for part in TABLES)


def test_what_is_no_list_of_the_contract_stays_as_it_is_on_record() -> None:
    raw = msgspec.Raw(b'{"seed": 7}')
    assert shown(ResultPart.MANIFEST, raw) is raw


def test_a_table_escapes_what_would_break_it() -> None:
    assert csv_text(iter([("a,b", 'c"d', "e\nf", None, 1.5)])) == b'"a,b","c""d","e\nf",,1.5\r\n'


def test_a_result_of_before_figures_had_versions_says_so_and_has_nothing_beside() -> None:
    metrics = dict.fromkeys(Metrics.__struct_fields__)
    counts = {"total_trades": 0, "winning_trades": 0, "losing_trades": 0}
    older = msgspec.structs.replace(view(BacktestStatus.COMPLETED), metrics=Metrics(**{**metrics, **counts}))
    told = results_summary(older)
    assert told is not None
    assert (told.figures_version, told.nautilus_statistics, told.order_counts) == (1, None, None)
