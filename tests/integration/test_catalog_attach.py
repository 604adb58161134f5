"""Catalogs that NautilusTrader wrote itself, attached where they lie: what can be used is, and the rest is named with its reason."""

import errno
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import (
    Bar,
    BarType,
    BookOrder,
    InstrumentClose,
    InstrumentStatus,
    MarkPriceUpdate,
    OrderBookDelta,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import (
    AggressorSide,
    BookAction,
    InstrumentCloseType,
    MarketStatusAction,
    OrderSide,
)
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from flotilla.engine_sidecar.catalog import attaching, shelf
from flotilla.engine_sidecar.catalog.attaching import attach, detach
from flotilla.engine_sidecar.catalog.entries import catalog_view, names_of
from flotilla.engine_sidecar.catalog.importing import ImportOrder, import_data
from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.replay.instruments import instruments_of
from flotilla.engine_sidecar.replay.streams import DataSet, WrongDataError, read
from flotilla.services.orchestrator.adapters.catalog import CatalogFolder

AUD = TestInstrumentProvider.default_fx_ccy("AUD/USD")
BTC = TestInstrumentProvider.btcusdt_binance()
DAILY = "AUD/USD.SIM-1-DAY-LAST-EXTERNAL"
DAY = 86_400 * 10**9


def quotes(first: int, last: int) -> list[QuoteTick]:
    return [
        QuoteTick(
            AUD.id, Price(0.7, 5), Price(0.71, 5), Quantity(100, 0), Quantity(100, 0), day * DAY, day * DAY
        )
        for day in range(first, last)
    ]


def bars(first: int, last: int) -> list[Bar]:
    kind, price = BarType.from_str(DAILY), Price(0.7, 5)
    return [
        Bar(kind, price, price, price, price, Quantity(1, 0), day * DAY, day * DAY)
        for day in range(first, last)
    ]


def trades(first: int, last: int) -> list[TradeTick]:
    return [
        TradeTick(
            BTC.id,
            Price(50, 2),
            Quantity(1.5, 6),
            AggressorSide.BUYER,
            TradeId(str(day)),
            day * DAY,
            day * DAY,
        )
        for day in range(first, last)
    ]


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A catalog as NautilusTrader writes one, of a pair and a coin."""
    folder = tmp_path / "Research_2024"
    written = ParquetDataCatalog(str(folder))
    for rows in ([AUD, BTC], quotes(10, 20), quotes(20, 30), bars(10, 30), trades(10, 30)):
        written.write_data(rows)
    return folder


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refusal(catalog: Path, folder: Path, name: str | None = None) -> str:
    before = contents(catalog)
    with pytest.raises(ImportRefusedError) as refused:
        attach(catalog, folder, name)
    assert {k: v for k, v in contents(catalog).items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }
    return str(refused.value)


async def test_all_of_a_catalog_is_read_under_the_ids_that_nautilus_trader_wrote(
    catalog: Path, theirs: Path
) -> None:
    before = contents(theirs)
    done = attach(catalog, theirs, None)
    assert (done.name, done.instruments, done.data_sets, done.files, done.unusable) == (
        "research-2024",
        2,
        3,
        4,
        (),
    )
    for view in (catalog_view(catalog), await CatalogFolder(catalog).view()):
        assert [(one.data_type, one.identifier, one.attached) for one in view.entries] == [
            ("bars", DAILY, "research-2024"),
            ("quotes", "AUD/USD.SIM", "research-2024"),
            ("trades", "BTCUSDT.BINANCE", "research-2024"),
        ]
        assert [(one.name, one.path, one.is_there) for one in view.attached] == [
            ("research-2024", str(theirs), True)
        ]
    for kind, identifier, written in (
        (QuoteTick, "AUD/USD.SIM", quotes(10, 30)),
        (Bar, DAILY, bars(10, 30)),
        (TradeTick, "BTCUSDT.BINANCE", trades(10, 30)),
    ):
        found = list(read(catalog, DataSet(kind, identifier)))
        assert [kind.to_dict(one) for one in found] == [kind.to_dict(one) for one in written]
    assert {str(one.id) for one in ParquetDataCatalog(str(catalog)).instruments()} == {
        "AUD/USD.SIM",
        "BTCUSDT.BINANCE",
    }
    assert contents(theirs) == before


def test_attaching_again_takes_up_what_has_changed(catalog: Path, theirs: Path) -> None:
    attach(catalog, theirs, None)
    assert attach(catalog, theirs, None).files == 4
    ParquetDataCatalog(str(theirs)).write_data(quotes(30, 40))
    next((theirs / "data/trade_tick").rglob("*.parquet")).unlink()
    assert attach(catalog, theirs, None).files == 4
    assert len(list(read(catalog, DataSet(QuoteTick, "AUD/USD.SIM")))) == 30
    assert [one.data_type for one in catalog_view(catalog).entries] == ["bars", "quotes"]


def test_what_cannot_be_used_is_named_with_its_reason(catalog: Path, theirs: Path, tmp_path: Path) -> None:
    book_order = BookOrder(OrderSide.BUY, Price(50, 2), Quantity(1, 6), 1)
    ParquetDataCatalog(str(theirs)).write_data(
        [OrderBookDelta(BTC.id, BookAction.ADD, book_order, 0, 0, 1, 1)]
    )
    (theirs / "data/order_book_deltas").rename(theirs / "data/option_greeks")
    folder = theirs / "data/trade_tick/BTCUSDT.BINANCE"
    whole = next(folder.iterdir())
    stamp = "{0}T00-00-00-000000000Z_{0}T00-00-01-000000000Z.parquet"
    table = pq.read_table(whole)
    narrow = pa.array([b"12345678"] * len(table), pa.binary(8))
    pq.write_table(table.set_column(0, "price", narrow), folder / stamp.format("2020-01-01"))
    (folder / stamp.format("2020-01-02")).write_bytes(whole.read_bytes()[:2000])
    (folder / "part-0.parquet").write_bytes(whole.read_bytes())
    elsewhere = tmp_path / "elsewhere.parquet"
    elsewhere.write_bytes(whole.read_bytes())
    (folder / stamp.format("2020-01-03")).symlink_to(elsewhere)
    pq.write_table(table.drop(["trade_id"]), folder / stamp.format("2020-01-04"))
    pq.write_table(table.replace_schema_metadata({}), folder / stamp.format("2020-01-05"))
    other = theirs / "data/trade_tick/ETHUSDT.BINANCE"
    other.mkdir()
    metadata = {**table.schema.metadata, b"instrument_id": b"ETHUSDT.BINANCE"}
    pq.write_table(table.replace_schema_metadata(metadata), other / whole.name)
    why = {one.path.rpartition("/")[2]: one.why for one in attach(catalog, theirs, "mine").unusable}
    assert why.pop("option_greeks").startswith("option_greeks is not run here: there are bar, funding_rate")
    assert why.pop(stamp.format("2020-01-01")).startswith(
        "holds price in 8 bytes, as a NautilusTrader of standard"
    )
    assert why.pop(stamp.format("2020-01-02")).startswith("is no whole Parquet file")
    assert "reset_all_file_names() renames it" in why.pop("part-0.parquet")
    assert why.pop(stamp.format("2020-01-03")) == "is a link to outside of the catalog"
    assert why.pop(stamp.format("2020-01-04")).startswith("has no column trade_id")
    assert why.pop(stamp.format("2020-01-05")).startswith("is of nothing that it names")
    assert why.pop(whole.name) == "there is no definition of the instrument ETHUSDT.BINANCE"
    assert why == {}
    assert len(list(read(catalog, DataSet(TradeTick, "BTCUSDT.BINANCE")))) == 20
    assert len(catalog_view(catalog).attached[0].unusable) == 8


def test_a_definition_of_another_nautilus_trader_is_named_with_its_columns(
    catalog: Path, theirs: Path
) -> None:
    folder = theirs / "data/currency_pair/BTCUSDT.BINANCE"
    (file,) = folder.iterdir()
    table = pq.read_table(file)
    pq.write_table(
        table.rename_columns(["basis" if name == "base_currency" else name for name in table.column_names]),
        file,
    )
    why = {one.path: one.why for one in attach(catalog, theirs, "mine").unusable}
    assert why[str(file.relative_to(theirs))] == (
        "is no CurrencyPair that this NautilusTrader can read: it has no base_currency; basis is not known here"
    )


def test_words_that_would_end_nautilus_traders_process_are_found_before(catalog: Path, theirs: Path) -> None:
    status = InstrumentStatus(BTC.id, MarketStatusAction.HALT, DAY, DAY)
    close = InstrumentClose(BTC.id, Price(50, 2), InstrumentCloseType.END_OF_SESSION, DAY, DAY)
    for one in (status, close):
        ParquetDataCatalog(str(theirs)).write_data([one])
    assert attach(catalog, theirs, None).unusable == ()
    for kind, column in (("instrument_status", "action"), ("instrument_close", "close_type")):
        (file,) = (theirs / f"data/{kind}/BTCUSDT.BINANCE").iterdir()
        table = pq.read_table(file)
        index = table.schema.get_field_index(column)
        bad = pa.array(["GONE"], pa.string()).cast(table.schema.field(index).type)
        pq.write_table(table.set_column(index, table.schema.field(index), bad), file)
        why = {one.path: one.why for one in attach(catalog, theirs, None).unusable}
        assert f"{column} GONE is none that NautilusTrader has" in why[str(file.relative_to(theirs))]
        index = table.schema.get_field_index("instrument_id")
        other = pa.array(["ETHUSDT.BINANCE"]).cast(table.schema.field(index).type)
        pq.write_table(table.set_column(index, table.schema.field(index), other), file)
        why = {one.path: one.why for one in attach(catalog, theirs, None).unusable}
        assert why[str(file.relative_to(theirs))] == "is of ETHUSDT.BINANCE, not of its folder's name"


def test_prices_of_eight_bytes_and_of_other_decimals_are_found_in_every_kind(
    catalog: Path, theirs: Path
) -> None:
    ParquetDataCatalog(str(theirs)).write_data([MarkPriceUpdate(BTC.id, Price(50, 2), DAY, DAY)])
    (file,) = (theirs / "data/mark_price_update/BTCUSDT.BINANCE").iterdir()
    table = pq.read_table(file)
    for metadata, why in (({b"price_precision": b"3"}, "has a price_precision of 3"), ({}, "")):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **metadata}), file)
        unusable = attach(catalog, theirs, None).unusable
        assert [one.why[: len(why)] for one in unusable] == ([why] if why else [])
    pq.write_table(table.set_column(0, "value", pa.array([b"12345678"], pa.binary(8))), file)
    (one,) = attach(catalog, theirs, None).unusable
    assert one.why.startswith("holds value in 8 bytes, as a NautilusTrader of standard precision does")
    huge = (2**126).to_bytes(16, "little")
    pq.write_table(table.set_column(0, table.schema.field(0), pa.array([huge], pa.binary(16))), file)
    assert attach(catalog, theirs, None).unusable == ()
    with pytest.raises(WrongDataError, match="is more than any price"):
        list(read(catalog, DataSet(MarkPriceUpdate, "BTCUSDT.BINANCE")))
    none = pa.array([None], pa.binary(16))
    pq.write_table(table.set_column(0, pa.field("value", none.type), none), file)
    with pytest.raises(WrongDataError, match="a cell is empty"):
        list(read(catalog, DataSet(MarkPriceUpdate, "BTCUSDT.BINANCE")))


def test_data_of_other_decimals_than_its_instrument_is_not_used(
    catalog: Path, theirs: Path, tmp_path: Path
) -> None:
    folder = theirs / "data/trade_tick/BTCUSDT.BINANCE"
    (whole,) = folder.iterdir()
    table = pq.read_table(whole)
    for name, text in (("price_precision", b"3"), ("size_precision", b"0"), ("size_precision", b"")):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, name.encode(): text}), whole)
        (one,) = attach(catalog, theirs, None).unusable
        assert one.path == str(whole.relative_to(theirs))
        said = f"has a {name} of {text.decode()}, and the definition of BTCUSDT.BINANCE one of {getattr(BTC, name)}"
        assert one.why.startswith(said if text else f"does not say its {name}")
        assert [each.data_type for each in catalog_view(catalog).entries] == ["bars", "quotes"]
    pq.write_table(table, whole)
    definition = next((theirs / "data/currency_pair/BTCUSDT.BINANCE").iterdir())
    definition.unlink()
    ours = {**CurrencyPair.to_dict(BTC), "price_precision": 1, "price_increment": "0.1"}
    shelf_of_ours = tmp_path / "ours"
    ParquetDataCatalog(str(shelf_of_ours)).write_data([CurrencyPair.from_dict(ours)])
    (one,) = attach(shelf_of_ours, theirs, None).unusable
    assert one.why.startswith("has a price_precision of 2, and the definition of BTCUSDT.BINANCE one of 1")


def test_a_folder_that_two_names_share_is_not_used(catalog: Path, theirs: Path) -> None:
    folder = theirs / "data/quote_tick/AUDUSD.SIM"
    table = pq.read_table(min(folder.iterdir()))
    other = table.replace_schema_metadata({**table.schema.metadata, b"instrument_id": b"AUDUSD.SIM"})
    pq.write_table(other, folder / "2020-01-01T00-00-00-000000000Z_2020-01-02T00-00-00-000000000Z.parquet")
    (one,) = attach(catalog, theirs, None).unusable
    assert one.why == "holds AUD/USD.SIM and AUDUSD.SIM, which share its name"


def test_files_whose_times_cross_are_not_used(catalog: Path, theirs: Path) -> None:
    folder = theirs / "data/quote_tick/AUDUSD.SIM"
    first = min(folder.iterdir())
    first.rename(folder / first.name.replace("1970-01-20", "1970-01-25"))
    (one,) = attach(catalog, theirs, None).unusable
    assert (one.path, "begins before" in one.why) == ("data/quote_tick/AUDUSD.SIM", True)


def test_the_same_data_set_in_two_catalogs_is_refused_by_name(
    catalog: Path, theirs: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    written = ParquetDataCatalog(str(second))
    written.write_data([AUD])
    written.write_data(quotes(40, 50))
    attach(catalog, theirs, "first")
    assert "there is already quote_tick AUD/USD.SIM (attached from 'first')" in refusal(catalog, second)
    detach(catalog, "first")
    attach(catalog, second, None)
    said = refusal(catalog, theirs, "first")
    assert "quote_tick AUD/USD.SIM (attached from 'second')" in said


def test_an_instrument_that_is_defined_otherwise_is_refused_by_name(
    catalog: Path, theirs: Path, tmp_path: Path
) -> None:
    other = TestInstrumentProvider.default_fx_ccy("AUD/USD").to_dict(AUD) | {"taker_fee": "0.5"}
    written = ParquetDataCatalog(str(tmp_path / "other"))
    written.write_data([type(AUD).from_dict(other)])
    written.write_data(bars(1, 3))
    attach(catalog, theirs, None)
    said = refusal(catalog, tmp_path / "other")
    assert "the instrument AUD/USD.SIM, defined otherwise (attached from 'research-2024')" in said


def test_several_catalogs_may_define_an_instrument_alike(catalog: Path, theirs: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    written = ParquetDataCatalog(str(second))
    written.write_data([AUD])
    written.write_data(bars(1, 3))
    (theirs / "data/bar").rename(tmp_path / "moved")
    attach(catalog, theirs, None)
    attach(catalog, second, None)
    assert {one.attached for one in catalog_view(catalog).entries} == {"research-2024", "second"}
    detach(catalog, "research-2024")
    assert [str(one.id) for one in ParquetDataCatalog(str(catalog)).instruments()] == ["AUD/USD.SIM"]


def imported(catalog: Path, file: Path, **fields: Any) -> None:
    asked: dict[str, Any] = {"data_type": DataType.TRADES, "instrument": "AUD/USD.SIM", **fields}
    import_data(catalog, ImportOrder(files=(file,), **asked), lambda *_: None)


def test_an_import_uses_an_attached_instrument_and_never_writes_into_an_attached_data_set(
    catalog: Path, theirs: Path, tmp_path: Path
) -> None:
    attach(catalog, theirs, None)
    file = tmp_path / "new.csv"
    file.write_text("time,price,size\n2024-01-02T10:00:00Z,0.70001,5\n")
    imported(catalog, file)
    file.write_text("time,bid,ask,bid_size,ask_size\n2024-01-02T10:00:00Z,0.70001,0.71,5,5\n")
    wanted = ImportOrder(files=(file,), data_type=DataType.QUOTES, instrument="AUD/USD.SIM")
    with pytest.raises(
        ImportRefusedError, match="of the attached catalog 'research-2024', which is only read"
    ):
        import_data(catalog, wanted, lambda *_: None)
    away = theirs.rename(theirs.with_name("away"))
    with pytest.raises(ImportRefusedError, match=r"is away, and other data are of its AUDUSD\.SIM"):
        detach(catalog, "research-2024")
    away.rename(theirs)
    assert detach(catalog, "research-2024").kept == ("AUD/USD.SIM",)
    assert [(one.data_type, one.identifier) for one in catalog_view(catalog).entries] == [
        ("trades", "AUD/USD.SIM")
    ]
    (kept,) = ParquetDataCatalog(str(catalog)).instruments()
    written = ParquetDataCatalog(str(theirs)).instruments(instrument_ids=["AUD/USD.SIM"])
    assert [kept.to_dict(kept)] == [AUD.to_dict(one) for one in written]
    assert not any(file.is_symlink() for file in catalog.rglob("*"))


def test_a_folders_name_goes_with_what_it_was_of(catalog: Path, theirs: Path, tmp_path: Path) -> None:
    attach(catalog, theirs, None)
    detach(catalog, "research-2024")
    file = tmp_path / "new.csv"
    for day in ("2024-01-02", "2024-01-03"):
        file.write_text(f"time,price,size\n{day}T10:00:00Z,0.70001,5\n")
        imported(catalog, file, instrument="AUDUSD.SIM")
        assert [one.identifier for one in catalog_view(catalog).entries] == ["AUDUSD.SIM"]
    assert "AUDUSD.SIM" not in names_of(catalog)
    with pytest.raises(
        ImportRefusedError, match=r"has AUDUSD\.SIM in the folder that AUD/USD\.SIM would take"
    ):
        imported(catalog, file)


def test_bars_of_another_instrument_are_not_renamed(catalog: Path, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("close_time,open,high,low,close,volume\n2024-01-02T10:00:00Z,1.1,1.1,1.1,1.1,5\n")
    imported(catalog, file, data_type=DataType.BARS, bar_type=DAILY)
    shelf.remove(catalog, *shelf.instruments_in(catalog))
    with pytest.raises(ImportRefusedError, match=f"has {DAILY} in the folder that AUDUSD"):
        imported(
            catalog, file, data_type=DataType.BARS, instrument="AUDUSD.SIM", bar_type=DAILY.replace("/", "")
        )
    assert [one.identifier for one in catalog_view(catalog).entries] == [DAILY]


def test_a_definition_that_cannot_be_copied_stays_attached(
    catalog: Path, theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(catalog, theirs, None)
    file = tmp_path / "new.csv"
    file.write_text("time,price,size\n2024-01-02T10:00:00Z,0.70001,5\n")
    imported(catalog, file)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(attaching, "write_whole", full)
        with pytest.raises(OSError, match="No space"):
            detach(catalog, "research-2024")
    assert AUD.id in [one.id for one in shelf.instruments_in(catalog)]
    assert detach(catalog, "research-2024").kept == ("AUD/USD.SIM",)
    assert [one.id for one in shelf.instruments_in(catalog)] == [AUD.id]


def test_an_attached_instrument_is_neither_changed_nor_taken_out(catalog: Path, theirs: Path) -> None:
    attach(catalog, theirs, None)
    before, other = contents(theirs), TestInstrumentProvider.default_fx_ccy("EUR/USD")
    dearer = CurrencyPair.from_dict({**CurrencyPair.to_dict(AUD), "taker_fee": "0.1"})
    for change in (lambda: shelf.put(catalog, [other, dearer]), lambda: shelf.remove(catalog, AUD)):
        with pytest.raises(
            ImportRefusedError, match=r"AUD/USD\.SIM is of the attached catalog 'research-2024'"
        ):
            change()
    assert shelf.put(catalog, shelf.instruments_in(catalog))[0].outcome == "unchanged"
    assert [one.id for one in shelf.instruments_in(catalog)] == [AUD.id, BTC.id]
    assert contents(theirs) == before


async def test_a_catalog_that_is_away_is_said_to_be(catalog: Path, theirs: Path) -> None:
    attach(catalog, theirs, None)
    theirs.rename(theirs.with_name("away"))
    for view in (catalog_view(catalog), await CatalogFolder(catalog).view()):
        assert view.entries == ()
        assert [one.is_there for one in view.attached] == [False]
    ParquetDataCatalog(str(catalog)).write_data([TestInstrumentProvider.default_fx_ccy("GBP/USD")])
    assert [str(one.id) for one in instruments_of(catalog)] == ["GBP/USD.SIM"]
    assert "is no folder" in refusal(catalog, theirs)
    theirs.with_name("away").rename(theirs)
    assert len(catalog_view(catalog).entries) == 3
    assert len(instruments_of(catalog)) == 3


def test_what_engines_in_containers_cannot_read_is_told(catalog: Path, theirs: Path) -> None:
    closed = next((theirs / "data/bar").rglob("*.parquet"))
    os.chmod(closed, 0o600)
    (note,) = attach(catalog, theirs, None).notes
    assert note == f"engines in containers cannot read {closed}: chmod -R a+rX {theirs}"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("none", "is no folder"),
        ("empty", "has no folder data in it"),
        ("Research_2024/data", "has no folder data in it; give "),
        (".", "is, or holds, the catalog that it would be attached to"),
        ("hollow", "has nothing that can be used"),
        ("Über", "is no name: give --name"),
    ],
)
def test_what_is_no_catalog_is_refused_and_changes_nothing(
    catalog: Path, theirs: Path, tmp_path: Path, place: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow/data/custom_thing").mkdir(parents=True)
    (tmp_path / "Über/data").mkdir(parents=True)
    assert said in refusal(catalog, tmp_path / place)


def test_one_name_is_of_one_folder(catalog: Path, theirs: Path, tmp_path: Path) -> None:
    attach(catalog, theirs, "mine")
    assert "is attached as 'mine' already" in refusal(catalog, theirs, "other")
    (tmp_path / "mine/data").mkdir(parents=True)
    assert "give another --name" in refusal(catalog, tmp_path / "mine")
    (tmp_path / "deep/Mine").mkdir(parents=True)
    (tmp_path / "deep/Mine/data").mkdir()
    assert "give another --name" in refusal(catalog, tmp_path / "deep/Mine")
    with pytest.raises(ImportRefusedError, match="no catalog is attached as 'nobody'; there is mine"):
        detach(catalog, "nobody")
    assert "is where engines in containers have files" in refusal(catalog, Path("/usr"))
