"""What a catalog's file names tell."""

from datetime import UTC, datetime

from flotilla.schemas.catalog import catalog_entries, file_interval, folder_name

NAME = "1999-01-05T00-00-00-000000000Z_2019-01-01T00-00-00-000000001Z.parquet"


def test_a_file_name_tells_its_range_to_the_nanosecond() -> None:
    assert file_interval(NAME) == (915494400 * 10**9, 1546300800 * 10**9 + 1)
    assert file_interval("part-0.parquet") is None


def test_files_of_one_folder_are_one_entry() -> None:
    later = "2019-01-02T00-00-00-000000000Z_2019-01-03T00-00-00-000000000Z.parquet"
    folder = "data/bar/SPX.SIM-1-DAY-LAST-EXTERNAL"
    (entry,) = catalog_entries(
        [(f"{folder}/{NAME}", 10), (f"{folder}/{later}", 5), ("data/equity/SPX.SIM/x", 1)]
    )
    assert (entry.data_type, entry.identifier, entry.instrument_id) == ("bars", folder[9:], "SPX.SIM")
    assert (entry.files, entry.size_bytes) == (2, 15)
    assert (entry.start, entry.end) == (datetime(1999, 1, 5, tzinfo=UTC), datetime(2019, 1, 3, tzinfo=UTC))


def test_a_folder_whose_slash_was_left_out_gets_its_name_back() -> None:
    assert folder_name("EUR/USD.SIM") == "EURUSD.SIM"
    files = [(f"data/quote_tick/EURUSD.SIM/{NAME}", 1), (f"data/bar/EURUSD.SIM-1-DAY-BID-EXTERNAL/{NAME}", 1)]
    names = {
        "EURUSD.SIM": "EUR/USD.SIM",
        "EURUSD.SIM-1-DAY-BID-EXTERNAL": "EUR/USD.SIM-1-DAY-BID-EXTERNAL",
    }
    assert {entry.instrument_id for entry in catalog_entries(files, names)} == {"EUR/USD.SIM"}
    assert {entry.instrument_id for entry in catalog_entries(files)} == {"EURUSD.SIM"}
