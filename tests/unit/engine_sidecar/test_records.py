"""The rules that market data has to keep before it is imported, each told with file, line and column."""

import gzip
import re
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flotilla.engine_sidecar.catalog.reading import DataType, Stamp
from flotilla.engine_sidecar.catalog.records import Reading, records
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

BARS = Reading(data_type=DataType.BARS, step=timedelta(days=1))
QUOTES = Reading(data_type=DataType.QUOTES)
TRADES = Reading(data_type=DataType.TRADES)
DAY_NS = 86_400 * 10**9
JAN_4 = 1262563200 * 10**9
BAR_HEADER = "date,open,high,low,close,volume"
QUOTE_HEADER = "timestamp,bid,ask,bid_size,ask_size"
TRADE_HEADER = "timestamp,price,size,side,trade_id"


def written(folder: Path, *lines: str, name: str = "data.csv") -> Path:
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_a_dated_bar_closes_at_the_midnight_that_ends_its_day(tmp_path: Path) -> None:
    file = written(tmp_path, BAR_HEADER, "2010-01-04,10,12,9,11,1000", "2010-01-05,11,11,11,11,0")
    first, second = records(file, BARS)
    assert (first.ts, second.ts) == (JAN_4 + DAY_NS, JAN_4 + 2 * DAY_NS)
    assert first.numbers == {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 1000}


@pytest.mark.parametrize(("stamp", "days"), [(Stamp.OPEN, 7), (Stamp.CLOSE, 1)])
def test_the_date_of_a_week_is_its_first_day_or_its_last_as_is_said(
    tmp_path: Path, stamp: Stamp, days: int
) -> None:
    file = written(tmp_path, BAR_HEADER, "2010-01-04,10,12,9,11,1000")
    weeks = Reading(data_type=DataType.BARS, step=timedelta(days=7))
    with pytest.raises(ImportRefusedError, match="give --stamp open or --stamp close"):
        list(records(file, weeks))
    (bar,) = records(file, msgspec.structs.replace(weeks, stamp=stamp))
    assert bar.ts == JAN_4 + days * DAY_NS


FIVE_MINUTES = Reading(data_type=DataType.BARS, step=timedelta(minutes=5))
OHLCV = "open,high,low,close,volume"


@pytest.mark.parametrize("title", ["open_time", "Open time", "openTime", "time_open", "OPEN TIME"])
def test_times_of_the_open_are_moved_to_the_close(tmp_path: Path, title: str) -> None:
    file = written(tmp_path, f"{title},{OHLCV}", "1262563200000,1,1,1,1,1")
    assert [record.ts for record in records(file, FIVE_MINUTES)] == [JAN_4 + 300 * 10**9]


@pytest.mark.parametrize("title", ["close_time", "Close time", "closeTime", "time_close"])
def test_times_of_the_close_are_taken_as_they_are(tmp_path: Path, title: str) -> None:
    file = written(tmp_path, f"{title},{OHLCV}", "1262563200000,1,1,1,1,1")
    assert [record.ts for record in records(file, FIVE_MINUTES)] == [JAN_4]


@pytest.mark.parametrize(("title", "stamp"), [("open_time", Stamp.CLOSE), ("close_time", Stamp.OPEN)])
def test_a_stamp_that_contradicts_the_header_is_refused(tmp_path: Path, title: str, stamp: Stamp) -> None:
    file = written(tmp_path, f"{title},{OHLCV}", "1262563200000,1,1,1,1,1")
    with pytest.raises(ImportRefusedError, match=f"is of the {title[:-5]}: leave out --stamp {stamp}"):
        list(records(file, msgspec.structs.replace(FIVE_MINUTES, stamp=stamp)))
    both = f"open_time,close_time,{OHLCV}"
    file = written(tmp_path, both, "1262563200000,1262563500000,1,1,1,1,1")
    assert len(list(records(file, msgspec.structs.replace(FIVE_MINUTES, stamp=stamp)))) == 1


@pytest.mark.parametrize("step", [timedelta(minutes=5), timedelta(hours=36), None])
def test_a_date_alone_is_no_time_of_a_bar_but_one_of_whole_days(
    tmp_path: Path, step: timedelta | None
) -> None:
    file = written(tmp_path, BAR_HEADER, "2010-01-04,1,1,1,1,1")
    with pytest.raises(ImportRefusedError, match="2010-01-04 has no time of day"):
        list(records(file, Reading(data_type=DataType.BARS, step=step)))


@pytest.mark.parametrize("title", ["timestamp", "time", "datetime", "date", "ts_event"])
def test_times_that_may_be_of_open_or_close_are_asked_for(tmp_path: Path, title: str) -> None:
    file = written(tmp_path, f"{title},{OHLCV}", "1262563200000,1,1,1,1,1")
    with pytest.raises(ImportRefusedError, match="give --stamp open or --stamp close"):
        list(records(file, FIVE_MINUTES))
    for stamp, after_s in ((Stamp.OPEN, 300), (Stamp.CLOSE, 0)):
        asked = msgspec.structs.replace(FIVE_MINUTES, stamp=stamp)
        assert [record.ts for record in records(file, asked)] == [JAN_4 + after_s * 10**9]


def test_a_bar_of_no_fixed_length_has_no_close_that_its_open_tells(tmp_path: Path) -> None:
    file = written(tmp_path, f"open_time,{OHLCV}", "1262563200000,1,1,1,1,1")
    with pytest.raises(ImportRefusedError, match="only a column close_time can tell"):
        list(records(file, Reading(data_type=DataType.BARS)))
    file = written(tmp_path, f"open_time,close_time,{OHLCV}", "1262563200000,1262563261000,1,1,1,1,1")
    assert [record.ts for record in records(file, Reading(data_type=DataType.BARS))] == [JAN_4 + 61 * 10**9]


@pytest.mark.parametrize("close", ["1262563200000", "1262563199000", "1262563501000", "1262563350000"])
def test_a_close_that_is_not_that_of_the_bar_type_is_refused(tmp_path: Path, close: str) -> None:
    file = written(tmp_path, f"open_time,close_time,{OHLCV}", f"1262563200000,{close},1,1,1,1,1")
    with pytest.raises(ImportRefusedError, match="is no bar of 0:05:00"):
        list(records(file, FIVE_MINUTES))


def test_a_day_that_opens_in_a_zone_closes_with_its_midnight_when_clocks_change(tmp_path: Path) -> None:
    file = written(
        tmp_path, f"open_time,{OHLCV}", "2024-03-10 00:00:00,1,1,1,1,1", "2024-11-03 00:00:00,1,1,1,1,1"
    )
    days = msgspec.structs.replace(BARS, zone=ZoneInfo("America/New_York"))
    known = [datetime.fromtimestamp(record.ts / 1e9, UTC) for record in records(file, days)]
    assert known == [datetime(2024, 3, 11, 4, tzinfo=UTC), datetime(2024, 11, 4, 5, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("apart_s", "is_taken"), [(300, True), (150, True), (149, False), (60, False), (1, False)]
)
def test_bars_are_not_nearer_to_each_other_than_half_their_length(
    tmp_path: Path, apart_s: int, is_taken: bool
) -> None:
    rows = [f"{1262563200 + index * apart_s},1,1,1,1,1" for index in range(3)]
    file = written(tmp_path, f"close_time,{OHLCV}", *rows)
    if is_taken:
        assert len(list(records(file, FIVE_MINUTES))) == 3
        return
    why = f"line 3, column 'close_time': is {timedelta(seconds=apart_s)} after the row before, and a bar of this type"
    with pytest.raises(ImportRefusedError, match=re.escape(why)):
        list(records(file, FIVE_MINUTES))


def test_a_bar_as_long_as_its_type_is_one(tmp_path: Path) -> None:
    header = f"open_time,close_time,{OHLCV}"
    file = written(tmp_path, header, "1262563200,1262563500,1,1,1,1,1", "1262563500,1262563800,1,1,1,1,1")
    assert [bar.ts for bar in records(file, FIVE_MINUTES)] == [JAN_4 + 300 * 10**9, JAN_4 + 600 * 10**9]


def utc_times(file: Path, how: Reading) -> list[str]:
    return [f"{datetime.fromtimestamp(one.ts / 1e9, UTC):%H:%M}" for one in records(file, how)]


def test_where_clocks_go_back_bars_go_on_and_ticks_of_one_time_stay_together(tmp_path: Path) -> None:
    new_york = ZoneInfo("America/New_York")
    times = [f"2023-11-05 {clock}" for clock in ("00:30", "01:00", "01:30", "01:00", "01:30", "02:00")]
    file = written(tmp_path, f"time,{OHLCV}", *(f"{time},1,1,1,1,1" for time in times))
    half_hours = Reading(data_type=DataType.BARS, step=timedelta(minutes=30), zone=new_york)
    closed = msgspec.structs.replace(half_hours, stamp=Stamp.CLOSE)
    assert utc_times(file, closed) == ["04:30", "05:00", "05:30", "06:00", "06:30", "07:00"]
    opened = msgspec.structs.replace(half_hours, stamp=Stamp.OPEN)
    assert utc_times(file, opened) == ["05:00", "05:30", "06:00", "06:30", "07:00", "07:30"]
    ticks = ["01:00", "01:30", "01:30", "01:29", "01:29", "01:30"]
    file = written(tmp_path, "time,price,size", *(f"2023-11-05 {clock},1,1" for clock in ticks))
    trades = msgspec.structs.replace(TRADES, zone=new_york)
    assert utc_times(file, trades) == ["05:00", "05:30", "05:30", "06:29", "06:29", "06:30"]


NEW_YORK = ZoneInfo("America/New_York")
HALF_HOURS = Reading(data_type=DataType.BARS, step=timedelta(minutes=30), zone=NEW_YORK)


@pytest.mark.parametrize(
    ("clocks", "in_doubt"),
    [
        (("01:10", "01:20"), "01:10"),  # the file ends
        (("01:10", "01:20", "02:05"), "01:10"),  # the second hour, or the first
        (("00:50", "01:20", "02:05"), "01:20"),
    ],
)
def test_an_hour_that_comes_twice_is_refused_where_the_rows_do_not_tell_which_it_is(
    tmp_path: Path, clocks: tuple[str, ...], in_doubt: str
) -> None:
    trades = msgspec.structs.replace(TRADES, zone=NEW_YORK)
    file = written(tmp_path, "time,price,size", *(f"2023-11-05 {clock},1,1" for clock in clocks))
    with pytest.raises(ImportRefusedError, match=f"'2023-11-05 {in_doubt}' comes twice in America/New_York"):
        list(records(file, trades))
    file = written(tmp_path, "time,price,size", *(f"2023-11-05 {clock}-05:00,1,1" for clock in clocks))
    assert len(list(records(file, trades))) == len(clocks)


def test_a_doubt_of_one_autumn_is_not_settled_by_the_next(tmp_path: Path) -> None:
    times = ("2022-11-06 01:10", "2022-11-07 00:00", "2023-11-05 01:30", "2023-11-05 01:10")
    file = written(tmp_path, "time,price,size", *(f"{time},1,1" for time in times))
    with pytest.raises(ImportRefusedError, match="line 3, column 'time': '2022-11-06 01:10' comes twice"):
        list(records(file, msgspec.structs.replace(TRADES, zone=NEW_YORK)))


def test_open_and_close_together_tell_which_of_two_hours_a_bar_is_of(tmp_path: Path) -> None:
    clocks = ("00:30", "01:00", "01:30", "01:00", "01:30", "02:00")
    header = f"open_time,close_time,{OHLCV}"
    rows = [f"2023-11-05 {a},2023-11-05 {b},1,1,1,1,1" for a, b in pairwise(clocks)]
    assert utc_times(written(tmp_path, header, *rows), HALF_HOURS) == [
        "05:00",
        "05:30",
        "06:00",
        "06:30",
        "07:00",
    ]
    for number, close in ((0, "05:00"), (2, "06:00"), (4, "07:00")):
        assert utc_times(written(tmp_path, header, rows[number]), HALF_HOURS) == [close]
    for number in (1, 3):
        with pytest.raises(ImportRefusedError, match="comes twice in America/New_York"):
            list(records(written(tmp_path, header, rows[number]), HALF_HOURS))
    with pytest.raises(ImportRefusedError, match="'2023-11-05 01:30' comes twice"):
        list(records(written(tmp_path, header, rows[1], rows[4]), HALF_HOURS))


@pytest.mark.parametrize(
    ("opened", "closed", "hours"),
    [
        ("2024-11-03 00:00:00", "2024-11-04 00:00:00", 25),
        ("2024-11-03T00:00:00-04:00", "2024-11-03T23:59:59-05:00", 25),
        ("2024-03-10 00:00:00", "2024-03-11 00:00:00", 23),
    ],
)
def test_a_day_by_its_open_and_close_may_have_the_hour_that_clocks_go_back(
    tmp_path: Path, opened: str, closed: str, hours: int
) -> None:
    file = written(tmp_path, f"open_time,close_time,{OHLCV}", f"{opened},{closed},1,1,1,1,1")
    (bar,) = records(file, msgspec.structs.replace(BARS, zone=NEW_YORK))
    begun = datetime.fromisoformat(opened).replace(tzinfo=NEW_YORK).timestamp()
    assert round((bar.ts / 1e9 - begun) / 3600, 2) == hours


def test_a_day_of_26_hours_is_none(tmp_path: Path) -> None:
    file = written(tmp_path, f"open_time,close_time,{OHLCV}", "1262563200,1262656800,1,1,1,1,1")
    with pytest.raises(ImportRefusedError, match="is no bar of 1 day"):
        list(records(file, BARS))


@pytest.mark.parametrize("title", ["instrument_id", "Symbol", "ticker", "product_id", "pair"])
def test_ticks_of_several_instruments_are_refused_by_the_column_that_tells(
    tmp_path: Path, title: str
) -> None:
    header = f"ts_event,rtype,publisher_id,{title},price,size"
    rows = ("1262563200000000000,0,2,15144,186.03,1", "1262563200000000001,0,2,15145,52.10,1")
    assert len(list(records(written(tmp_path, header, rows[0], rows[0]), TRADES))) == 2
    with pytest.raises(
        ImportRefusedError, match=f"line 3, column '{title}': '.*' is another than '.*' of the first row"
    ):
        list(records(written(tmp_path, header, *rows), TRADES))
    quotes = f"ts_event,rtype,publisher_id,{title},bid_price,ask_price,bid_size,ask_size"
    rows = ("1262563200000000000,0,2,15144,1,2,1,1", "1262563200000000001,0,2,15145,1,2,1,1")
    with pytest.raises(
        ImportRefusedError, match=f"column '{title}': '.*' is another than '.*' of the first row"
    ):
        list(records(written(tmp_path, quotes, *rows), QUOTES))


def test_where_a_symbol_tells_instrument_ids_may_change(tmp_path: Path) -> None:
    header = "ts_event,rtype,publisher_id,instrument_id,price,size,symbol"
    rows = ("1262563200000000000,0,2,1,1.5,1,ESH0", "1262563200000000001,0,2,2,1.5,1,ESH0")
    assert len(list(records(written(tmp_path, header, *rows), TRADES))) == 2


DATABENTO = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume"


def test_databentos_bars_have_times_of_the_open_and_prices_in_billionths(tmp_path: Path) -> None:
    row = "2010-01-04T12:00:00.000000000Z,33,2,15144,186030000000,186110000000,185950000000,186050000000,1234"
    file = written(tmp_path, DATABENTO, row)
    (bar,) = records(file, FIVE_MINUTES)
    assert bar.ts == JAN_4 + (12 * 3600 + 300) * 10**9
    numbers = [bar.numbers[field] for field in ("open", "high", "low", "close", "volume")]
    assert numbers == [Decimal("186.03"), Decimal("186.11"), Decimal("185.95"), Decimal("186.05"), 1234]
    pretty = written(tmp_path, DATABENTO, "2010-01-04T12:00:00Z,33,2,1,186.030000000,187.0,186.0,186.5,1")
    assert next(records(pretty, FIVE_MINUTES)).numbers["open"] == Decimal("186.03")
    file = written(tmp_path, DATABENTO, row)
    said = msgspec.structs.replace(FIVE_MINUTES, fixed_decimals=0)
    assert next(records(file, said)).numbers["open"] == 186030000000


@pytest.mark.parametrize("title", ["rtype", "publisher_id", "timestamp"])
def test_without_all_of_databentos_columns_nothing_is_taken_for_its(tmp_path: Path, title: str) -> None:
    header = DATABENTO.replace(title, "other") if title in DATABENTO else f"timestamp,{DATABENTO[9:]}"
    row = "2010-01-04T12:00:00Z,33,2,1,1,1,1,1,1"
    with pytest.raises(ImportRefusedError, match="give --stamp"):
        list(records(written(tmp_path, header, row), FIVE_MINUTES))
    closed = msgspec.structs.replace(FIVE_MINUTES, stamp=Stamp.CLOSE)
    assert next(records(written(tmp_path, header, row), closed)).numbers["open"] == 1


def test_dukascopys_times_are_of_the_open_with_the_day_first_in_utc(tmp_path: Path) -> None:
    file = written(tmp_path, "Gmt time,Open,High,Low,Close,Volume", "04.01.2010 00:00:00.250,1,1,1,1,1.5")
    assert [bar.ts for bar in records(file, FIVE_MINUTES)] == [JAN_4 + 300_250_000_000]


ADJUSTED = f"date,{OHLCV},Adj Close"


def test_a_bar_is_scaled_to_its_adjusted_close_or_not_as_was_chosen(tmp_path: Path) -> None:
    file = written(tmp_path, ADJUSTED, "2010-01-04,100,104,72,80,500,40.0")
    with pytest.raises(ImportRefusedError, match=re.escape("40.0 is not the close 80: give --prices raw or")):
        list(records(file, BARS))
    shape = ("open", "high", "low", "close", "volume")
    for choice, numbers in (("raw", [100, 104, 72, 80, 500]), ("adjusted", [50, 52, 36, 40, 500])):
        (bar,) = records(file, msgspec.structs.replace(BARS, prices=choice))
        assert [bar.numbers[field] for field in shape] == numbers
        assert "adjusted_close" not in bar.numbers


@pytest.mark.parametrize(("close", "adjusted"), [("0", "40"), ("-2", "40"), ("0", "-1")])
def test_a_close_of_nothing_cannot_be_scaled(tmp_path: Path, close: str, adjusted: str) -> None:
    file = written(tmp_path, ADJUSTED, f"2010-01-04,100,104,-2,{close},500,{adjusted}")
    chosen = msgspec.structs.replace(BARS, prices="adjusted", may_be_negative=True)
    said = f"line 2, column 'close': close {close} cannot be scaled to {adjusted}: it is not positive"
    with pytest.raises(ImportRefusedError, match=re.escape(said)):
        list(records(file, chosen))


def test_an_adjusted_close_that_makes_more_of_a_price_than_can_be_held_is_named(tmp_path: Path) -> None:
    file = written(
        tmp_path, ADJUSTED, "2010-01-04,1,900000000000,0.0000000000000001,0.0000000000000001,5,1000000"
    )
    with pytest.raises(ImportRefusedError, match="column 'Adj Close': 1000000 makes more of a price"):
        list(records(file, msgspec.structs.replace(BARS, prices="adjusted")))


def test_where_the_adjusted_close_is_the_close_nothing_is_asked(tmp_path: Path) -> None:
    file = written(tmp_path, ADJUSTED, "2010-01-04,10,12,9,11,5,11.00")
    assert [bar.numbers["close"] for bar in records(file, BARS)] == [11]


def test_prices_below_zero_are_for_those_that_may_have_them(tmp_path: Path) -> None:
    file = written(tmp_path, BAR_HEADER, "2010-01-04,-1,1,-38.5,0,5")
    with pytest.raises(ImportRefusedError, match="price -1 is not positive, which only those of futures"):
        list(records(file, BARS))
    (bar,) = records(file, msgspec.structs.replace(BARS, may_be_negative=True))
    assert bar.numbers["low"] == Decimal("-38.5")


def test_another_symbol_in_the_same_file_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, f"close_time,{OHLCV},Symbol", "1262563200,1,1,1,1,1,A", "1262563500,1,1,1,1,1,B")
    with pytest.raises(
        ImportRefusedError, match="line 3, column 'Symbol': 'B' is another than 'A' of the first row"
    ):
        list(records(file, FIVE_MINUTES))


def test_a_point_is_no_decimal_mark_where_a_comma_is(tmp_path: Path) -> None:
    file = written(tmp_path, f"close_time;{OHLCV.replace(',', ';')}", "1262563200;1.000;1;1;1;1")
    german = msgspec.structs.replace(FIVE_MINUTES, decimal_mark=",")
    with pytest.raises(ImportRefusedError, match=r"'1\.000' has a point, and the decimal mark is a comma"):
        list(records(file, german))


@pytest.mark.parametrize(
    ("row", "how"),
    [
        (f"{'s' * 200},1,1,1,1,1", {"time_format": "%Y"}),
        (f"{'s' * 200},1,1,1,1,1", {}),
        (f"2010-01-04,{'s' * 200},1,1,1,1", {}),
    ],
)
def test_no_more_of_a_cell_is_shown_than_finds_it(tmp_path: Path, row: str, how: dict[str, Any]) -> None:
    named = msgspec.structs.replace(BARS, columns=tuple(BAR_HEADER.split(",")), **how)
    with pytest.raises(ImportRefusedError) as refused:
        list(records(written(tmp_path, row), named))
    assert not re.search("s{50}", str(refused.value).removeprefix(str(tmp_path)))


def test_columns_are_found_by_their_usual_names_whatever_the_case(tmp_path: Path) -> None:
    file = written(tmp_path, "Close,Volume,Extra,Low,High,Open,Date", "11,5,x,9,12,10,2010-01-04")
    (record,) = records(file, BARS)
    assert record.numbers["close"] == 11


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_are_parted_by_commas_semicolons_or_tabs(tmp_path: Path, mark: str) -> None:
    file = written(tmp_path, BAR_HEADER.replace(",", mark), "2010-01-04,10,12,9,11,5".replace(",", mark))
    assert [record.numbers["close"] for record in records(file, BARS)] == [11]


def test_a_blank_line_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text(f"\ufeff{BAR_HEADER}\r\n2010-01-04,1,1,1,1,1\r\n\r\n")
    assert len(list(records(file, BARS))) == 1


def test_gzip_is_read(tmp_path: Path) -> None:
    file = tmp_path / "data.csv.gz"
    file.write_bytes(gzip.compress(f"{BAR_HEADER}\n2010-01-04,1,1,1,1,1\n".encode()))
    assert len(list(records(file, BARS))) == 1


@pytest.mark.parametrize("name", ["DATA.CSV.GZ", "data.csv", "data.Zip", "DATA.ZIP", "DATA.PARQUET", "data"])
@pytest.mark.parametrize("packing", ["gzip", "zip", "parquet"])
def test_how_a_file_is_packed_is_told_by_its_first_bytes(tmp_path: Path, name: str, packing: str) -> None:
    file, text = tmp_path / name, f"{BAR_HEADER}\n2010-01-04,10,12,9,11,5\n"
    if packing == "gzip":
        file.write_bytes(gzip.compress(text.encode()))
    elif packing == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("data.csv", text)
    else:
        columns = {
            "date": ["2010-01-04"],
            "open": [10],
            "high": [12],
            "low": [9],
            "close": [11],
            "volume": [5],
        }
        pq.write_table(pa.table(columns), file)
    assert [record.numbers["close"] for record in records(file, BARS)] == [11]


@pytest.mark.parametrize(
    ("name", "said"), [("DATA.GZ", "zlib"), ("DATA.ZIP", "zip"), ("DATA.PARQUET", "Parquet")]
)
def test_a_name_that_promises_a_packing_is_believed(tmp_path: Path, name: str, said: str) -> None:
    file = written(tmp_path, BAR_HEADER, "2010-01-04,10,12,9,11,5", name=name)
    with pytest.raises(ImportRefusedError, match=said):
        list(records(file, BARS))


def test_numbers_are_rounded_half_to_even_where_a_precision_is_given(tmp_path: Path) -> None:
    file = written(tmp_path, BAR_HEADER, "2010-01-04,1228.099976,1228.105,1228.085,1228.099976,10")
    rounding = Reading(data_type=DataType.BARS, step=timedelta(days=1), price_precision=2, size_precision=0)
    (record,) = records(file, rounding)
    assert record.numbers["open"] == Decimal("1228.10")
    assert record.numbers["high"] == Decimal("1228.10")
    assert record.numbers["low"] == Decimal("1228.08")


def test_trades_have_sides_and_ids_when_the_file_has(tmp_path: Path) -> None:
    file = written(
        tmp_path, TRADE_HEADER, "1262563200,1.5,10,BUY,a1", "1262563200,1.5,10,s,a2", "1262563201,1.5,1,,"
    )
    assert [(one.side, one.trade_id) for one in records(file, TRADES)] == [
        ("BUYER", "a1"),
        ("SELLER", "a2"),
        ("NO_AGGRESSOR", ""),
    ]


BAD_ROWS: list[tuple[Reading, str, str, str, int]] = [
    (BARS, BAR_HEADER, "2010-01-04,1,nan,1,1,1", "column 'high': 'nan' is not a finite number", 2),
    (BARS, BAR_HEADER, "2010-01-04,1,inf,1,1,1", "not a finite number", 2),
    (BARS, BAR_HEADER, "2010-01-04,one,1,1,1,1", "column 'open': 'one' is no number", 2),
    (BARS, BAR_HEADER, "2010-01-04,,1,1,1,1", "column 'open': is empty", 2),
    (BARS, BAR_HEADER, "2010-01-04,0,1,0,1,1", "column 'open': price 0 is not positive", 2),
    (BARS, BAR_HEADER, "2010-01-04,-1,1,1,1,1", "price -1 is not positive", 2),
    (BARS, BAR_HEADER, "2010-01-04,1,1,1,1,-1", "column 'volume': size -1 is negative", 2),
    (BARS, BAR_HEADER, "2010-01-04,3,2,1,1,1", "column 'open': open 3 is above the high 2", 2),
    (BARS, BAR_HEADER, "2010-01-04,2,3,2,1,1", "column 'close': close 1 is below the low 2", 2),
    (BARS, BAR_HEADER, "2010-01-04,2,1,3,2,1", "above the high", 2),
    (BARS, BAR_HEADER, "2010-01-04,1e300,1e300,1,1,1", "can hold", 2),
    (BARS, BAR_HEADER, "04.01.2010,1,1,1,1,1", "give --time-format '%m.%d.%Y' or '%d.%m.%Y'", 2),
    (BARS, BAR_HEADER, "2010-01-04 12:00,1,1,1,1,1", "give --timezone", 2),
    (BARS, BAR_HEADER, "1960-01-04,1,1,1,1,1", "before 1970", 2),
    (BARS, BAR_HEADER, "2010-01-04,1,1,1,1,1\n2010-01-04,1,1,1,1,1", "the same as in the row before", 3),
    (BARS, BAR_HEADER, "2010-01-05,1,1,1,1,1\n2010-01-04,1,1,1,1,1", "earlier than the row before", 3),
    (BARS, BAR_HEADER, "2010-01-04,1,1,1,1", "has 5 fields instead of 6", 2),
    (QUOTES, QUOTE_HEADER, "1262563200,2,1,5,5", "column 'bid': bid 2 is above the ask 1", 2),
    (QUOTES, QUOTE_HEADER, "2010-01-04,1,1,5,5", "has no time of day", 2),
    (QUOTES, QUOTE_HEADER, "2010-01-04 12:00Z,1,1,5,5\n2010-01-04 12:01,1,1,5,5", "no time zone", 3),
    (QUOTES, QUOTE_HEADER, "2010-01-04 12:00Z,1,1,5,5\n2010-01-04 12:00+05:00,1,1,5,5", "earlier than", 3),
    (
        QUOTES,
        QUOTE_HEADER,
        '1262563200,"1,5",2,5,5',
        "'1,5' is no number: give --decimal , if its comma is",
        2,
    ),
    (
        QUOTES,
        QUOTE_HEADER,
        '1262563200,"1,234.5",2,5,5',
        "give --thousands , if its commas set thousands apart",
        2,
    ),
    (
        QUOTES,
        QUOTE_HEADER,
        '1262563200,"1,234,567",2,5,5',
        "give --thousands , if its commas set thousands apart",
        2,
    ),
    (TRADES, TRADE_HEADER, "1262563200,1,0,buy,", "column 'size': size 0 is not positive", 2),
    (TRADES, TRADE_HEADER, "1262563200,1,1,up,", "column 'side': 'up' is neither buy nor sell", 2),
]


@pytest.mark.parametrize(("how", "header", "rows", "said", "line"), BAD_ROWS)
def test_an_unsound_row_is_named(
    tmp_path: Path, how: Reading, header: str, rows: str, said: str, line: int
) -> None:
    file = written(tmp_path, header, rows)
    with pytest.raises(ImportRefusedError) as refused:
        list(records(file, how))
    assert str(refused.value).startswith(f"{file}, line {line}")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"date,open,high,low,close,volume\n", "holds no rows"),
        (
            b"date,open,high,low,close\n2010-01-04,1,1,1,1\n",
            "there is no volume, only timestamp, open, high, low, close",
        ),
        (b"date,open,open,high,low,close,volume\n", "columns 2 and 3 have the same name"),
        (b"date|open|high|low|close|volume\n2010-01-04|1|1|1|1|1\n", "line 1 is no header of bars"),
        (b"\xff\xfe\x00bad", "no readable CSV"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "data.csv"
    file.write_bytes(content)
    with pytest.raises(ImportRefusedError, match=said) as refused:
        list(records(file, BARS))
    assert str(file) in str(refused.value)


def test_a_byte_that_is_no_utf_8_is_not_said_to_stand_where_it_does_not(tmp_path: Path) -> None:
    rows = "".join(f"{1262563200 + 86_400 * day},1,1,1,1,1\n" for day in range(2_000))
    (tmp_path / "data.csv").write_bytes(f"close_time,{OHLCV}\n{rows}".encode() + b"\xff\n")
    with pytest.raises(ImportRefusedError, match=r"is no readable CSV: it is not all UTF-8$"):
        list(records(tmp_path / "data.csv", BARS))


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [((6, 8), 1, "password required"), ((8, 10), 9, "compression method is not supported")],
)
def test_a_zip_that_cannot_be_unpacked_is_refused(
    tmp_path: Path, at: tuple[int, int], value: int, said: str
) -> None:
    file = tmp_path / "data.csv.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.csv", f"{BAR_HEADER}\n2010-01-04,1,1,1,1,1\n")
    content = bytearray(file.read_bytes())
    # Flags and method stand in the file's own header and in the directory at the end.
    for start, offset in zip((0, content.find(b"PK\x01\x02")), at, strict=True):
        content[start + offset] = value
    file.write_bytes(content)
    with pytest.raises(ImportRefusedError, match=f"data.csv.zip: cannot be unpacked here: .*{said}"):
        list(records(file, BARS))


@pytest.mark.parametrize("name", ["absent.csv", "folder.csv", "text.parquet", "text.csv.gz"])
def test_a_file_that_is_not_what_it_says_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    for text in ("text.parquet", "text.csv.gz"):
        (tmp_path / text).write_text("no such thing")
    with pytest.raises(ImportRefusedError, match=name):
        list(records(tmp_path / name, BARS))


@pytest.mark.parametrize(
    "times",
    [
        pa.array([JAN_4, JAN_4 + 1], pa.timestamp("ns", "UTC")),
        pa.array([JAN_4, JAN_4 + 1], pa.int64()),
        pa.array(["2010-01-04T00:00:00Z", "2010-01-04T00:00:00.000000001Z"]),
    ],
)
def test_parquet_is_read_like_csv(tmp_path: Path, times: Any) -> None:
    columns = {"timestamp": times, "price": pa.array([0.1, 2.5], pa.float32()), "size": pa.array([1, 2])}
    pq.write_table(pa.table(columns), tmp_path / "trades.parquet")
    found = list(records(tmp_path / "trades.parquet", TRADES))
    assert [one.ts for one in found] == [JAN_4, JAN_4 + 1]
    assert [one.numbers["price"] for one in found] == [Decimal("0.1"), Decimal("2.5")]


def test_a_parquet_time_without_a_zone_needs_one(tmp_path: Path) -> None:
    columns = {"timestamp": pa.array([JAN_4], pa.timestamp("ns")), "price": [1.0], "size": [1]}
    pq.write_table(pa.table(columns), tmp_path / "trades.parquet")
    with pytest.raises(ImportRefusedError, match="--timezone"):
        list(records(tmp_path / "trades.parquet", TRADES))


def test_an_empty_cell_in_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"timestamp": [JAN_4], "price": [None], "size": [1]}), tmp_path / "trades.parquet"
    )
    with pytest.raises(ImportRefusedError, match="line 1, column 'price': is empty"):
        list(records(tmp_path / "trades.parquet", TRADES))
