"""Files in the layouts of NautilusTrader's own test data come in as NautilusTrader reads them; the data in them is made here."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from flotilla.engine_sidecar.catalog.importing import Imported, ImportOrder, import_data
from flotilla.engine_sidecar.catalog.reading import DataType, Stamp
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

ID = "BTC/USDT.SIM"
BAR_TYPE = f"{ID}-1-MINUTE-LAST-EXTERNAL"
START = 1_700_000_000_000_000_000
BARS, QUOTES, TRADES = DataType.BARS, DataType.QUOTES, DataType.TRADES
KINDS: dict[DataType, Any] = {BARS: Bar, QUOTES: QuoteTick, TRADES: TradeTick}
MOMENTS = "1588291201099000,1588291201234268"
"""When the exchange stamped it, and when it arrived."""
ARRIVED_NS = 1_588_291_201_234_268_000


def order(data_type: DataType, file: Path, **fields: Any) -> ImportOrder:
    bar_type = BAR_TYPE if data_type is BARS else None
    return ImportOrder(files=(file,), data_type=data_type, instrument=ID, bar_type=bar_type, **fields)


def brought_in(tmp_path: Path, wanted: ImportOrder) -> tuple[list[dict[str, Any]], Imported]:
    catalog, kind = tmp_path / "catalog", KINDS[wanted.data_type]
    told = import_data(catalog, wanted, lambda *_: None)
    events = ParquetDataCatalog(str(catalog)).query(kind, [wanted.bar_type or wanted.instrument])
    return [kind.to_dict(event) for event in events], told


def refusal(tmp_path: Path, wanted: ImportOrder) -> str:
    with pytest.raises(ImportRefusedError) as refused:
        import_data(tmp_path / "catalog", wanted, lambda *_: None)
    return str(refused.value)


def written(folder: Path, text: str) -> Path:
    file = folder / "data.csv"
    file.write_text(text)
    return file


def test_tardis_trades_are_known_from_when_they_arrived(tmp_path: Path) -> None:
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    file = written(
        tmp_path, f"{head}bitmex,XBTUSD,{MOMENTS},ccc3c1fa-212c-e8b0-1706-9b9c4f3d5ecf,sell,8531.5,2152\n"
    )
    (trade,), told = brought_in(tmp_path, order(TRADES, file))
    assert told.layouts == ("Tardis trades",)
    assert (trade["ts_init"], trade["price"], trade["size"]) == (ARRIVED_NS, "8531.5", "2152")
    assert (trade["aggressor_side"], trade["trade_id"][:8]) == ("SELLER", "ccc3c1fa")


@pytest.mark.parametrize(
    ("columns", "row", "layout"),
    [
        ("ask_amount,ask_price,bid_price,bid_amount", "5494,8629.3,8629.2,806", "Tardis quotes"),
        (
            "asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,asks[1].price,asks[1].amount,bids[1].price,bids[1].amount",
            "8629.3,5494,8629.2,806,8629.4,1,8629.1,2",
            "Tardis book snapshots",
        ),
    ],
)
def test_tardis_quotes_and_the_top_of_its_books_are_quotes(
    tmp_path: Path, columns: str, row: str, layout: str
) -> None:
    file = written(
        tmp_path,
        f"exchange,symbol,timestamp,local_timestamp,{columns}\nhuobi-dm-swap,BTC-USD,{MOMENTS},{row}\n",
    )
    (quote,), told = brought_in(tmp_path, order(QUOTES, file))
    assert told.layouts == (layout,)
    found = [quote[field] for field in ("bid_price", "bid_size", "ask_price", "ask_size", "ts_init")]
    assert found == ["8629.2", "806", "8629.3", "5494", ARRIVED_NS]


def test_who_made_the_market_tells_who_took_it(tmp_path: Path) -> None:
    file = tmp_path / "trades.parquet"
    moments = pa.array([START // 10**6, START // 10**6 + 7], pa.timestamp("ms", tz="UTC"))
    table = {
        "timestamp": moments,
        "trade_id": [553287559, 553287560],
        "price": [39432.48, 39439.44],
        "quantity": [0.000263, 0.004376],
        "buyer_maker": ["True", "False"],
    }
    pq.write_table(pa.table(table), file)
    events, told = brought_in(tmp_path, order(TRADES, file))
    assert [event["aggressor_side"] for event in events] == ["SELLER", "BUYER"]
    assert [event["size"] for event in events] == ["0.000263", "0.004376"]
    assert told.ignored == ()


def test_numbers_that_a_computer_spoilt_are_rounded_only_when_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "quotes.parquet"
    table = {
        "timestamp": pa.array([START // 10**6], pa.timestamp("ms", tz="UTC")),
        "symbol": ["BTC/USDT"],
        "ask_size": [0.00031600000000000004],
        "ask": [39433.62],
        "bid_size": [0.0031],
        "bid": [39432.99],
    }
    pq.write_table(pa.table(table), file)
    assert "--size-precision" in refusal(tmp_path, order(QUOTES, file))
    (quote,), _ = brought_in(tmp_path, order(QUOTES, file, size_precision=6))
    assert (quote["ask_size"], quote["bid_size"]) == ("0.000316", "0.003100")


def test_bars_without_volume_and_with_zones_in_their_times(tmp_path: Path) -> None:
    """As FXCM's are; those of CME have a title of their own."""
    rows = "2012-02-01 00:00:00+00:00,1.57597,1.57606,1.57576,1.57576\n2012-02-01 00:01:00+00:00,1.57576,1.57583,1.57543,1.57543\n"
    file = written(tmp_path, f"timestamp,open,high,low,close\n{rows}")
    assert "there is no volume" in refusal(tmp_path, order(BARS, file, stamp=Stamp.CLOSE))
    assert "--stamp" in refusal(tmp_path, order(BARS, file, default_size=Decimal(1)))
    events, _ = brought_in(tmp_path, order(BARS, file, default_size=Decimal(1), stamp=Stamp.OPEN))
    assert [event["ts_init"] for event in events] == [1328054460 * 10**9, 1328054520 * 10**9]
    text = f"timestamp_utc,open,high,low,close\n{rows}".replace("+00:00", "")
    again = order(BARS, written(tmp_path, text), default_size=Decimal(1), stamp=Stamp.OPEN)
    told = brought_in(tmp_path, again)[1]
    assert not told.is_new
    assert "times were read as those of UTC, as 'timestamp_utc' says" in told.notes


def test_a_books_updates_are_no_quotes(tmp_path: Path) -> None:
    head = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
    file = written(tmp_path, f"{head}deribit,BTC-PERPETUAL,{MOMENTS},true,ask,6421.5,18640\n")
    assert "there is no bid_price, ask_price" in refusal(tmp_path, order(QUOTES, file))


def events_of(data_type: DataType) -> list[Any]:
    """As NautilusTrader makes them, known a little after they happened."""
    name, made = InstrumentId.from_str(ID), []
    for number in range(50):
        price, size = Price(39_432.25 + number, 2), Quantity(0.25 + number, 6)
        times = (START + number * 60 * 10**9, START + number * 60 * 10**9 + 5)
        if data_type is QUOTES:
            made.append(QuoteTick(name, price, Price(39_432.5 + number, 2), size, size, *times))
        elif data_type is TRADES:
            side = (AggressorSide.NO_AGGRESSOR, AggressorSide.BUYER, AggressorSide.SELLER)[number % 3]
            made.append(TradeTick(name, price, size, side, TradeId(f"t{number}"), *times))
        else:
            made.append(Bar(BarType.from_str(BAR_TYPE), price, price, price, price, size, *times))
    return made


def billionths(column: Any) -> Any:
    raws = [int.from_bytes(value.as_py(), "little") // 10**7 for value in column]
    return pa.array([raw.to_bytes(8, "little") for raw in raws], pa.binary(8))


def standard_precision(table: pa.Table) -> pa.Table:
    """The same as NautilusTrader in standard precision writes it: 8 bytes of billionths."""
    columns, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        is_number = field.type == pa.binary(16)
        columns.append(billionths(column) if is_number else column)
        fields.append(pa.field(field.name, columns[-1].type))
    return pa.table(columns, schema=pa.schema(fields, metadata=table.schema.metadata))


@pytest.mark.parametrize("precision", ["high", "standard"])
@pytest.mark.parametrize("data_type", list(KINDS))
def test_a_file_of_a_catalog_of_nautilus_trader_comes_in_by_itself(
    tmp_path: Path, data_type: DataType, precision: str
) -> None:
    events = events_of(data_type)
    batch = ArrowSerializer.serialize_batch(events, data_cls=KINDS[data_type])
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    file = tmp_path / "loose.parquet"
    pq.write_table(table if precision == "high" else standard_precision(table), file)
    found, told = brought_in(tmp_path, order(data_type, file, price_precision=2, size_precision=6))
    assert told.layouts == (f"NautilusTrader {data_type}",)
    expected = [KINDS[data_type].to_dict(event) for event in events]
    # A catalog of ours has one moment of each event: when it became known.
    assert found == [{**event, "ts_event": event["ts_init"]} for event in expected]
