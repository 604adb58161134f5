"""Reading a catalog's file names."""

from datetime import UTC, datetime

from flotilla.schemas.catalog import catalog_entries

FIRST = "1999-01-05T00-00-00-000000000Z_2008-12-31T00-00-00-000000000Z.parquet"
SECOND = "2009-01-02T00-00-00-000000000Z_2018-12-31T00-00-00-000000000Z.parquet"


def test_files_of_one_data_set_are_one_entry() -> None:
    folder = "data/bar/SPX.SIM-1-DAY-LAST-EXTERNAL"
    (entry,) = catalog_entries([(f"{folder}/{FIRST}", 10), (f"{folder}/{SECOND}", 5)])
    assert (entry.data_type, entry.instrument_id) == ("bars", "SPX.SIM")
    assert (entry.start, entry.end) == (datetime(1999, 1, 5, tzinfo=UTC), datetime(2018, 12, 31, tzinfo=UTC))
    assert (entry.files, entry.size_bytes) == (2, 15)


def test_what_is_no_data_file_is_passed_over() -> None:
    assert (
        catalog_entries([("data/bar/X/readme.txt", 1), ("data/equity/SPX.SIM/part-0.parquet", 1), ("x", 1)])
        == ()
    )
