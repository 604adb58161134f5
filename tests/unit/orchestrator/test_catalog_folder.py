"""The catalog as a folder: what it holds, by the identifiers that people use."""

import json
from pathlib import Path

from flotilla.services.orchestrator.adapters.catalog import CatalogFolder

FILE = "1999-01-05T00-00-00-000000000Z_2008-12-31T00-00-00-000000000Z.parquet"


async def test_a_pair_is_known_by_its_name_and_not_by_its_folders(tmp_path: Path) -> None:
    (tmp_path / "data/quote_tick/EURUSD.SIM").mkdir(parents=True)
    (tmp_path / "data/quote_tick/EURUSD.SIM" / FILE).write_bytes(b"x")
    catalog = CatalogFolder(tmp_path)
    assert [entry.instrument_id for entry in (await catalog.view()).entries] == ["EURUSD.SIM"]
    (tmp_path / "names.json").write_text(json.dumps({"EURUSD.SIM": "EUR/USD.SIM"}))
    assert [entry.instrument_id for entry in (await catalog.view()).entries] == ["EUR/USD.SIM"]


async def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert (await CatalogFolder(tmp_path / "none").view()).entries == ()
