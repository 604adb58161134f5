"""Files read a column at a time: never taken where the rows' reader refuses, and read to the same values."""

import random
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from flotilla.engine_sidecar.catalog.plain import plain_tables
from flotilla.engine_sidecar.catalog.plain_times import NotPlainError
from flotilla.engine_sidecar.catalog.reading import DataType, Reading
from flotilla.engine_sidecar.catalog.records import records
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.rows import layout_of, opened
from flotilla.engine_sidecar.catalog.tables import of_records

FILES = 250
ODD_NUMBERS = (
    *("1", "0.0001", "1e1", "-1", "0", "", "nan", "1,5", "1_0", "+2", " 3 ", "1.", "1.10"),
    *("1.23456789012345678", "99999999999999"),
)
ODD_TIMES = (
    *("1704207600", "1704207600000000", "20240102", "", "x", "01704207600000", "-1704207600000"),
    *("2024-01-02", "2024-01-02T15:00:00.123456789Z", "2024-01-02T15:00:00+01:00", "2024-01-02 15:00"),
    *("2024-02-30T15:00:00Z", "2024-01-02T24:00:00Z", "2024-01-02T15:00:60Z", "2024-01-02T15:00:00 +0100"),
    *("1904-01-02T15:00:00Z", "2024-01-02t15:00:00Z", "2024-01-02T15Z", "2500-01-02T15:00:00Z"),
)
ODD_SIDES = ("buy", "SELL", "b", "", "x", "none", " sell ")
ODD_IDS = ("", "7", "x" * 36, "x" * 37, "é")
HEADERS = {
    DataType.BARS: ("close_time,open,high,low,close,volume", ("2", "3.5", "1", "2.25", "100")),
    DataType.QUOTES: ("timestamp,bid,ask,bid_size,ask_size", ("1.5", "1.75", "10", "0")),
    DataType.TRADES: ("timestamp,price,size,side,trade_id", ("1.5", "10")),
}


def a_file(chance: random.Random, data_type: DataType) -> str:
    """A few rows, most of them sound."""
    header, usual = HEADERS[data_type]
    form = chance.choice(["{epoch}", "2024-01-02T15:{minute:02}:00Z", "2024-01-02 15:{minute:02}:00"])

    def often(cell: str, odd: tuple[str, ...]) -> str:
        return cell if chance.random() < 0.94 else chance.choice(odd)

    lines = [header]
    for minute in range(chance.randrange(1, 5)):
        time = form.format(epoch=1_704_207_600_000 + minute * 60_000, minute=minute)
        cells = [often(time, ODD_TIMES), *(often(number, ODD_NUMBERS) for number in usual)]
        if data_type is DataType.TRADES:
            cells += [often("buy", ODD_SIDES), often(str(minute), ODD_IDS)]
        lines.append(",".join(cells))
    return "".join(f"{line}\n" for line in lines)


def a_reading(chance: random.Random, data_type: DataType) -> Reading:
    zones = (None, None, ZoneInfo("UTC"), ZoneInfo("Etc/GMT+5"), ZoneInfo("America/New_York"))
    return Reading(
        data_type=data_type,
        zone=chance.choice(zones),
        step=timedelta(minutes=1) if data_type is DataType.BARS else None,
        price_precision=chance.choice((None, None, 2)),
        size_precision=chance.choice((None, None, 0)),
        fixed_decimals=chance.choice((None, None, 2)),
        sort=chance.random() < 0.1,
    )


@pytest.mark.parametrize("data_type", DataType)
def test_what_is_taken_by_column_is_what_is_taken_by_row(tmp_path: Path, data_type: DataType) -> None:
    chance, file, taken = random.Random(7), tmp_path / "data.csv", 0
    for _ in range(FILES):
        text, how = a_file(chance, data_type), a_reading(chance, data_type)
        file.write_text(text)
        with opened(file, how) as (sheet, _):
            where = layout_of(sheet, how)
        try:
            by_column = pa.concat_tables(list(plain_tables(file, sheet, where, how))).combine_chunks()
        except NotPlainError:
            continue
        taken += 1
        try:
            by_row = of_records(list(records(file, how)), data_type, file)
        except ImportRefusedError as error:
            pytest.fail(f"by row it is refused: {error}\n{how}\n{text}")
        assert by_column.equals(by_row), f"{how}\n{text}"
    assert taken > FILES / 5


@pytest.mark.parametrize(
    ("time", "zone", "time_format"),
    [
        ("20240102 150000", "Etc/GMT+5", "%Y%m%d %H%M%S"),
        ("20240102 150000123", "UTC", "%Y%m%d %H%M%S%f"),
        ("02.01.2024 15:00:00.5", "UTC", "%d.%m.%Y %H:%M:%S.%f"),
        ("2024/01/02 15h00", "Asia/Kolkata", "%Y/%m/%d %Hh%M"),
    ],
)
def test_times_of_a_fixed_width_are_read_by_column(
    tmp_path: Path, time: str, zone: str, time_format: str
) -> None:
    file = tmp_path / "data.csv"
    file.write_text(f"timestamp,price,size\n{time},1,1\n")
    how = Reading(data_type=DataType.TRADES, zone=ZoneInfo(zone), time_format=time_format)
    with opened(file, how) as (sheet, _):
        where = layout_of(sheet, how)
    (table,) = plain_tables(file, sheet, where, how)
    assert table.equals(of_records(list(records(file, how)), DataType.TRADES, file))
