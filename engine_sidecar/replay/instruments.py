"""The instruments of a catalog, whatever is away of the catalogs that are attached to it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.schemas.catalog import folder_name, has_events


def instruments_of(catalog: Path, only: Collection[str] | None = None) -> list[Any]:
    """All, or those of the ids in `only`, but those whose files are links to what is not there: one of them would keep NautilusTrader
    from reading any.
    """
    wanted = None if only is None else {folder_name(each) for each in only}
    folders = [
        folder
        for folder in catalog.glob("data/*/*")
        if not has_events(folder.parent.name)
        and (wanted is None or folder.name in wanted)
        and folder.is_dir()
    ]
    readable = [folder for folder in folders if all(file.exists() for file in folder.iterdir())]
    if not readable:
        return []
    names = (
        None
        if wanted is None and len(readable) == len(folders)
        else sorted({folder.name for folder in readable})
    )
    found: list[Any] = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=names)
    return found
