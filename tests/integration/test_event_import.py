"""Order book changes, mark and index prices and funding rates from files: our columns and those of vendors, whole or not at all."""

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.adapters.binance.loaders import BinanceOrderBookDeltaDataLoader
from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.__main__ import main
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.catalog.event_import import EventOrder, import_events
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.engine_sidecar.replay.streams import DataSet, files_of, read
from flotilla.schemas.backtest import DataKind
from tests import book_catalog
from tests.book_catalog import BTC, BTC_PERP, at

MARKS, INDEX = DataKind.MARK_PRICES, DataKind.INDEX_PRICES
RATES, DELTAS = DataKind.FUNDING_RATES, DataKind.ORDER_BOOK_DELTAS
INCREMENTAL = """exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount
binance-futures,BTCUSDT,1600041600000000,1600041600001000,true,bid,100.0,1.5
binance-futures,BTCUSDT,1600041600000000,1600041600001000,true,ask,101.0,2
binance-futures,BTCUSDT,1600041601000000,1600041601001000,false,bid,100.0,0
binance-futures,BTCUSDT,1600041601000000,1600041601001000,false,ask,101.5,3.25
binance-futures,BTCUSDT,1600041602000000,1600041602001000,true,bid,99.0,1.5
binance-futures,BTCUSDT,1600041602000000,1600041602001000,true,ask,102.0,2
binance-futures,BTCUSDT,1600041602500000,1600041602501000,true,bid,98.5,1
binance-futures,BTCUSDT,1600041602500000,1600041602501000,true,ask,102.0,2
binance-futures,BTCUSDT,1600041602500000,1600041602502000,true,bid,98.0,1
binance-futures,BTCUSDT,1600041602501000,1600041602502000,true,ask,102.0,4
binance-futures,BTCUSDT,1600041603000000,1600041603001000,false,ask,102.0,0.0
"""
TICKER = """exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price
binance-futures,BTCUSDT,1600041600000000,1600041600001000,1600070400000000,0.0001,,123.4,100.1,100.2,100.3
binance-futures,BTCUSDT,1600041601000000,1600041601001000,1600070400000000,0.0001,,123.5,100.1,100.2,100.4
binance-futures,BTCUSDT,1600041602000000,1600041602001000,,,,123.6,100.1,,
binance-futures,BTCUSDT,1600041603000000,1600041603001000,1600070400000000,-0.00005,,123.6,100.1,100.5,100.6
"""
DEPTH = """symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu
BTCUSDT,1600041600000,10,10,b,snap,100.0,1.5,-1
BTCUSDT,1600041600000,10,10,b,snap,99.5,0.25,-1
BTCUSDT,1600041600000,10,10,a,snap,101.0,2,-1
BTCUSDT,1600041601000,11,13,b,set,100.0,0.000,10
BTCUSDT,1600041601000,11,13,a,set,100.5,3.25,10
BTCUSDT,1600041602000,14,15,a,set,101.0,1,13
"""
OWN = {
    MARKS: "timestamp,mark_price\n2020-09-14T00:00:00Z,100.5\n2020-09-14T00:00:01Z,100.6\n",
    INDEX: "timestamp,index_price,other\n1600041600,100.5,x\n1600041601,100.6,y\n",
    RATES: "timestamp,funding_rate,interval_minutes\n1600041600000,0.0001,480\n1600070400000,-2.5e-05,480\n",
    DELTAS: "timestamp,ts_event,action,side,price,size,order_id,flags,sequence\n"
    "1600041600000000002,1600041600000000001,clear,,,,,32,1\n"
    "1600041600000000002,1600041600000000001,add,buy,100.5,1.5,7,0,2\n"
    "1600041600000000002,1600041600000000001,Add,ASK,100.6,2,8,128,3\n"
    "1600041600000000003,1600041600000000003,delete,buy,100.5,0,7,128,4\n",
}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    ParquetDataCatalog(str(folder)).write_data([BTC_PERP])
    return folder


@pytest.fixture
def bring_in(catalog: Path, tmp_path: Path) -> Any:
    def brought(kind: DataKind, *texts: str, name: str = "file.csv", **fields: Any) -> Any:
        files = []
        for number, text in enumerate(texts):
            files.append(tmp_path / f"{number}-{name}")
            raw = text.encode()
            files[-1].write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        order = EventOrder(files=tuple(files), data_type=kind, instrument=BTC, **fields)
        return import_events(catalog, order, lambda *_: None)

    return brought


def held(catalog: Path, kind: DataKind) -> list[Any]:
    return list(read(catalog, DataSet(KINDS[kind], BTC)))


def dicts(events: list[Any]) -> list[Any]:
    return [type(one).to_dict(one) for one in events]


@pytest.mark.parametrize("kind", OWN)
def test_our_own_columns(catalog: Path, bring_in: Any, kind: DataKind) -> None:
    done = bring_in(kind, OWN[kind])
    found = held(catalog, kind)
    assert (done.is_new, done.rows, done.new_rows) == (True, len(found), len(found))
    assert done.ignored == (("other",) if kind is INDEX else ())
    if kind in (MARKS, INDEX):
        assert [(str(one.value), one.ts_init) for one in found] == [("100.5", at(0)), ("100.6", at(1))]
    elif kind is RATES:
        assert [(one.rate, one.interval) for one in found] == [
            (Decimal("0.0001"), 480),
            (Decimal("-0.000025"), 480),
        ]
    else:
        assert [(one.action.name, one.order.order_id, one.flags, one.sequence) for one in found] == [
            ("CLEAR", 0, 32, 1),
            ("ADD", 7, 0, 2),
            ("ADD", 8, 128, 3),
            ("DELETE", 7, 128, 4),
        ]
        assert [one.ts_init - one.ts_event for one in found] == [1, 1, 1, 0]
    before = [file.stat().st_ino for file in files_of(catalog, DataSet(KINDS[kind], BTC))]
    again = bring_in(kind, OWN[kind])
    assert (again.is_new, again.new_rows) == (False, 0)
    assert [file.stat().st_ino for file in files_of(catalog, DataSet(KINDS[kind], BTC))] == before


def test_books_that_come_in_otherwise_are_refused_with_the_way(
    catalog: Path, bring_in: Any, tmp_path: Path
) -> None:
    bring_in(DELTAS, OWN[DELTAS])
    (of_a_catalog,) = files_of(catalog, DataSet(KINDS[DELTAS], BTC))
    dbn = tmp_path / "mbo.dbn"
    dbn.write_bytes(b"DBN\x01" + bytes(100))
    for file, what in (
        (of_a_catalog, "is a file of a NautilusTrader catalog"),
        (dbn, "is DBN, of which bars"),
    ):
        order = EventOrder(files=(file,), data_type=DELTAS, instrument=BTC)
        with pytest.raises(ImportRefusedError, match=f"{what}.*flotilla data attach FOLDER"):
            import_events(catalog, order, lambda *_: None)


def test_what_binance_has_of_its_book_is_what_nautilus_traders_loader_makes_of_it(
    catalog: Path, bring_in: Any, tmp_path: Path
) -> None:
    done = bring_in(DELTAS, DEPTH)
    assert (done.layouts, done.ignored) == (("Binance order book",), ("first_update_id", "pu"))
    (tmp_path / "depth.csv").write_text(DEPTH)
    theirs = BinanceOrderBookDeltaDataLoader.load(tmp_path / "depth.csv")
    clear, *ours = held(catalog, DELTAS)
    assert (clear.action.name, clear.flags, clear.sequence) == ("CLEAR", 32, 10)
    assert [
        (
            str(one.action.name),
            one.order.side.name,
            float(one.order.price),
            float(one.order.size),
            one.sequence,
        )
        for one in ours
    ] == [(row.action, row.side, row.price, row.size, row.sequence) for row in theirs.itertuples()]
    # It marks no event's end, by which a book that is buffered is passed on.
    assert [one.flags for one in ours] == [0, 0, 128, 0, 128, 128]


@pytest.mark.parametrize("kind", OWN)
def test_files_are_as_nautilus_trader_writes_them(catalog: Path, bring_in: Any, kind: DataKind) -> None:
    bring_in(kind, OWN[kind])
    theirs = catalog.parent / "theirs"
    ParquetDataCatalog(str(theirs)).write_data(held(catalog, kind))
    (ours,) = files_of(catalog, DataSet(KINDS[kind], BTC))
    (other,) = files_of(theirs, DataSet(KINDS[kind], BTC))
    assert ours.name == other.name
    if kind is RATES:  # a rate is a text, and may be written in several ways
        assert pq.read_schema(ours).equals(pq.read_schema(other), check_metadata=True)
    else:
        assert pq.read_table(ours).equals(pq.read_table(other), check_metadata=True)


def test_what_tardis_sells_is_what_nautilus_traders_loader_makes_of_it(
    catalog: Path, bring_in: Any, tmp_path: Path
) -> None:
    done = bring_in(DELTAS, INCREMENTAL, name="book.csv.gz")
    assert (done.layouts, done.rows) == (("Tardis incremental book",), 15)
    loader = TardisCSVDataLoader(
        price_precision=1, size_precision=3, instrument_id=InstrumentId.from_str(BTC)
    )
    (tmp_path / "book.csv").write_text(INCREMENTAL)
    theirs = loader.load_deltas(tmp_path / "book.csv")
    ParquetDataCatalog(str(tmp_path / "theirs")).write_data(theirs)
    assert dicts(held(catalog, DELTAS)) == dicts(held(tmp_path / "theirs", DELTAS))
    for kind, values in ((MARKS, ["100.3", "100.4", "100.6"]), (INDEX, ["100.2", "100.2", "100.5"])):
        done = bring_in(kind, TICKER)
        assert [str(one.value) for one in held(catalog, kind)] == values
        assert done.notes == ("0-file.csv: 1 rows say nothing of it",)
    bring_in(RATES, TICKER)
    (tmp_path / "ticker.csv").write_text(TICKER)
    theirs = loader.load_funding_rates(tmp_path / "ticker.csv")
    found = held(catalog, RATES)
    assert [(one.rate, one.ts_event, one.ts_init) for one in found] == [
        (Decimal(str(one.rate)), one.ts_event, one.ts_init) for one in theirs
    ]
    assert {one.next_funding_ns for one in found} == {1600070400000000000}


def test_rates_that_tell_the_next_moment_only_sometimes(catalog: Path, bring_in: Any) -> None:
    text = '"timestamp",funding_rate,next_funding\n1600041600,0.1,1600070400\n1600041601,0.2,\n'
    bring_in(RATES, text)
    assert [one.next_funding_ns for one in held(catalog, RATES)] == [1600070400 * 10**9, None]


def test_rates_that_tell_their_interval_only_sometimes(catalog: Path, bring_in: Any) -> None:
    bring_in(RATES, "timestamp,funding_rate,interval_minutes\n1600041600,0.1,1440\n1600128000,0.2,\n")
    assert [one.interval for one in held(catalog, RATES)] == [1440, None]


def test_funding_rates_of_binance(catalog: Path, bring_in: Any) -> None:
    text = "calc_time,funding_interval_hours,last_funding_rate\n1600041600000,8,0.00010000\n1600070400001,8,-0.00003\n"
    assert bring_in(RATES, text).layouts == ("Binance funding rates",)
    assert [(one.rate, one.interval) for one in held(catalog, RATES)] == [
        (Decimal("0.0001"), 480),
        (Decimal("-0.00003"), 480),
    ]


WRONG: dict[str, tuple[DataKind, str, str]] = {
    "no number": (
        MARKS,
        "timestamp,mark_price\n1600041600,1\n1600041601,abc\n",
        "line 3, column 'mark_price': 'abc' is no decimal",
    ),
    "a price of 0": (
        INDEX,
        "timestamp,index_price\n1600041600,0\n",
        "line 2, column 'index_price': '0' is not above 0",
    ),
    "decimals": (MARKS, "timestamp,mark_price\n1600041600,1.25\n", "'1.25' has more than the 1 decimals"),
    "huge": (MARKS, "timestamp,mark_price\n1600041600,99999999999999999\n", "is too large"),
    "no time": (MARKS, "timestamp,mark_price\nsoon,1\n", "no times that can be read"),
    "no zone": (MARKS, "timestamp,mark_price\n2020-09-14T00:00:00,1\n", "ISO 8601 with a zone or --timezone"),
    "order": (
        MARKS,
        "timestamp,mark_price\n1600041601,1\n1600041600,1\n",
        "is earlier than the one before it: give --sort",
    ),
    "columns": (
        RATES,
        "timestamp,rate\n1600041600,1\n",
        "need the columns timestamp, funding_rate, or those of Tardis",
    ),
    "a rate": (RATES, "timestamp,funding_rate\n1600041600,NaN\n", "'NaN' is no funding rate"),
    "no interval": (
        RATES,
        "timestamp,funding_rate,interval_minutes\n1600041600,0.1,60\n1600041601,0.1,0\n",
        "line 3, column 'interval_minutes': '0' is no time between two fundings",
    ),
    "hours": (
        RATES,
        "calc_time,funding_interval_hours,last_funding_rate\n1600041600000,999,0.1\n",
        "column 'funding_interval_hours': '999' is no time between two fundings",
    ),
    "a name twice": (
        MARKS,
        "timestamp,mark_price,mark_price\n1600041600,1,1\n",
        "0-file.csv: has several columns of one name: 'mark_price'",
    ),
    "after a blank line": (
        MARKS,
        "timestamp,mark_price\r\n1600041600,1\r\n\r\n1600041601,abc\r\n\r\n",
        "line 4, column 'mark_price': 'abc' is no decimal",
    ),
    "a line break": (
        MARKS,
        'timestamp,mark_price,note\n1600041600,1,"a\nb"\n',
        "0-file.csv: is no readable CSV: a cell has a line break",
    ),
    "an action": (
        DELTAS,
        "timestamp,action,side,price,size\n1600041600,move,buy,1,1\n",
        "'move' is no change of an order book",
    ),
    "a side": (DELTAS, "timestamp,action,side,price,size\n1600041600,add,up,1,1\n", "'up' is no side"),
    "no side": (
        DELTAS,
        "timestamp,action,side,price,size\n1600041600,add,,1,1\n",
        "'' is no side of an order book",
    ),
    "flags": (
        DELTAS,
        "timestamp,action,side,price,size,flags\n1600041600,add,buy,1,1,300\n",
        "'300' is no whole number that fits",
    ),
    "no size": (
        DELTAS,
        "timestamp,action,side,price,size\n1600041600,add,buy,1,0\n",
        "'0' is no size of an order",
    ),
    "a snapshot": (
        DELTAS,
        INCREMENTAL.replace("true", "yes", 1),
        "line 2, column 'is_snapshot': 'yes' is no true or false, nor snap or set",
    ),
    "symbols": (DELTAS, INCREMENTAL.replace("BTCUSDT", "ETHUSDT", 1), "holds several symbols"),
    "no row": (MARKS, "timestamp,mark_price\n", "has no row"),
    "a ragged line": (MARKS, "timestamp,mark_price\n1600041600,1,2\n", "is no readable CSV"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_unsound_is_named_and_changes_nothing(catalog: Path, bring_in: Any, name: str) -> None:
    kind, text, why = WRONG[name]
    bring_in(kind, OWN[kind])
    before = {file: file.read_bytes() for file in catalog.rglob("*.parquet")}
    with pytest.raises(ImportRefusedError) as refused:
        bring_in(kind, text)
    assert why in str(refused.value)
    assert {file: file.read_bytes() for file in catalog.rglob("*.parquet")} == before


def test_what_the_catalog_has_otherwise_is_named_and_replaced_when_asked(
    catalog: Path, bring_in: Any
) -> None:
    bring_in(MARKS, OWN[MARKS])
    other = "timestamp,mark_price\n1600041601,100.7\n1600041602,100.8\n"
    with pytest.raises(
        ImportRefusedError, match=r"other mark_prices of .* at 2020-09-14T00:00:01Z: give --replace"
    ):
        bring_in(MARKS, other)
    done = bring_in(MARKS, other, replace=True)
    assert (done.new_rows, done.replaced_rows) == (1, 1)
    assert [str(one.value) for one in held(catalog, MARKS)] == ["100.5", "100.7", "100.8"]


def test_files_in_any_order_and_parquet_with_its_own_types(
    catalog: Path, bring_in: Any, tmp_path: Path
) -> None:
    header = "timestamp,mark_price\n"
    parts = (f"{header}1600041602,3\n1600041600,1\n", f"{header}1600041601,2\n")
    with pytest.raises(ImportRefusedError, match="give --sort"):
        bring_in(MARKS, *parts)
    bring_in(MARKS, *parts, sort=True)
    assert [str(one.value) for one in held(catalog, MARKS)] == ["1.0", "2.0", "3.0"]
    moments = pa.array([at(5), at(6)], pa.timestamp("ns", "UTC"))
    file = tmp_path / "index.parquet"
    pq.write_table(pa.table({"timestamp": moments, "index_price": [100.5, 100.25 + 0.25]}), file)
    import_events(catalog, EventOrder(files=(file,), data_type=INDEX, instrument=BTC), lambda *_: None)
    assert [(str(one.value), one.ts_init) for one in held(catalog, INDEX)] == [
        ("100.5", at(5)),
        ("100.5", at(6)),
    ]


@pytest.mark.parametrize("cells", [[[1.0], [2.0]], [{"a": 1.0}, {"a": 2.0}]])
def test_columns_of_lists_and_structs_are_refused(catalog: Path, tmp_path: Path, cells: list[Any]) -> None:
    file = tmp_path / "marks.parquet"
    pq.write_table(pa.table({"timestamp": [at(5), at(6)], "mark_price": cells}), file)
    with pytest.raises(ImportRefusedError, match=r"marks.parquet, column 'mark_price': cannot be read"):
        import_events(catalog, EventOrder(files=(file,), data_type=MARKS, instrument=BTC), lambda *_: None)


def test_the_command_line_refuses_what_says_nothing_here(catalog: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "marks.csv"
    file.write_text(OWN[MARKS])
    whole = ["import", "--catalog", str(catalog), "--type", "mark_prices", "--instrument", BTC, str(file)]
    for more, why in (
        (["--stamp", "open"], "--stamp does not go with mark_prices"),
        (["--dry-run"], "--dry-run does not go with mark_prices"),
        (["--timezone", "Mars/X"], "no time zone of the IANA list"),
    ):
        assert main([*whole, *more]) == 2
        assert why in capsys.readouterr().out
    assert main([*whole[:-2], "XYZ.SIM", str(file)]) == 2
    assert "say what it is first, by flotilla instrument add" in capsys.readouterr().out
    assert main(whole) == 0
    assert "2 rows" in capsys.readouterr().out
    (entry,) = catalog_view(catalog).entries
    assert (entry.data_type, entry.identifier) == ("mark_prices", BTC)


def test_a_whole_book_comes_in_as_it_was_written(catalog: Path, bring_in: Any) -> None:
    lines = ["timestamp,action,side,price,size,flags,sequence"]
    made = book_catalog.deltas()
    for one in made:
        cells = (
            ("", "", "")
            if one.action.name == "CLEAR"
            else (one.order.side.name, one.order.price, one.order.size)
        )
        lines.append(",".join(map(str, (one.ts_init, one.action.name, *cells, one.flags, one.sequence))))
    bring_in(DELTAS, "\n".join(lines) + "\n")
    theirs = catalog.parent / "theirs"
    ParquetDataCatalog(str(theirs)).write_data(made)
    assert dicts(held(catalog, DELTAS)) == dicts(held(theirs, DELTAS))


def levels(own: bool, **changed: Any) -> str:
    """A book of ten levels by our columns, or of Tardis' 25."""
    titles = [
        f"{side}_{what}_{level}" if own else f"{side}s[{level}].{'amount' if what == 'size' else what}"
        for level in range(10 if own else 25)
        for side in ("ask", "bid")
        for what in ("price", "size")
    ]
    cells = [
        str(each)
        for level in range(10 if own else 25)
        for each in (round(101 + level / 10, 1), 1.5 + level, round(100.9 - level / 10, 1), 2 + level)
    ]
    head = ["timestamp"] if own else ["exchange", "symbol", "timestamp", "local_timestamp"]
    first = ["1600041600001000"] if own else ["binance", "BTCUSDT", "1600041600000000", "1600041600001000"]
    row = {**dict(zip([*head, *titles], [*first, *cells], strict=True)), **changed}
    return f"{','.join(row)}\n{','.join(row.values())}\n"


def test_ten_levels_of_a_book(catalog: Path, bring_in: Any, tmp_path: Path) -> None:
    done = bring_in(DataKind.ORDER_BOOK_DEPTHS, levels(own=False))
    assert done.layouts == ("Tardis book snapshot",)
    loader = TardisCSVDataLoader(
        price_precision=1, size_precision=3, instrument_id=InstrumentId.from_str(BTC)
    )
    (tmp_path / "snapshot.csv").write_text(levels(own=False))
    snapshots = loader.load_depth10(tmp_path / "snapshot.csv", levels=25)
    found = held(catalog, DataKind.ORDER_BOOK_DEPTHS)
    assert dicts(found) == dicts(snapshots)
    theirs = catalog.parent / "theirs"
    ParquetDataCatalog(str(theirs)).write_data(found)
    files = [files_of(folder, DataSet(type(found[0]), BTC)) for folder in (catalog, theirs)]
    ours, other = (pq.read_table(each[0]) for each in files)
    assert ours.equals(other, check_metadata=True)
    bring_in(DataKind.ORDER_BOOK_DEPTHS, levels(own=True), replace=True)
    (own,) = held(catalog, DataKind.ORDER_BOOK_DEPTHS)
    assert (own.bids, own.asks, own.flags) == (found[0].bids, found[0].asks, 0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ask_price_0": "99.0"}, "column 'ask_price_0': '99.0' is below the best bid"),
        ({"bid_price_3": "100.9"}, "column 'bid_price_3': '100.9' is no worse than the level before"),
        ({"ask_size_9": "0"}, "column 'ask_size_9': '0' is not above 0"),
        ({"ask_price_9": ""}, "column 'ask_price_9': '' is no decimal number"),
    ],
)
def test_a_book_that_no_market_has_is_refused(
    catalog: Path, bring_in: Any, changed: dict[str, str], why: str
) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        bring_in(DataKind.ORDER_BOOK_DEPTHS, levels(own=True, **changed))
    assert why in str(refused.value)
    assert held(catalog, DataKind.ORDER_BOOK_DEPTHS) == []
