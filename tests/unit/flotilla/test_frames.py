"""Results as frames of pandas and polars: numbers as numbers, times as times, columns also without a row."""

import builtins
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from benchmarks.records import exposed, order, trade
from flotilla.client.backtest_calls import LISTS
from flotilla.client.frames import Rows, to_pandas, to_polars
from flotilla.schemas.backtest import ClosedTrade, ExposurePoint, OpenPosition
from flotilla.schemas.telemetry import OrderUpdate
from flotilla.schemas.walk_forward import StitchedPoint
from tests.unit.flotilla.test_backtest_tables import metrics, view
from tests.unit.flotilla.test_study_cli_tables import walked

ENTRY = datetime(2000, 1, 2, tzinfo=UTC)
TRADES = Rows([trade(0, "5897.12"), trade(1, "-3408.51")], ClosedTrade)


def test_pandas_has_numbers_and_times_in_utc() -> None:
    frame = TRADES.to_pandas()
    assert frame["pnl"].tolist() == [5_897.12, -3_408.51]
    assert frame["quantity"].sum() == 200.0
    assert str(frame["entry_time"].dtype).endswith("[ns, UTC]")
    assert frame["entry_time"][0].to_pydatetime() == ENTRY
    assert (frame["exit_time"] - frame["entry_time"]).dt.days.tolist() == [2, 2]
    assert not [name for name in frame.columns if name.endswith("_ns")]


def test_polars_has_the_same() -> None:
    frame = TRADES.to_polars()
    assert frame["pnl"].to_list() == [5_897.12, -3_408.51]
    assert str(frame.schema["entry_time"]) == "Datetime(time_unit='ns', time_zone='UTC')"
    assert frame["entry_time"][0] == ENTRY
    assert frame.columns == list(TRADES.to_pandas().columns)


def test_what_is_null_stays_null() -> None:
    rows = Rows([order("FILLED", price="1.5", avg_px="1.25"), order("REJECTED", reason="no")], OrderUpdate)
    assert rows.to_pandas()["price"].isna().tolist() == [False, True]
    assert rows.to_polars()["avg_px"].to_list() == [1.25, None]
    assert rows.to_polars()["reason"].to_list() == [None, "no"]


@pytest.mark.parametrize("kind", [*LISTS.values()], ids=[str(part) for part in LISTS])
def test_a_list_without_an_entry_has_its_columns(kind: type[Any]) -> None:
    empty: Rows[Any] = Rows([], kind)
    assert list(empty.to_pandas().columns) == empty.to_polars().columns
    assert len(empty.to_pandas().columns) == len(kind.__struct_fields__)
    assert (len(empty.to_pandas()), len(empty.to_polars())) == (0, 0)


def test_rows_are_the_list_that_they_were() -> None:
    assert [trade(0, "5897.12"), trade(1, "-3408.51")] == TRADES
    assert msgspec.json.decode(msgspec.json.encode(TRADES), type=list[ClosedTrade]) == TRADES
    assert to_pandas([]).empty
    assert to_polars([]).is_empty()


def test_a_notebook_shows_a_table() -> None:
    html = TRADES._repr_html_()
    assert html is not None
    assert "<table" in html
    assert "5897.12" in html


def test_backtests_have_their_parameters_beside_their_metrics() -> None:
    views = [
        view("a", parameters={"fast": 5}, metrics=metrics(1.5)),
        view("b", parameters={"slow": 20}, metrics=metrics(None)),
        view("c", "failed"),
    ]
    frame = to_pandas(views)
    assert frame["param_fast"].isna().tolist() == [False, True, True]
    assert frame["sharpe_ratio"].isna().tolist() == [False, True, True]
    assert frame["status"].tolist() == ["completed", "completed", "failed"]
    assert to_polars(views)["param_slow"].to_list() == [None, 20, None]


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refused(name: str, *rest: Any) -> Any:
        if name in ("pandas", "polars"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refused)
    with pytest.raises(ImportError, match="pip install pandas"):
        TRADES.to_pandas()
    with pytest.raises(ImportError, match="pip install polars"):
        TRADES.to_polars()
    assert Rows([], OpenPosition)._repr_html_() is None


def test_a_walk_forward_has_its_windows_and_curve_as_frames() -> None:
    walk = walked()
    frame = to_pandas(walk.windows)
    assert frame["total_return"].tolist() == [-0.2, 0.5]
    assert frame["parameters"].tolist() == [{"fast": 5}, {"fast": 10}]
    assert str(frame["out_of_sample_start"].dtype).endswith("[ns, UTC]")
    assert to_polars(walk.windows)["number"].to_list() == [1, 2]
    assert to_pandas(walk.curve)["equity"].tolist() == to_polars(walk.curve)["equity"].to_list()
    assert to_pandas((), StitchedPoint).columns.tolist() == ["at", "equity", "drawdown"]


def test_what_is_not_known_of_exposure_is_null_in_a_frame() -> None:
    seen = Rows([exposed(0, 5.0, -5.0), exposed(1, None, None, None)], ExposurePoint)
    assert seen.to_polars()["gross"].to_list() == [5.0, None]
    assert seen.to_pandas()["leverage"].isna().tolist() == [False, True]
