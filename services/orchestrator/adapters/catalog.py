"""The data catalog as a folder: what it holds is read from its file names, in a thread, and again only when it changed."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from flotilla.schemas.catalog import NAMES_FILE, CatalogEntry, CatalogView, catalog_entries, folder_names

type _Stamp = tuple[tuple[str, int], ...]


class CatalogFolder:
    """A NautilusTrader Parquet catalog: `data/<type>/<identifier>/<first>_<last>.parquet`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._entries: tuple[CatalogEntry, ...] = ()

    async def view(self) -> CatalogView:
        """What it holds; nothing when it is not there."""
        await asyncio.to_thread(self._refresh)
        return CatalogView(path=str(self._path), entries=self._entries)

    def _refresh(self) -> None:
        folders = list(_folders(self._path / "data", depth=2))
        names = self._path / NAMES_FILE
        seen = [*folders, names] if names.exists() else folders
        stamp = tuple((str(path), os.stat(path).st_mtime_ns) for path in seen)
        if stamp != self._stamp:
            files = [file for folder in folders for file in self._files(folder)]
            self._entries = catalog_entries(files, folder_names(names.read_bytes()) if names.exists() else {})
            self._stamp = stamp

    def _files(self, folder: Path) -> Iterator[tuple[str, int]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file():
                    yield str(Path(entry.path).relative_to(self._path)), entry.stat().st_size


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if not folder.is_dir():
        return
    yield folder
    if depth:
        for child in sorted(folder.iterdir()):
            yield from _folders(child, depth - 1)
