"""Databento's binary files: what is imported of them is what NautilusTrader's own loader gives."""

from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.adapters.databento.loaders import DatabentoDataLoader
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog import databento
from flotilla.engine_sidecar.catalog.importing import Imported, ImportOrder, import_data
from flotilla.engine_sidecar.catalog.instrument_files import imported
from flotilla.engine_sidecar.catalog.preview import preview
from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.shelf import put
from flotilla.engine_sidecar.catalog.store import locked
from flotilla.schemas.instrument import ImportInstruments
from tests import databento_files as files

ID = "ESH4.GLBX"
BAR_TYPE = f"{ID}-1-MINUTE-LAST-EXTERNAL"
CLASSES = {DataType.BARS: Bar, DataType.QUOTES: QuoteTick, DataType.TRADES: TradeTick}


def order(data_type: DataType, *given: Path, **fields: Any) -> ImportOrder:
    bar_type = BAR_TYPE if data_type is DataType.BARS else None
    return ImportOrder(files=given, data_type=data_type, instrument=ID, bar_type=bar_type, **fields)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """One that has the future, by its definition."""
    catalog = tmp_path / "catalog"
    source = files.written(tmp_path / "es.definition.dbn", files.metadata("definition"), [files.definition()])
    with locked(catalog):
        put(catalog, imported(ImportInstruments(source=str(source))).instruments)
    return catalog


def brought_in(catalog: Path, wanted: ImportOrder) -> tuple[list[dict[str, Any]], Imported]:
    told = import_data(catalog, wanted, lambda *_: None)
    kind = CLASSES[wanted.data_type]
    events = ParquetDataCatalog(str(catalog)).query(kind, [wanted.bar_type or wanted.instrument])
    return [kind.to_dict(event) for event in events], told


def by_nautilus(file: Path, data_type: DataType) -> list[dict[str, Any]]:
    packed = file
    if file.suffix != ".zst":  # it takes no other
        packed = files.written(file.with_suffix(".by_nautilus.zst"), file.read_bytes(), [])
    found = DatabentoDataLoader().from_dbn_file(
        packed, instrument_id=InstrumentId.from_str(ID), price_precision=2
    )
    return [CLASSES[data_type].to_dict(event) for event in found]


def refusal(catalog: Path, wanted: ImportOrder) -> str:
    before = sorted(catalog.rglob("*"))
    with pytest.raises(ImportRefusedError) as refused:
        import_data(catalog, wanted, lambda *_: None)
    assert [path for path in sorted(catalog.rglob("*")) if path not in before and path.is_file()] == []
    return str(refused.value)


@pytest.mark.parametrize("suffix", [".dbn", ".dbn.zst"])
@pytest.mark.parametrize("schema", ["mbp-1", "tbbo", "bbo-1s", "bbo-1m"])
def test_quotes_are_those_of_nautilus_traders_loader(
    tmp_path: Path, catalog: Path, schema: str, suffix: str
) -> None:
    file = files.written(tmp_path / f"es{suffix}", files.metadata(schema), files.quotes(40, schema=schema))
    events, told = brought_in(catalog, order(DataType.QUOTES, file))
    assert told.layouts == ("Databento best bid and offer",)
    assert events == by_nautilus(file, DataType.QUOTES)


def test_trades_are_those_of_nautilus_traders_loader(tmp_path: Path, catalog: Path) -> None:
    file = files.written(tmp_path / "es.dbn.zst", files.metadata("trades"), files.trades(40))
    events, told = brought_in(catalog, order(DataType.TRADES, file))
    assert told.layouts == ("Databento trades",)
    # Databento has no ids of trades. NautilusTrader takes the sequence, which repeats; ours are the moments.
    expected = [
        {**event, "trade_id": f"T-{event['ts_init']}"} for event in by_nautilus(file, DataType.TRADES)
    ]
    assert events == expected


def test_bars_are_those_of_nautilus_traders_loader(tmp_path: Path, catalog: Path) -> None:
    file = files.written(tmp_path / "es.dbn", files.metadata("ohlcv-1m"), files.bars(40))
    events, told = brought_in(catalog, order(DataType.BARS, file))
    assert told.first == files.FIRST_NS + 60 * 10**9
    assert events == by_nautilus(file, DataType.BARS)


def test_a_name_says_nothing_and_the_content_all(tmp_path: Path, catalog: Path) -> None:
    file = files.written(tmp_path / "es.csv", files.metadata("trades"), files.trades(3))
    assert len(brought_in(catalog, order(DataType.TRADES, file))[0]) == 3


def test_records_larger_than_a_piece_come_whole(
    tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databento, "_PIECE_BYTES", 100)
    file = files.written(tmp_path / "es.dbn", files.metadata("trades"), files.trades(200))
    assert len(brought_in(catalog, order(DataType.TRADES, file))[0]) == 200


def test_of_several_symbols_one_is_taken(tmp_path: Path, catalog: Path) -> None:
    both = [record for pair in zip(files.trades(6), files.trades(6, "ESM4"), strict=True) for record in pair]
    file = files.written(tmp_path / "es.dbn", files.metadata("trades", ("ESH4", "ESM4")), both)
    assert "'ESM4' is another than 'ESH4'" in refusal(catalog, order(DataType.TRADES, file))
    events, _ = brought_in(catalog, order(DataType.TRADES, file, symbol="ESH4"))
    assert [event["size"] for event in events] == ["1", "2", "3", "4", "5", "6"]
    assert "holds no rows of ESU4" in refusal(catalog, order(DataType.TRADES, file, symbol="ESU4"))


def test_first_rows_are_shown_as_they_would_be_understood(tmp_path: Path, catalog: Path) -> None:
    file = files.written(tmp_path / "es.dbn", files.metadata("trades"), files.trades(9))
    (shown,) = preview(catalog, order(DataType.TRADES, file))
    assert shown.rows[0]["price"] == "4500.250000000"


@pytest.mark.parametrize(
    ("schema", "data_type", "why"),
    [
        ("mbo", DataType.TRADES, "is DBN of schema mbo, which is not imported"),
        ("status", DataType.QUOTES, "is DBN of schema status, which is not imported"),
        (None, DataType.TRADES, "is DBN of schema several, which is not imported"),
        ("trades", DataType.QUOTES, "is DBN of schema trades: give --type trades"),
        ("tbbo", DataType.BARS, "is DBN of schema tbbo: give --type trades or quotes"),
        ("definition", DataType.TRADES, "bring them in by instrument import"),
    ],
)
def test_records_of_another_kind_are_refused_by_their_schema(
    tmp_path: Path, catalog: Path, schema: str | None, data_type: DataType, why: str
) -> None:
    file = files.written(tmp_path / "es.dbn", files.metadata(schema), files.trades())
    assert why in refusal(catalog, order(data_type, file))


@pytest.mark.parametrize("left", [4, 7, 8, 50, -1, -40])
@pytest.mark.parametrize("suffix", [".dbn", ".dbn.zst"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, catalog: Path, left: int, suffix: str) -> None:
    whole = files.written(tmp_path / "whole.dbn", files.metadata("trades"), files.trades()).read_bytes()
    file = files.written(tmp_path / f"cut{suffix}", whole[:left], [])
    why = refusal(catalog, order(DataType.TRADES, file))
    assert str(file) in why
    assert "is no readable DBN" in why


def test_a_file_whose_metadata_would_be_endless_is_refused(tmp_path: Path, catalog: Path) -> None:
    file = files.written(tmp_path / "es.dbn", b"DBN\x02\xff\xff\xff\xff", [])
    assert "is no readable DBN" in refusal(catalog, order(DataType.TRADES, file))


def test_a_side_of_the_book_that_is_empty_is_named(tmp_path: Path, catalog: Path) -> None:
    file = files.written(tmp_path / "es.dbn", files.metadata("mbp-1"), files.quotes(4, without_ask=3))
    assert "line 5, column 'ask_px_00'" in refusal(catalog, order(DataType.QUOTES, file))


def test_definitions_are_instruments_and_of_one_that_changed_the_last(tmp_path: Path) -> None:
    records = [
        files.definition(),
        files.definition("ESM4"),
        files.definition(tick=files.RAW_PRICE // 2, number=9),
    ]
    file = files.written(tmp_path / "es.dbn.zst", files.metadata("definition", ("ESH4", "ESM4")), records)
    made = {one.id.value: one for one in imported(ImportInstruments(source=str(file))).instruments}
    assert sorted(made) == ["ESH4.GLBX", "ESM4.GLBX"]
    future = made["ESH4.GLBX"]
    assert (str(future.price_increment), str(future.multiplier)) == ("0.50", "50")
    at_exchange = imported(ImportInstruments(source=str(file), exchange_as_venue=True, only=("ESM4.XCME",)))
    assert [one.id.value for one in at_exchange.instruments] == ["ESM4.XCME"]


def test_instruments_come_from_definitions_only(tmp_path: Path) -> None:
    file = files.written(tmp_path / "es.dbn", files.metadata("trades"), files.trades())
    with pytest.raises(ImportRefusedError, match="bring it in by data import"):
        imported(ImportInstruments(source=str(file)))
    whole = [files.definition(), bytes(files.definition("ESM4"))[:-9]]
    cut = files.written(tmp_path / "cut.dbn", files.metadata("definition"), whole)
    with pytest.raises(ImportRefusedError, match="is cut off within a record"):
        imported(ImportInstruments(source=str(cut)))
    file = tmp_path / "one.json"
    file.write_text("{}")
    with pytest.raises(ImportRefusedError, match="is no DBN"):
        imported(ImportInstruments(source=str(file), exchange_as_venue=True))
