"""What can be said of files that do not tell it themselves, the layouts that are known by their shape, and changes to what is there."""

import gzip
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog import survey as survey_module
from flotilla.engine_sidecar.catalog.arguments import removal
from flotilla.engine_sidecar.catalog.command_line import parser
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.catalog.importing import Imported, ImportOrder, import_data
from flotilla.engine_sidecar.catalog.mending import consolidate, remove
from flotilla.engine_sidecar.catalog.plain_times import NotPlainError
from flotilla.engine_sidecar.catalog.preview import preview
from flotilla.engine_sidecar.catalog.reading import DataType, Stamp
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.tables import without_repetitions
from tests.engine_processes import ROOT
from tests.resident_memory import growth_mib

KINDS = {DataType.BARS: Bar, DataType.QUOTES: QuoteTick, DataType.TRADES: TradeTick}
BARS, QUOTES, TRADES = DataType.BARS, DataType.QUOTES, DataType.TRADES


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def never_plain(*_: object) -> None:
    raise NotPlainError("asked not to be")


@pytest.fixture(params=["by column", "by row"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read files have to agree."""
    if request.param == "by row":
        monkeypatch.setattr(survey_module, "plain_tables", never_plain)
    return str(request.param)


def order(
    data_type: DataType, *files: Path, instrument: str = "ETH/USD.SIM", step: str = "1-MINUTE", **fields: Any
) -> ImportOrder:
    is_bars = data_type is BARS
    return ImportOrder(
        files=files,
        data_type=data_type,
        instrument=instrument,
        bar_type=f"{instrument}-{step}-LAST-EXTERNAL" if is_bars else None,
        **fields,
    )


def brought_in(catalog: Path, wanted: ImportOrder) -> tuple[list[str], Imported]:
    """What NautilusTrader reads afterwards, as it writes its events, and what was told."""
    done = import_data(catalog, wanted, lambda *_: None)
    return held(catalog, wanted.data_type, done.identifier), done


def held(catalog: Path, data_type: DataType, identifier: str) -> list[str]:
    found = ParquetDataCatalog(str(catalog)).query(KINDS[data_type], [identifier])
    return [str(one).removeprefix(f"{identifier},") for one in found]


def refusal(catalog: Path, wanted: ImportOrder) -> str:
    before = sorted(catalog.rglob("*.parquet"))
    with pytest.raises(ImportRefusedError) as refused:
        import_data(catalog, wanted, lambda *_: None)
    assert sorted(catalog.rglob("*.parquet")) == before
    assert not (catalog / ".import").exists()
    return str(refused.value)


def written(folder: Path, text: str, name: str = "data.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


MOMENT = 1_704_207_600_000  # 2 January 2024, 15:00 UTC
AT = f"{MOMENT}000000"
LAYOUTS = [
    (
        "Binance trades",
        TRADES,
        f"1,10.5,2,21.0,{MOMENT},True,True\n2,10.6,1,10.6,{MOMENT}000,False,True\n".replace(
            f"{MOMENT}000", f"{MOMENT}"
        ),
        {},
        [f"10.5,2,SELLER,1,{AT}", f"10.6,1,BUYER,2,{AT}"],
    ),
    (
        "Binance aggregate trades",
        TRADES,
        f"7,10.5,2,1,3,{MOMENT}000,true,true\n",
        {},
        [f"10.5,2,SELLER,7,{AT}"],
    ),
    (
        "Binance aggregate trades",
        TRADES,
        f"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n7,10.5,2,1,3,{MOMENT},false\n",
        {},
        [f"10.5,2,BUYER,7,{AT}"],
    ),
    (
        "Binance trades",
        TRADES,
        f"id,price,qty,quote_qty,time,is_buyer_maker\n7,10.5,2,21,{MOMENT},false\n",
        {},
        [f"10.5,2,BUYER,7,{AT}"],
    ),
    (
        "Binance book ticker",
        QUOTES,
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n"
        f"1,10.5,2,10.6,3,{MOMENT},{MOMENT}\n",
        {},
        [f"10.5,10.6,2,3,{AT}"],
    ),
    (
        "Kraken trades",
        TRADES,
        "1704207600,10.5,2.25\n",
        {},
        [f"10.5,2.25,NO_AGGRESSOR,T-{AT},{AT}"],
    ),
    (
        "CryptoDataDownload",
        BARS,
        "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
        "1704207660000,2024-01-02 15:01:00,BTC/USD,2,3,1,2,5,10\n"
        "1704207600000,2024-01-02 15:00:00,BTC/USD,1,2,1,2,4,8\n",
        {},
        [f"1,2,1,2,4,{1704207660 * 10**9}", f"2,3,1,2,5,{1704207720 * 10**9}"],
    ),
    (
        "Dukascopy ticks",
        QUOTES,
        "Gmt time,Ask,Bid,AskVolume,BidVolume\n02.01.2024 15:00:00.000,1.1001,1.1,0.75,1.5\n",
        {},
        [f"1.1000,1.1001,1.50,0.75,{AT}"],
    ),
    (
        "Dukascopy bars",
        BARS,
        "Local time,Open,High,Low,Close,Volume\n02.01.2024 16:00:00.000 GMT+0100,1,2,1,2,3\n",
        {},
        [f"1,2,1,2,3,{1704207660 * 10**9}"],
    ),
    (
        "Stooq",
        BARS,
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "ABC.US,D,20240102,000000,1,2,1,2,3,0\n",
        {"step": "1-DAY", "timezone": "UTC"},
        [f"1,2,1,2,3,{1704240000 * 10**9}"],
    ),
    (
        "HistData ticks",
        QUOTES,
        "20240102 100000000,1.1,1.2,0\n",
        {"default_size": Decimal(1000)},
        [f"1.1,1.2,1000,1000,{AT}"],
    ),
    (
        "MetaTrader bars",
        BARS,
        "2024.01.02,17:00,1,2,1,2,3\n",
        {"timezone": "Etc/GMT-2"},
        [f"1,2,1,2,3,{1704207660 * 10**9}"],
    ),
    (
        "TrueFX ticks",
        QUOTES,
        "EUR/USD,20240102 15:00:00.000,1.1,1.2\n",
        {"default_size": Decimal(1000)},
        [f"1.1,1.2,1000,1000,{AT}"],
    ),
    (
        "Yahoo",
        BARS,
        "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,1,2,1,2,2,3\n",
        {"step": "1-DAY"},
        [f"1,2,1,2,3,{1704240000 * 10**9}"],
    ),
    (
        "Interactive Brokers",
        BARS,
        "date,open,high,low,close,volume,average,barCount\n20240102  10:00:00,1,2,1,2,3,1.5,7\n",
        {"timezone": "America/New_York"},
        [f"1,2,1,2,3,{1704207660 * 10**9}"],
    ),
    (
        "Interactive Brokers",
        BARS,
        "date,open,high,low,close,volume,average,barCount\n20240102 10:00:00 US/Eastern,1,2,1,2,3,1.5,7\n",
        {},
        [f"1,2,1,2,3,{1704207660 * 10**9}"],
    ),
    (
        "Databento trades",
        TRADES,
        "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,symbol\n"
        f"{AT},{int(AT) - 5},0,2,15,T,A,0,186030000000,5,0,1,1,AAPL\n{AT},{int(AT) - 4},0,2,15,T,B,0,186040000000,5,0,1,2,AAPL\n",
        {},
        [f"186.03,5,SELLER,T-{AT},{AT}", f"186.04,5,BUYER,T-{AT},{AT}"],
    ),
    (
        "Databento best bid and offer",
        QUOTES,
        "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n"
        f"2024-01-02T15:00:00.000000000Z,{AT},1,2,15,A,B,0,1,5,186.03,186.05,3,4\n",
        {},
        [f"186.03,186.05,3,4,{AT}"],
    ),
]


@pytest.mark.parametrize(
    ("name", "data_type", "text", "given", "events"),
    LAYOUTS,
    ids=[f"{one[0]}-{i}" for i, one in enumerate(LAYOUTS)],
)
def test_layouts_of_vendors_are_known_by_their_shape(
    tmp_path: Path,
    catalog: Path,
    reader: str,
    name: str,
    data_type: DataType,
    text: str,
    given: dict[str, Any],
    events: list[str],
) -> None:
    found, told = brought_in(catalog, order(data_type, written(tmp_path, text), **given))
    assert (told.layouts, found) == ((name,), events)


DATABENTO = "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence"


@pytest.mark.parametrize("action", ["A", "C", "M", "R", "F", ""])
def test_updates_of_a_book_are_not_taken_for_trades(
    tmp_path: Path, catalog: Path, reader: str, action: str
) -> None:
    rows = (f"{AT},{AT},160,2,15,{one},B,0,186030000000,5,0,1,1\n" for one in ("T", action))
    said = refusal(catalog, order(TRADES, written(tmp_path, f"{DATABENTO}\n{''.join(rows)}")))
    assert f"line 3, column 'action': {action!r} is no trade: these are book updates" in said
    assert said.endswith("give a file of the trades schema")


@pytest.mark.parametrize(
    ("price", "rounded"), [("9223372036854775807", {}), ("9223372036.854775807", {"price_precision": 2})]
)
def test_the_mark_for_no_price_is_not_taken_for_one(
    tmp_path: Path, catalog: Path, reader: str, price: str, rounded: dict[str, Any]
) -> None:
    header = "ts_recv,ts_event,rtype,publisher_id,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00"
    rows = (f"{AT},{AT},1,2,186030000000,{ask},3,4\n" for ask in ("186040000000", price))
    said = refusal(catalog, order(QUOTES, written(tmp_path, f"{header}\n{''.join(rows)}"), **rounded))
    assert f"line 3, column 'ask_px_00': {price!r} stands for no price at all: leave out such rows" in said


def test_what_a_vendor_does_not_tell_is_asked_for(tmp_path: Path, catalog: Path) -> None:
    metatrader = written(tmp_path, "2024.01.02,17:00,1,2,1,2,3\n")
    assert "give --timezone" in refusal(catalog, order(BARS, metatrader))
    truefx = written(tmp_path, "EUR/USD,20240102 15:00:00.000,1.1,1.2\n")
    assert "there is no bid_size, ask_size" in refusal(catalog, order(QUOTES, truefx))
    assert "give --default-size for all rows" in refusal(catalog, order(QUOTES, truefx))


QUOTE = "timestamp,bid,ask,bid_size,ask_size\n"
SHAPES = [
    (f"{MOMENT},1,2,3,4\n", {"no_header": True}),
    (f"from somebody\n\n{QUOTE}{MOMENT},1,2,3,4\n", {"skip": 2}),
    (f"from somebody\n{MOMENT},1,2,3,4\n", {"skip": 1, "no_header": True}),
    (f"{QUOTE}{MOMENT},1,2,3,4\n".replace(",", "|"), {"delimiter": "|"}),
    (f"{QUOTE}{MOMENT},1,2,3,4\n".replace(",", "\t"), {}),
    (f"{QUOTE}{MOMENT},1,2,3,4\n".replace(",", ";").replace(";1;2;", ";1,0;2,0;"), {"decimal": ","}),
    (f'{QUOTE}{MOMENT}, 1 ,2," 3",4\n\n', {}),
    (f"{QUOTE}2024-01-02T15:00:00Z,1,2,3,4\n", {}),
    (f"{QUOTE}2024-01-02 16:00:00+01:00,1,2,3,4\n", {}),
    (f"{QUOTE}2024-01-02 15:00,1,2,3,4\n", {"timezone": "UTC"}),
    (f"{QUOTE}2024-01-02 10:00,1,2,3,4\n", {"timezone": "America/New_York"}),
    (f"{QUOTE}02/01/2024 15.00,1,2,3,4\n", {"timezone": "UTC", "time_format": "%d/%m/%Y %H.%M"}),
    ("date,time,bid,ask,bid_size,ask_size\n2024-01-02,15:00:00,1,2,3,4\n", {"timezone": "UTC"}),
    (
        f"a,b,c,d,e\n{MOMENT},1,2,3,4\n",
        {"skip": 1, "columns": ("time", "bid", "ask", "bid_size", "ask_size")},
    ),
    (f"timestamp,bid,ask\n{MOMENT},1,2\n", {"default_size": Decimal(3)}),
    (f"{QUOTE}{MOMENT},1e0,2.0,3,4\n", {}),
]


@pytest.mark.parametrize(("text", "given"), SHAPES)
def test_one_quote_in_many_shapes_is_one_quote(
    tmp_path: Path, catalog: Path, reader: str, text: str, given: dict[str, Any]
) -> None:
    (found,), _ = brought_in(catalog, order(QUOTES, written(tmp_path, text), **given))
    sizes = "3,3" if "default_size" in given else "3,4"
    assert found == f"1,2,{sizes},{AT}"


@pytest.mark.parametrize("mark", ["§", '"', "\n", "\r", "\0"])
def test_what_can_part_no_line_is_refused_as_a_delimiter(tmp_path: Path, catalog: Path, mark: str) -> None:
    wanted = order(QUOTES, written(tmp_path, f"{QUOTE}{MOMENT},1,2,3,4\n"), delimiter=mark)
    assert refusal(catalog, wanted).startswith(f"--delimiter {mark!r}: give one ASCII character")
    with pytest.raises(ImportRefusedError, match="--delimiter"):
        preview(catalog, wanted)


NEVER = 1 << 63  # in nanoseconds since 1970 a moment of 11 April 2262


@pytest.mark.parametrize(
    "late", ["9999-12-31T23:59:59Z", "9999-12-31 23:59:59+00:00", str(NEVER), "9999999999"]
)
def test_times_that_no_catalog_can_hold_are_refused_by_line(
    tmp_path: Path, catalog: Path, reader: str, late: str
) -> None:
    title = "time,price,size,close_time,open,high,low,close,volume\n"
    file = written(tmp_path, f"{title}{AT},1,1,{AT},1,1,1,1,1\n{late},1,1,{late},1,1,1,1,1\n")
    for data_type, column in ((TRADES, "time"), (BARS, "close_time")):
        said = refusal(catalog, order(data_type, file))
        assert f"line 3, column {column!r}: is after 11 April 2262" in said


def test_the_last_time_that_a_catalog_can_hold_is_read_back(
    tmp_path: Path, catalog: Path, reader: str
) -> None:
    file = written(tmp_path, f"time,price,size\n{AT},1,1\n{NEVER - 1},1,1\n")
    found, told = brought_in(catalog, order(TRADES, file))
    assert [one.rpartition(",")[2] for one in found] == [AT, str(NEVER - 1)]
    assert told.last == NEVER - 1


def test_points_between_thousands_stand_beside_a_decimal_comma(
    tmp_path: Path, catalog: Path, reader: str
) -> None:
    text = f"{QUOTE.replace(',', ';')}{MOMENT};1.234,5;12.345,0;3;4\n"
    found, _ = brought_in(catalog, order(QUOTES, written(tmp_path, text), decimal=",", thousands="."))
    assert found == [f"1234.5,12345.0,3,4,{AT}"]
    wrong = written(tmp_path, text.replace("1.234,5", "1.23"), "wrong.csv")
    said = refusal(catalog, order(QUOTES, wrong, decimal=",", thousands="."))
    assert "'1.23' is not parted into thousands by '.'" in said


def test_thousands_are_set_apart_only_where_they_are(tmp_path: Path, catalog: Path, reader: str) -> None:
    text = f'{QUOTE}{MOMENT},"1,234.5","12,345",3,4\n'
    assert "give --thousands" in refusal(catalog, order(QUOTES, written(tmp_path, text)))
    found, _ = brought_in(catalog, order(QUOTES, written(tmp_path, text), thousands=","))
    assert found == [f"1234.5,12345.0,3,4,{AT}"]
    wrong = written(tmp_path, f'{QUOTE}{MOMENT},"1,10","12,345",3,4\n', "wrong.csv")
    assert "'1,10' is not parted into thousands by ','" in refusal(
        catalog, order(QUOTES, wrong, thousands=",")
    )
    assert "--thousands . is the decimal mark" in refusal(catalog, order(QUOTES, wrong, thousands="."))


@pytest.mark.parametrize("size", ["-1", "NaN", "1e13"])
def test_a_default_size_is_a_size(tmp_path: Path, catalog: Path, size: str) -> None:
    file = written(tmp_path, f"time,price\n{MOMENT},1\n")
    assert "is no size" in refusal(catalog, order(TRADES, file, default_size=Decimal(size)))
    assert "no trade of nothing" in refusal(catalog, order(TRADES, file, default_size=Decimal(0)))


def bar(minute: int, close: str = "2") -> str:
    return f"2024-01-02T15:{minute:02}:00Z,1,3,1,{close},5\n"


HEADER = "timestamp,open,high,low,close,volume\n"


def closes(events: list[str]) -> list[tuple[int, str]]:
    """Of bars: the minute and the close."""
    return [((int(one.split(",")[5]) // 10**9 - MOMENT // 1000) // 60, one.split(",")[3]) for one in events]


def test_rows_and_files_in_any_order_are_sorted_when_asked(
    tmp_path: Path, catalog: Path, reader: str
) -> None:
    one = written(tmp_path, HEADER + bar(3) + bar(1), "one.csv")
    two = written(tmp_path, HEADER + bar(4) + bar(2), "two.csv")
    wanted = {"stamp": Stamp.CLOSE}
    assert "is earlier than the row before" in refusal(catalog, order(BARS, one, **wanted))
    found, _ = brought_in(catalog, order(BARS, one, two, sort=True, **wanted))
    assert [minute for minute, _ in closes(found)] == [1, 2, 3, 4]


def test_minutes_are_not_taken_for_hours_however_they_are_sorted(
    tmp_path: Path, catalog: Path, reader: str
) -> None:
    file = written(tmp_path, HEADER + bar(3) + bar(1))
    said = refusal(catalog, order(BARS, file, step="1-HOUR", stamp=Stamp.CLOSE, sort=True))
    assert "is 0:02:00 after the one before, and a bar of this type lasts 1:00:00" in said
    newest_first = next(text for name, _, text, *_ in LAYOUTS if name == "CryptoDataDownload")
    assert "lasts 1:00:00" in refusal(catalog, order(BARS, written(tmp_path, newest_first), step="1-HOUR"))


def test_a_batch_of_nothing_but_repetitions_is_left_out() -> None:
    table = pa.table({"ts": pa.array([1], pa.uint64())})
    assert [one["ts"].to_pylist() for one in without_repetitions([table, table])] == [[1]]


def test_files_that_have_ticks_of_one_time_in_common_have_each_of_them_once(
    tmp_path: Path, catalog: Path, reader: str
) -> None:
    shared = f"{MOMENT + 1000},1,5,buy,A\n{MOMENT + 1000},1,5,buy,B\n"
    title = "time,price,size,side,trade_id\n"
    first = written(tmp_path, f"{title}{MOMENT},1,5,buy,A\n{shared}", "first.csv")
    later = written(
        tmp_path, f"{title}{shared}{MOMENT + 1000},1,5,sell,B\n{MOMENT + 2000},1,5,buy,B\n", "later.csv"
    )
    assert "give --sort, and --dedupe where" in refusal(catalog, order(TRADES, first, later))
    found, told = brought_in(catalog, order(TRADES, first, later, sort=True, dedupe=True))
    sides_and_ids = [one.split(",")[2:4] for one in found]
    assert sides_and_ids == [["BUYER", "A"], ["BUYER", "A"], ["BUYER", "B"], ["SELLER", "B"], ["BUYER", "B"]]
    assert told.rows == 5


def test_rows_that_repeat_across_tables_are_left_out_as_well() -> None:
    tables = [
        pa.table({"ts": pa.array(times, pa.uint64()), "id": ids})
        for times, ids in (([1, 2, 2], [1, 1, 2]), ([2, 2], [1, 3]), ([2, 2], [3, 1]), ([2, 3], [4, 1]))
    ]
    found = [one["id"].to_pylist() for one in without_repetitions(tables)]
    assert found == [[1, 1, 2], [3], [4, 1]]


def test_rows_that_repeat_are_taken_once_when_asked(tmp_path: Path, catalog: Path, reader: str) -> None:
    file = written(tmp_path, HEADER + bar(1) + bar(1) + bar(2), "one.csv")
    wanted = {"stamp": Stamp.CLOSE}
    assert "is the same as in the row before" in refusal(catalog, order(BARS, file, **wanted))
    found, told = brought_in(catalog, order(BARS, file, dedupe=True, **wanted))
    assert (closes(found), told.rows) == ([(1, "2"), (2, "2")], 2)
    later = written(tmp_path, HEADER + bar(2) + bar(3), "later.csv")
    found, _ = brought_in(catalog / "b", order(BARS, file, later, sort=True, dedupe=True, **wanted))
    assert [minute for minute, _ in closes(found)] == [1, 2, 3]
    other = written(tmp_path, HEADER + bar(1) + bar(1, "3"), "other.csv")
    said = refusal(catalog / "c", order(BARS, other, dedupe=True, **wanted))
    assert said == "there are two bars of 2024-01-02T15:01:00Z that are not the same"


def test_new_rows_take_the_place_of_others_when_asked(
    tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey_module, "CHUNK_ROWS", 2)
    first = written(tmp_path, HEADER + "".join(map(bar, (1, 2, 4, 5, 6, 7))), "first.csv")
    brought_in(catalog, order(BARS, first, stamp=Stamp.CLOSE))
    new = written(tmp_path, HEADER + bar(2) + bar(3) + bar(4, "3") + bar(6), "new.csv")
    said = refusal(catalog, order(BARS, new, stamp=Stamp.CLOSE))
    assert "15:04:00Z: it has close 2, the file 3" in said
    found, told = brought_in(catalog, order(BARS, new, stamp=Stamp.CLOSE, replace=True))
    assert closes(found) == [(1, "2"), (2, "2"), (3, "2"), (4, "3"), (5, "2"), (6, "2"), (7, "2")]
    assert (told.new_rows, told.replaced_rows) == (1, 1)
    again, told = brought_in(catalog, order(BARS, new, stamp=Stamp.CLOSE, replace=True))
    assert (again, told.is_new) == (found, False)


def test_a_dry_run_shows_the_first_rows_and_makes_nothing(tmp_path: Path, catalog: Path) -> None:
    file = written(tmp_path, f"{HEADER.replace('timestamp', 'open_time')}{''.join(map(bar, range(1, 9)))}")
    (shown,) = preview(catalog, order(BARS, file))
    assert len(shown.rows) == 5
    assert shown.rows[0] == {
        "time": "2024-01-02T15:02:00Z",
        "open": "1",
        "high": "3",
        "low": "1",
        "close": "2",
        "volume": "5",
    }
    assert shown.columns["timestamp"] == "open_time"
    assert not catalog.exists()


def test_packed_files_come_in(tmp_path: Path, catalog: Path) -> None:
    text = f"{QUOTE}{MOMENT},1,2,3,4\n".encode()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    with pa.CompressedOutputStream(str(tmp_path / "b.csv.zst"), "zstd") as out:
        out.write(text)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("c.csv", text)
    for number, name in enumerate(("a.csv.gz", "b.csv.zst", "c.zip")):
        found, _ = brought_in(catalog / str(number), order(QUOTES, tmp_path / name))
        assert found == [f"1,2,3,4,{AT}"]


FRAMES = {
    "pandas, a time index and floats": pd.DataFrame(
        {"price": [10.5, 0.1], "size": [2, 3], "side": pd.Categorical(["buy", "sell"])},
        index=pd.DatetimeIndex(["2024-01-02 15:00", "2024-01-02 15:00"], tz="UTC", name="timestamp"),
    ),
    "pandas, an index without a name": pd.DataFrame(
        {"price": [10.5, 0.1], "size": [2, 3], "side": ["buy", "sell"]},
        index=pd.DatetimeIndex(["2024-01-02 16:00", "2024-01-02 16:00"], tz="Europe/Berlin"),
    ),
    "polars, decimals and large strings": pa.table(
        {
            "timestamp": pa.array([MOMENT * 1000] * 2, pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal("10.50"), Decimal("0.10")], pa.decimal128(12, 2)),
            "size": pa.array([2, 3], pa.uint32()),
            "side": pa.array(["buy", "sell"], pa.large_string()),
        }
    ),
    "polars, floats of 32 bits, views and no zone": pa.table(
        {
            "timestamp": pa.array([MOMENT * 10**6] * 2, pa.timestamp("ns")),
            "price": pa.array([10.5, 0.1], pa.float32()),
            "size": pa.array([2.0, 3.0], pa.float64()),
            "side": pa.array(["buy", "sell"], pa.string_view()),
        }
    ),
    "epochs": pa.table(
        {
            "timestamp": pa.array([MOMENT] * 2, pa.int64()),
            "price": ["10.5", "0.1"],
            "size": [2, 3],
            "side": ["buy", "sell"],
        }
    ),
}


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
@pytest.mark.parametrize("name", FRAMES)
def test_tables_of_pandas_and_polars_come_in_with_the_types_they_have(
    tmp_path: Path, catalog: Path, reader: str, name: str, suffix: str
) -> None:
    frame = FRAMES[name]
    table = pa.Table.from_pandas(frame) if isinstance(frame, pd.DataFrame) else frame
    file = tmp_path / f"data.{suffix}"
    (pq.write_table if suffix == "parquet" else pyarrow.feather.write_feather)(table, file)
    found, _ = brought_in(catalog, order(TRADES, file, timezone="UTC"))
    assert found == [f"10.5,2,BUYER,T-{AT},{AT}", f"0.1,3,SELLER,T-{AT},{AT}"]


BROKEN = [
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},1,2,3", "line 3: has 4 fields instead of 5"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},1,2,3,4,5\n", "line 3: has 6 fields instead of 5"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n2024-01-02 15:00:01,1,2,3,4\n", "line 3, column 'timestamp': "),
    (f"timestamp,bid,bid,ask,bid_size,ask_size\n{MOMENT},1,1,2,3,4\n", "columns 2 and 3 have the same name"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},1,2,3,-4\n", "line 3, column 'ask_size': size -4 is negative"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},3,2,3,4\n", "line 3, column 'bid': bid 3 is above the ask 2"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},,2,3,4\n", "line 3, column 'bid': is empty"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},nan,2,3,4\n", "line 3, column 'bid': 'nan' is not a finite number"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT - 1},1,2,3,4\n", "line 3, column 'timestamp': is earlier than"),
    (f"{QUOTE}{MOMENT},1,2,3,4\n{MOMENT},0,2,3,4\n", "line 3, column 'bid': price 0 is not positive"),
    (f"{QUOTE}{MOMENT},1,2,3,{10**13}\n", "is more than NautilusTrader's numbers can hold"),
    (f"{QUOTE}2024-01-02,1,2,3,4\n", "has no time of day"),
    (f"{QUOTE}", "holds no rows"),
    ("", "the file is empty"),
    (f"{MOMENT},1,2\n", "line 1 is no header of quotes"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_what_is_unsound_is_refused_in_the_same_words_by_both_readers(
    tmp_path: Path, catalog: Path, reader: str, text: str, said: str
) -> None:
    file = written(tmp_path, text)
    why = refusal(catalog, order(QUOTES, file))
    assert why.startswith(str(file))
    assert said in why


@pytest.mark.parametrize(("before", "line"), [("", 1), (f"{QUOTE}{MOMENT},1,2,3,4\n", 3)])
def test_a_file_with_a_hole_is_refused_before_it_is_read_whole(
    tmp_path: Path, catalog: Path, before: str, line: int
) -> None:
    file = written(tmp_path, before)
    os.truncate(file, 1 << 30)  # sparse: it takes no room
    with growth_mib() as grown:
        said = refusal(catalog, order(QUOTES, file))
        # Up to 128 MiB of what was read wait to be written; how far the reader is ahead is up to its thread.
        assert grown() < 256
    assert f"line {line}: is longer than 1,048,576 characters" in said


def test_a_packed_file_that_was_cut_off_is_refused(tmp_path: Path, catalog: Path) -> None:
    whole = gzip.compress(QUOTE.encode() + b"".join(f"{MOMENT + n},1,2,3,4\n".encode() for n in range(9_999)))
    file = tmp_path / "data.csv.gz"
    file.write_bytes(whole[:-20])
    assert str(file) in refusal(catalog, order(QUOTES, file))


def minutes(catalog: Path) -> list[int]:
    return [minute for minute, _ in closes(held(catalog, BARS, BAR_TYPE))]


BAR_TYPE = "ETH/USD.SIM-1-MINUTE-LAST-EXTERNAL"
SECOND = 10**9


def at(minute: int) -> int:
    return MOMENT * 10**6 + minute * 60 * SECOND


@pytest.fixture
def filled(tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bars of the minutes 1 to 8 in four files, and a quote."""
    with monkeypatch.context() as patch:
        patch.setattr(survey_module, "CHUNK_ROWS", 2)
        file = written(tmp_path, HEADER + "".join(map(bar, range(1, 9))))
        brought_in(catalog, order(BARS, file, stamp=Stamp.CLOSE))
    brought_in(catalog, order(QUOTES, written(tmp_path, f"{QUOTE}{MOMENT},1,2,3,4\n")))
    return catalog


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [(3, 6, [1, 2, 7, 8]), (4, 4, [1, 2, 3, 5, 6, 7, 8]), (0, 7, [8]), (20, 30, list(range(1, 9)))],
)
def test_a_part_of_a_data_set_is_removed(filled: Path, first: int, last: int, left: list[int]) -> None:
    done = remove(filled, BAR_TYPE, None, at(first), at(last))
    assert (minutes(filled), done.rows, done.is_whole) == (left, 8 - len(left), False)
    assert not (filled / ".import").exists()


@pytest.mark.parametrize(
    "last",
    [
        "2024-01-02T15:03:00Z",
        "2024-01-02 15:03:00Z",
        f"{MOMENT + 180_000}",
        f"{MOMENT + 180_000}000000",
        "2024-01-02 15:03",
    ],
)
def test_the_last_moment_of_a_removal_is_included_however_it_is_written(filled: Path, last: str) -> None:
    chosen = parser().parse_args(["rm", BAR_TYPE, "--catalog", str(filled), "--to", last])
    remove(filled, **removal(chosen))
    assert minutes(filled) == [4, 5, 6, 7, 8]


def test_a_removal_to_a_date_takes_its_whole_day(filled: Path) -> None:
    chosen = parser().parse_args(["rm", BAR_TYPE, "--catalog", str(filled), "--to", "2024-01-02"])
    assert removal(chosen)["last"] == 1704240000 * SECOND - 1


def test_a_whole_data_set_is_removed_and_no_other(filled: Path) -> None:
    assert str(remove(filled, "ETH/USD.SIM").data_type) == "quotes"
    assert minutes(filled) == list(range(1, 9))
    assert remove(filled, BAR_TYPE, BARS).is_whole
    assert [file.parts[-3] for file in filled.rglob("*.parquet")] == ["currency_pair"]


def test_an_instrument_of_which_there_are_bars_alone_is_told_their_type(filled: Path) -> None:
    remove(filled, "ETH/USD.SIM")
    with pytest.raises(ImportRefusedError, match=f"by that name; of bars name the type: {BAR_TYPE}$"):
        remove(filled, "ETH/USD.SIM")


def test_what_cannot_be_removed_is_said(filled: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (("XYZ.SIM",), "the catalog has no data of XYZ.SIM"),
        (("ETH/USD.SIM", TRADES), "no trades of ETH/USD.SIM; it has quotes of it"),
        ((BAR_TYPE, None, at(3), at(2)), "--to is before --from"),
    ):
        with pytest.raises(ImportRefusedError, match=said):
            remove(filled, *arguments)  # type: ignore[arg-type]
    trade = written(tmp_path, f"time,price,size\n{MOMENT},1,1\n", "trade.csv")
    brought_in(filled, order(TRADES, trade))
    with pytest.raises(ImportRefusedError, match=r"has quotes, trades of ETH/USD.SIM: give --type"):
        remove(filled, "ETH/USD.SIM")


def test_many_files_become_few(filled: Path) -> None:
    before = held(filled, BARS, BAR_TYPE)
    (done,) = consolidate(filled)
    assert (done.files_before, done.files) == (4, 1)
    assert held(filled, BARS, BAR_TYPE) == before
    assert consolidate(filled, BAR_TYPE) == []
    with pytest.raises(ImportRefusedError, match=r"no data of XYZ\.SIM of its own"):
        consolidate(filled, "XYZ.SIM")


def consolidated(catalog: Path, _: Path) -> None:
    consolidate(catalog)


def removed_in_part(catalog: Path, _: Path) -> None:
    remove(catalog, BAR_TYPE, None, at(3), at(4))


def removed(catalog: Path, _: Path) -> None:
    remove(catalog, BAR_TYPE)


def more_came_in(catalog: Path, file: Path) -> None:
    import_data(catalog, order(BARS, file, stamp=Stamp.CLOSE), lambda *_: None)


@pytest.mark.parametrize("changed", [consolidated, removed_in_part, removed, more_came_in])
def test_what_else_lies_in_a_data_sets_folder_stays(
    filled: Path, tmp_path: Path, changed: Callable[[Path, Path], None]
) -> None:
    (folder,) = (filled / "data/bar").iterdir()
    (folder / "part-0.parquet").write_bytes(b"as NautilusTrader named it once")
    (folder / "notes" / "mine").mkdir(parents=True)
    (folder / "notes" / "mine" / "why.txt").write_text("a word")
    (folder / "gone").symlink_to("nowhere")
    changed(filled, written(tmp_path, HEADER + bar(20), "more.csv"))
    assert (folder / "part-0.parquet").read_bytes() == b"as NautilusTrader named it once"
    assert (folder / "notes" / "mine" / "why.txt").read_text() == "a word"
    assert str((folder / "gone").readlink()) == "nowhere"
    (folder / "part-0.parquet").unlink()  # NautilusTrader reads all that is so called
    left = {
        consolidated: range(1, 9),
        removed_in_part: (1, 2, 5, 6, 7, 8),
        removed: (),
        more_came_in: (*range(1, 9), 20),
    }
    assert [one.files > 0 for one in catalog_view(filled).entries if one.data_type == "bars"] == [
        True
    ] * bool(left[changed])
    assert minutes(filled) == list(left[changed])


KILLED = """
import os, signal, sys
from pathlib import Path
from flotilla.engine_sidecar.catalog import commit, store, survey
from flotilla.engine_sidecar.catalog.__main__ import main

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

place, *arguments = sys.argv[1:]
survey.CHUNK_ROWS = 2
match place:
    case "staging": store.Target.check = killed
    case "keeping": store.commit = killed
    case "journal": commit.move_whole = killed
    case "instrument": commit._exchanged = killed; commit.Path.rename = killed
    case "old moved": commit._exchanged = lambda *_: False; rename = commit.Path.rename; \
        commit.Path.rename = lambda one, to: rename(one, to) if to.name == "old" else killed()
    case "moved": commit.sync_folder = lambda path, real=commit.sync_folder: killed() if path.name == "bar" else real(path)
sys.exit(main(arguments))
"""


def contents(catalog: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(catalog)): file.read_bytes()
        for file in catalog.rglob("*.parquet")
        if ".import" not in file.parts
    }


@pytest.mark.parametrize(
    ("place", "is_done", "has_data"),
    [
        *(
            (place, False, has_data)
            for place in ("staging", "keeping", "instrument")
            for has_data in (False, True)
        ),
        ("journal", False, False),
        ("old moved", False, True),
        *(("moved", True, has_data) for has_data in (False, True)),
    ],
)
def test_an_import_that_is_killed_at_any_moment_leaves_the_catalog_as_it_was_or_is_whole(
    tmp_path: Path, catalog: Path, place: str, has_data: bool, is_done: bool
) -> None:
    options = {"stamp": Stamp.CLOSE}
    if has_data:
        brought_in(catalog, order(BARS, written(tmp_path, HEADER + bar(1), "first.csv"), **options))
    before = contents(catalog) if has_data else {}
    file = written(tmp_path, HEADER + "".join(map(bar, range(2, 9))))
    command = ["import", str(file), "--type", "bars", "--instrument", "ETH/USD.SIM", "--bar-type", BAR_TYPE]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, place, *command, "--stamp", "close", "--catalog", str(catalog)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(ImportRefusedError, match=r"no data of XYZ\.SIM"):  # whatever comes next
        remove(catalog, "XYZ.SIM")
    assert not (catalog / ".import").exists()
    if is_done:
        assert minutes(catalog) == list(range(1 if has_data else 2, 9))
    else:
        assert contents(catalog) == before
    brought_in(catalog, order(BARS, file, **options))
    assert minutes(catalog) == list(range(1 if has_data else 2, 9))
    assert os.access(catalog, os.R_OK)
