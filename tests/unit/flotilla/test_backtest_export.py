"""Lists of a result as files: whole or not at all."""

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from flotilla.bus.files import whole_file
from flotilla.schemas.backtest import EquityPoint, ResultPart
from flotilla.schemas.telemetry import OrderUpdate
from flotilla.show.exporting import export

POINTS = [
    EquityPoint(at_ns=1_000_000_000_000_000_001, equity=1.5, balance=1.0, unrealized_pnl=0.5, drawdown=0.0),
    EquityPoint(at_ns=2_000_000_000_000_000_001, equity=1.0, balance=1.0, unrealized_pnl=0.0, drawdown=0.25),
]
ORDER = OrderUpdate(
    event="OrderFilled",
    client_order_id="O-1",
    instrument_id="A.X",
    strategy_id="s",
    status="FILLED",
    side="BUY",
    order_type="MARKET",
    quantity="1.10",
    filled_qty="1.10",
    time_in_force="GTC",
    ts_event=7,
)


async def test_csv_has_a_header_and_exact_values(tmp_path: Path) -> None:
    await export(POINTS, ResultPart.EQUITY_CURVE, "csv", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["at_ns"] for row in rows] == ["1000000000000000001", "2000000000000000001"]
    assert rows[1]["drawdown"] == "0.25"


async def test_json_is_one_list(tmp_path: Path) -> None:
    await export([ORDER], ResultPart.ORDERS, "json", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())[0]["quantity"] == "1.10"


async def test_parquet_keeps_types_and_nulls(tmp_path: Path) -> None:
    await export([ORDER], ResultPart.ORDERS, "parquet", tmp_path / "out.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert found.to_pylist()[0]["price"] is None
    assert found.to_pylist()[0]["is_reduce_only"] is False
    assert str(found.schema.field("ts_event").type) == "int64"


async def test_no_rows_are_a_table_with_columns(tmp_path: Path) -> None:
    await export([], ResultPart.EQUITY_CURVE, "parquet", tmp_path / "out.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").column_names == list(
        EquityPoint.__struct_fields__
    )


def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")

    def half() -> None:
        with whole_file(target) as made:
            made.write_text("half")
            raise RuntimeError("no more room")

    with pytest.raises(RuntimeError):
        half()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "old")]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="no such folder"),
        whole_file(tmp_path / "nowhere/x"),
    ):
        pass
