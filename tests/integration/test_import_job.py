"""Imports that nobody waits for: what was asked over the bus, as the program does it and leaves its end in a folder."""

import fcntl
import threading
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.import_job import run_import
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.engine_sidecar.replay.streams import DataSet, files_of, read
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.data import DATA_FOLDER, END_FILE, IMPORTS_FOLDER, LOCK_FILE, ImportData, ImportEnd
from tests.book_catalog import BTC, BTC_PERP
from tests.integration.test_event_import import OWN, levels

TEXTS = {**OWN, DataKind.ORDER_BOOK_DEPTHS: levels(own=True)}
QUOTES = "timestamp,bid,ask,bid_size,ask_size\n2020-09-14T00:00:00Z,1.0,1.1,1,1\n"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    ParquetDataCatalog(str(folder)).write_data([BTC_PERP])
    return folder


def uploaded(catalog: Path, text: str) -> Path:
    folder = catalog / IMPORTS_FOLDER / "i1"
    (folder / DATA_FOLDER).mkdir(parents=True)
    (folder / DATA_FOLDER / "a.csv").write_text(text)
    return folder


def asked(kind: str, **options: Any) -> ImportData:
    known = {"type": kind, "instrument": BTC, "file": "a.csv", "import_id": "i1"}
    return msgspec.convert({**known, **options}, ImportData)


def end_of(folder: Path) -> ImportEnd:
    return msgspec.json.decode((folder / END_FILE).read_bytes(), type=ImportEnd)


@pytest.mark.parametrize("kind", TEXTS)
def test_kinds_with_columns_of_their_own_are_imported(catalog: Path, kind: DataKind) -> None:
    folder = uploaded(catalog, TEXTS[kind])
    run_import(catalog, folder, asked(kind))
    end = end_of(folder)
    assert (end.state, end.error) == ("completed", "")
    events = list(read(catalog, DataSet(KINDS[kind], BTC)))
    assert [(one["event"], one["data_type"], one["new_rows"]) for one in end.reports] == [
        ("imported", kind, len(events))
    ]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"stamp": "open"}, {"class": "equity"}])
def test_options_that_say_nothing_of_such_a_kind_are_refused(catalog: Path, options: dict[str, Any]) -> None:
    folder = uploaded(catalog, OWN[DataKind.MARK_PRICES])
    run_import(catalog, folder, asked("mark_prices", **options))
    (name,) = options
    end = end_of(folder)
    assert (end.state, f"--{name.replace('_', '-')}" in end.error) == ("refused", True), end
    assert "does not go with mark_prices" in end.error


@pytest.mark.parametrize(("kind", "text"), [("quotes", QUOTES), ("mark_prices", OWN[DataKind.MARK_PRICES])])
def test_an_import_waits_for_somebody_else_who_changes_the_catalog(
    catalog: Path, kind: str, text: str
) -> None:
    folder = uploaded(catalog, text)
    with (catalog / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        at_it = threading.Thread(target=run_import, args=(catalog, folder, asked(kind)))
        at_it.start()
        at_it.join(1.0)
        assert at_it.is_alive()
        assert (folder / LOCK_FILE).exists()
        assert not (folder / END_FILE).exists()
    at_it.join(30.0)
    assert end_of(folder).state == "completed"


def test_where_the_catalog_lies_is_not_told(catalog: Path) -> None:
    first = uploaded(catalog, OWN[DataKind.MARK_PRICES])
    run_import(catalog, first, asked("mark_prices"))
    (file,) = files_of(catalog, DataSet(KINDS[DataKind.MARK_PRICES], BTC))
    assert pq.read_metadata(file).num_rows == 2
    file.unlink()
    file.mkdir()
    (first / END_FILE).unlink()
    (first / DATA_FOLDER).mkdir()
    (first / DATA_FOLDER / "a.csv").write_text(OWN[DataKind.MARK_PRICES])
    run_import(catalog, first, asked("mark_prices"))
    end = end_of(first)
    assert end.state == "refused"
    assert file.name in end.error
    assert str(catalog) not in end.error
