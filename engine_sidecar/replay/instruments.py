"""The instruments of a catalog, whatever is away of the catalogs that are attached to it."""

from pathlib import Path
from typing import Any

from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.schemas.catalog import has_events


def instruments_of(catalog: Path) -> list[Any]:
    """All but those whose files are links to what is not there: one of them would keep NautilusTrader from reading any."""
    folders = [
        folder
        for folder in catalog.glob("data/*/*")
        if not has_events(folder.parent.name) and folder.is_dir()
    ]
    readable = [folder for folder in folders if all(file.exists() for file in folder.iterdir())]
    if not readable:
        return []
    names = None if len(readable) == len(folders) else sorted({folder.name for folder in readable})
    found: list[Any] = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=names)
    return found
