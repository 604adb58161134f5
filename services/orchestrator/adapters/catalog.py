"""The data catalog as a folder: what it holds is read from its file names, in a thread, and again only when it changed."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from flotilla.schemas.catalog import (
    ATTACHED_FILE,
    NAMES_FILE,
    AttachedCatalog,
    CatalogEntry,
    CatalogView,
    attached_catalogs,
    attached_from,
    catalog_entries,
    folder_names,
)

type _Stamp = tuple[tuple[str, int], ...]


class CatalogFolder:
    """A NautilusTrader Parquet catalog: `data/<type>/<identifier>/<first>_<last>.parquet`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._entries: tuple[CatalogEntry, ...] = ()

    async def view(self) -> CatalogView:
        """What it holds; nothing when it is not there."""
        return await asyncio.to_thread(self._view)

    def _view(self) -> CatalogView:
        attached = self._attached()
        folders = list(_folders(self._path / "data", depth=2))
        names = self._path / NAMES_FILE
        seen = [*folders, names] if names.exists() else folders
        stamp: _Stamp = (
            *((str(path), os.stat(path).st_mtime_ns) for path in seen),
            *((one.path, int(one.is_there)) for one in attached),
        )
        if stamp != self._stamp:
            files = [file for folder in folders for file in self._files(folder)]
            sources = {str(folder.relative_to(self._path)): _source(folder, attached) for folder in folders}
            known = folder_names(names.read_bytes()) if names.exists() else {}
            self._entries = catalog_entries(files, known, sources)
            self._stamp = stamp
        return CatalogView(path=str(self._path), entries=self._entries, attached=attached)

    def _attached(self) -> tuple[AttachedCatalog, ...]:
        file = self._path / ATTACHED_FILE
        found = attached_catalogs(file.read_bytes()) if file.exists() else ()
        return tuple(msgspec.structs.replace(one, is_there=os.path.isdir(one.path)) for one in found)

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


def _source(folder: Path, attached: tuple[AttachedCatalog, ...]) -> str:
    """Where the files of a folder are links, the attached catalog that they lead into: all into the same one."""
    if not attached:
        return ""
    with os.scandir(folder) as entries:
        link = next((entry.path for entry in entries if entry.is_symlink()), None)
    return attached_from(os.readlink(link), attached) if link is not None else ""
