"""Files in the layouts of public data vendors: each is imported right, or refused with the option that makes it import.

The numbers are made up; what is expected of each file was worked out by hand from its vendor's description.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import AssetClass
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import FuturesContract
from nautilus_trader.model.objects import Currency, Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.importing import ImportOrder, import_data
from flotilla.engine_sidecar.catalog.inspection import inspect
from flotilla.engine_sidecar.catalog.reading import DataType, Stamp
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

FILES = Path(__file__).parents[1] / "vendor_files"
KLINES = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
OHLCV = ("open_time", "open", "high", "low", "close", "volume")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def order(file: str, instrument: str = "ACME.SIM", step: str = "1-MINUTE", **fields: Any) -> ImportOrder:
    return ImportOrder(
        files=(FILES / file,),
        data_type=DataType.BARS,
        instrument=instrument,
        bar_type=f"{instrument}-{step}-LAST-EXTERNAL",
        **fields,
    )


def brought_in(catalog: Path, wanted: ImportOrder) -> tuple[list[Bar], dict[str, Any]]:
    """What NautilusTrader reads from the catalog afterwards, and what the import told."""
    done = import_data(catalog, wanted, lambda *_: None)
    bars = ParquetDataCatalog(str(catalog)).query(Bar, [wanted.bar_type])
    return bars, {"ignored": done.ignored, "notes": done.notes, "layouts": done.layouts}


def refusal(catalog: Path, wanted: ImportOrder) -> str:
    """Why it was refused; nothing may have been written."""
    with pytest.raises(ImportRefusedError) as refused:
        import_data(catalog, wanted, lambda *_: None)
    assert not list(catalog.rglob("*.parquet"))
    return str(refused.value)


def times(bars: list[Bar]) -> list[str]:
    """When each bar became known, to the microsecond."""
    assert all(bar.ts_init == bar.ts_event for bar in bars)
    return [datetime.fromtimestamp(bar.ts_init / 1e9, UTC).isoformat(sep=" ")[:26] for bar in bars]


def prices(bar: Bar) -> list[str]:
    return [str(price) for price in (bar.open, bar.high, bar.low, bar.close)]


def test_an_hours_bar_is_not_known_before_its_last_minute(catalog: Path) -> None:
    hours, told = brought_in(catalog, order("look_1h.csv", step="1-HOUR"))
    minutes, _ = brought_in(catalog, order("look_1m.csv"))
    assert times(hours) == [
        "2025-01-01 01:00:00+00:00",
        "2025-01-01 02:00:00+00:00",
        "2025-01-01 03:00:00+00:00",
    ]
    assert times(minutes)[:2] == ["2025-01-01 00:01:00+00:00", "2025-01-01 00:02:00+00:00"]
    for hour in hours:
        (last_minute,) = (minute for minute in minutes if minute.ts_init == hour.ts_init)
        assert hour.close == last_minute.close
    assert told["notes"] == ("'open_time' is when a bar opens: it became known one bar later, at its close",)


def test_a_column_of_opens_is_not_taken_for_closes_even_when_asked(catalog: Path) -> None:
    said = refusal(catalog, order("look_1h.csv", step="1-HOUR", stamp=Stamp.CLOSE))
    assert "column 'open_time' is of the open: leave out --stamp close" in said


def test_minutes_are_not_taken_for_hours(catalog: Path) -> None:
    said = refusal(catalog, order("look_1m.csv", step="1-HOUR"))
    assert (
        "line 3, column 'open_time': is 0:01:00 after the row before, and a bar of this type lasts 1:00:00"
        in said
    )


def test_a_binance_archive_comes_in_straight_from_its_zip_at_its_close_times(catalog: Path) -> None:
    bars, told = brought_in(catalog, order("binance_us_header.zip", "BTC/USDT.BINANCE"))
    assert times(bars)[0] == "2025-01-01 00:00:59.999999"
    assert times(bars)[-1] == "2025-01-01 00:04:59.999999"
    assert prices(bars[0]) == ["94000.0", "94010.0", "93990.0", "94005.0"]
    assert str(bars[0].volume) == "12.340"
    assert told["ignored"] == KLINES[7:]


def test_a_binance_archive_without_header_is_known_by_its_first_row(catalog: Path) -> None:
    bars, told = brought_in(catalog, order("binance_us.csv", "BTC/USDT.BINANCE"))
    assert told["layouts"] == ("Binance klines",)
    assert times(bars)[0] == "2025-01-01 00:00:59.999999"
    assert [str(bar.volume) for bar in bars] == ["12.340", "12.341", "12.342", "12.343", "12.344"]


def test_a_kraken_archive_is_known_by_its_first_row(catalog: Path) -> None:
    bars, told = brought_in(catalog, order("kraken.csv", "BTC/USD.KRAKEN"))
    assert told["layouts"] == ("Kraken OHLCVT",)
    assert times(bars) == ["2020-01-01 00:01:00+00:00", "2020-01-01 00:02:00+00:00"]
    assert [str(bar.volume) for bar in bars] == ["3.5", "0.5"]
    assert told["ignored"] == ("count",)


def test_dukascopys_times_are_days_first_in_utc_and_of_the_open(catalog: Path) -> None:
    bars, _ = brought_in(catalog, order("dukascopy.csv", "EUR/USD.SIM"))
    assert times(bars) == ["2024-03-01 00:01:00+00:00", "2024-03-01 00:02:00+00:00"]
    assert str(bars[0].volume) == "512.34"


def test_histdatas_times_are_of_new_york_without_summer_time(catalog: Path) -> None:
    bars, told = brought_in(catalog, order("histdata.csv", "EUR/USD.SIM"))
    assert times(bars) == ["2024-01-02 22:01:00+00:00", "2024-01-02 22:02:00+00:00"]
    assert [str(bar.volume) for bar in bars] == ["0", "0"]
    assert told["notes"][1] == "times were read as those of Etc/GMT+5, as HistData bars are"


def test_a_decimal_comma_is_asked_for(catalog: Path) -> None:
    said = refusal(catalog, order("decimal_comma.csv", stamp=Stamp.CLOSE))
    assert "column 'open': '1,10' is no number: give --decimal ," in said
    bars, _ = brought_in(catalog, order("decimal_comma.csv", stamp=Stamp.CLOSE, decimal=","))
    assert prices(bars[0]) == ["1.10", "1.12", "1.09", "1.11"]
    assert str(bars[0].volume) == "1000"


def test_a_time_that_may_be_of_open_or_close_is_asked_for(catalog: Path) -> None:
    said = refusal(catalog, order("roll_day1.csv", step="1-HOUR"))
    assert "give --stamp open or --stamp close" in said
    bars, _ = brought_in(catalog, order("roll_day1.csv", step="1-HOUR", stamp=Stamp.OPEN))
    assert times(bars)[0] == "2024-01-01 01:00:00+00:00"


def test_month_and_day_are_asked_for(catalog: Path) -> None:
    said = refusal(catalog, order("us_dates.csv", step="1-DAY"))
    assert "'1/2/2024' is no ISO 8601 time: give --time-format '%m/%d/%Y' or '%d/%m/%Y'" in said
    bars, _ = brought_in(catalog, order("us_dates.csv", step="1-DAY", time_format="%m/%d/%Y"))
    assert times(bars) == ["2024-01-03 00:00:00+00:00", "2024-01-04 00:00:00+00:00"]


def test_an_hour_that_comes_twice_is_two_hours(catalog: Path) -> None:
    said = refusal(catalog, order("dst_fall.csv", step="30-MINUTE", stamp=Stamp.OPEN))
    assert "give --timezone" in said
    bars, _ = brought_in(
        catalog, order("dst_fall.csv", step="30-MINUTE", stamp=Stamp.OPEN, timezone="America/New_York")
    )
    assert [moment[11:16] for moment in times(bars)] == ["05:00", "05:30", "06:00", "06:30", "07:00", "07:30"]


def test_databentos_prices_are_fixed_point_and_its_times_of_the_open(catalog: Path) -> None:
    bars, told = brought_in(catalog, order("databento.csv", "AAPL.XNAS"))
    assert times(bars) == ["2024-01-02 14:31:00+00:00", "2024-01-02 14:32:00+00:00"]
    assert prices(bars[0]) == ["186.03", "186.11", "185.95", "186.05"]
    assert told["ignored"] == ("rtype", "publisher_id", "instrument_id")
    assert told["notes"][1] == "prices without a point were read as fixed-point numbers of 9 decimals"


def test_fixed_point_prices_of_anyone_else_are_asked_for(tmp_path: Path, catalog: Path) -> None:
    file = tmp_path / "fixed.csv"
    file.write_text(
        "close_time,open,high,low,close,volume\n1704207660,186030000000,186110000000,185950000000,186050000000,1\n"
    )
    assert "give --fixed-decimals 9 where 186030000000 means 186.03" in refusal(catalog, order(str(file)))
    bars, _ = brought_in(catalog, order(str(file), fixed_decimals=9))
    assert prices(bars[0]) == ["186.03", "186.11", "185.95", "186.05"]


def test_a_split_is_chosen_about_and_found_when_it_is_left_in(catalog: Path) -> None:
    said = refusal(catalog, order("yahoo_split.csv", step="1-DAY"))
    assert (
        "column 'Adj Close': 120.97 is not the close 1210.00: give --prices raw or --prices adjusted" in said
    )
    raw, told = brought_in(catalog, order("yahoo_split.csv", step="1-DAY", prices="raw"))
    assert [str(bar.close) for bar in raw] == ["1210.0", "1208.5", "121.8"]
    assert told["notes"] == (
        "prices were taken as they are, not scaled to 'Adj Close'; volumes are as the file has them",
    )
    (found,) = inspect(catalog)
    assert [bad.why for bad in found.bad] == ["1208.5 to 120.3: divided by 10.05, like a split of 10:1"]
    assert not found.is_sound


def test_adjusted_prices_keep_the_shape_of_each_bar(catalog: Path) -> None:
    bars, _ = brought_in(catalog, order("yahoo_split.csv", step="1-DAY", prices="adjusted"))
    # 1200.10 * 120.97 / 1210.00 = 119.980…, and so on.
    assert prices(bars[0]) == ["119.98", "121.97", "119.02", "120.97"]
    assert [str(bar.close) for bar in bars] == ["120.97", "120.85", "121.79"]
    (found,) = inspect(catalog)
    assert found.is_sound


def test_adjusted_prices_need_a_column_for_them(catalog: Path) -> None:
    assert "no adjusted close" in refusal(catalog, order("oil.csv", prices="adjusted", stamp=Stamp.CLOSE))


def test_a_gap_and_a_jump_are_both_found(catalog: Path) -> None:
    brought_in(catalog, order("gap_jump.csv", step="1-HOUR", stamp=Stamp.CLOSE))
    (found,) = inspect(catalog)
    assert found.gap_count == 1
    assert found.bad_count == 1
    assert "multiplied by 10.4" in found.bad[0].why
    assert "like a reverse split of 1:10" in found.bad[0].why


def test_prices_below_zero_come_in_for_a_future(catalog: Path) -> None:
    said = refusal(catalog, order("oil.csv", "CLK0.NYMEX", stamp=Stamp.CLOSE))
    assert "CLK0.NYMEX looks like a future of the table" in said
    said = refusal(catalog, order("oil.csv", "OIL.SIM", stamp=Stamp.CLOSE))
    assert "price -2.00 is not positive, which only those of futures and commodities may be" in said
    ParquetDataCatalog(str(catalog)).write_data([_oil_future("CLK0.NYMEX")])
    bars, _ = brought_in(catalog, order("oil.csv", "CLK0.NYMEX", stamp=Stamp.CLOSE))
    assert prices(bars[1]) == ["-1.00", "-0.50", "-38.00", "-37.50"]
    (found,) = inspect(catalog)
    assert found.is_sound


def _oil_future(name: str) -> FuturesContract:
    instrument_id = InstrumentId.from_str(name)
    return FuturesContract(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        asset_class=AssetClass.COMMODITY,
        currency=Currency.from_str("USD"),
        price_precision=2,
        price_increment=Price.from_str("0.01"),
        multiplier=Quantity.from_int(1000),
        lot_size=Quantity.from_int(1),
        underlying="CL",
        activation_ns=0,
        expiration_ns=1587500000 * 10**9,
        ts_event=0,
        ts_init=0,
    )


def test_a_days_download_that_overlaps_the_one_before_adds_what_is_new(catalog: Path) -> None:
    brought_in(catalog, order("roll_day1.csv", step="1-HOUR", stamp=Stamp.CLOSE))
    done = import_data(catalog, order("roll_day2.csv", step="1-HOUR", stamp=Stamp.CLOSE), lambda *_: None)
    assert (done.rows, done.new_rows) == (48, 24)
    bars = ParquetDataCatalog(str(catalog)).query(Bar, [done.identifier])
    assert (times(bars)[0], times(bars)[-1], len(bars)) == (
        "2024-01-01 00:00:00+00:00",
        "2024-01-03 23:00:00+00:00",
        72,
    )
    (found,) = inspect(catalog)
    assert (found.gap_count, found.is_sound) == (0, True)


def test_a_download_with_other_values_for_the_same_day_is_refused_by_their_names(
    tmp_path: Path, catalog: Path
) -> None:
    brought_in(catalog, order("roll_day1.csv", step="1-HOUR", stamp=Stamp.CLOSE))
    corrected = tmp_path / "roll_day2.csv"
    text = (FILES / "roll_day2.csv").read_text()
    assert text.count("102.50,103.50,101.50,103.00,100\n") == 1
    corrected.write_text(
        text.replace("102.50,103.50,101.50,103.00,100\n", "102.50,103.50,101.50,103.00,101\n")
    )
    with pytest.raises(ImportRefusedError, match="it has volume 100, the file 101"):
        import_data(catalog, order(str(corrected), step="1-HOUR", stamp=Stamp.CLOSE), lambda *_: None)
    assert len(ParquetDataCatalog(str(catalog)).query(Bar, ["ACME.SIM-1-HOUR-LAST-EXTERNAL"])) == 48


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("token", "ghp_SeCrEt\n"),
        ("keys.json", '{"api_key": "SeCrEt", "api_secret": "SeCrEt"}\n'),
        ("two.csv", "SeCrEt,SeCrEt\n1,2\n"),
        ("half.csv", "open,high,low,SeCrEt\n1,2\n"),
        ("long.csv", f"close_time,open,high,low,close,volume\n{'1' * 50}SeCrEt,1,1,1,1,1\n"),
        ("wide.csv", f"close_time,open,high,low,close,volume\n1704207660,{'x' * 50}SeCrEt,1,1,1,1\n"),
        ("binary.csv", b"\xff\xfeSeCrEt"),
        ("key.parquet", "SeCrEt"),
        ("key.csv.gz", "SeCrEt"),
        ("key.zip", "SeCrEt"),
    ],
)
def test_what_is_no_market_data_is_refused_without_showing_it(
    tmp_path: Path, catalog: Path, name: str, text: str | bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = refusal(catalog, order(str(file)))
    assert str(file) in said
    assert "SeCrEt" not in said
