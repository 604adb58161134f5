"""What a catalog holds, from the names and sizes of its files alone.

Which identifier a folder stands for is kept in a file, where NautilusTrader left a slash out of the folder's name.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from flotilla.bus.files import write_whole
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError, InUseError, NotThereError
from flotilla.schemas.catalog import (
    ATTACHED_FILE,
    NAMES_FILE,
    AttachedCatalog,
    CatalogEntry,
    CatalogView,
    attached_catalogs,
    attached_from,
    catalog_entries,
    folder_name,
    folder_names,
)


def catalog_files(catalog: Path) -> Iterator[Path]:
    """Every file of a data set, and every definition of an instrument."""
    for pattern in ("data/*/*/*.parquet", "data/*/*.parquet"):
        yield from catalog.glob(pattern)


def catalog_view(catalog: Path) -> CatalogView:
    """The data sets of a catalog; an absent folder is an empty catalog. Links to what is away are passed over."""
    attached = attached_to(catalog)
    files: list[tuple[str, int]] = []
    sources: dict[str, str] = {}
    for file in catalog_files(catalog):
        path = file.relative_to(catalog)
        if file.is_symlink():
            sources[path.parent.as_posix()] = attached_from(str(file.readlink()), attached)
        if file.is_file():
            files.append((path.as_posix(), file.stat().st_size))
    return CatalogView(
        path=str(catalog),
        entries=catalog_entries(files, names_of(catalog), sources),
        attached=tuple(msgspec.structs.replace(one, is_there=Path(one.path).is_dir()) for one in attached),
    )


def entry_of(view: CatalogView, identifier: str, data_type: str | None) -> CatalogEntry:
    """The one data set meant. Raises ImportRefusedError where there is none, or several of different types."""
    wanted = folder_name(identifier)
    found = [one for one in view.entries if folder_name(one.identifier) == wanted]
    of_type = [one for one in found if data_type in (None, one.data_type)]
    if not of_type:
        has = f"; it has {' and '.join(one.data_type for one in found)} of it" if found else ""
        if not found and (
            bars := ", ".join(one.identifier for one in view.entries if one.instrument_id == identifier)
        ):
            has = f" by that name; of bars name the type: {bars}"
        raise NotThereError(f"the catalog has no {data_type or 'data'} of {identifier}{has}")
    if len(of_type) > 1:
        names = ", ".join(one.data_type for one in of_type)
        raise ImportRefusedError(f"the catalog has {names} of {identifier}: give --type")
    return of_type[0]


def attached_to(catalog: Path) -> tuple[AttachedCatalog, ...]:
    """The catalogs that are attached to this one, as they were when they were."""
    file = catalog / ATTACHED_FILE
    return attached_catalogs(file.read_bytes()) if file.exists() else ()


def names_of(catalog: Path) -> dict[str, str]:
    """Identifier by folder name; empty for a catalog that no import of ours has written."""
    file = catalog / NAMES_FILE
    return folder_names(file.read_bytes()) if file.exists() else {}


def check_name(catalog: Path, identifier: str) -> None:
    """Raises ImportRefusedError when another identifier has the folder already: EURUSD.SIM where EUR/USD.SIM is."""
    folder = folder_name(identifier)
    owner = names_of(catalog).get(folder, folder)
    if owner != identifier and any(catalog.glob(f"data/*/{folder}")):
        raise ImportRefusedError(f"the catalog has {owner} in the folder that {identifier} would take")


def refuse_attached(catalog: Path, folder: Path, identifier: str) -> None:
    """Raises ImportRefusedError where a data set lies in an attached catalog, which is never written to."""
    link = next((file for file in (catalog / folder).glob("*.parquet") if file.is_symlink()), None)
    if link is not None:
        name = attached_from(str(link.readlink()), attached_to(catalog))
        raise InUseError(
            f"{identifier} is of the attached catalog {name!r}, which is only read: flotilla data detach {name} lets go of it"
        )


def remember_name(catalog: Path, identifier: str) -> None:
    """Keeps an identifier whose folder is called otherwise; of any other what the folder stood for before is forgotten."""
    folder, before = folder_name(identifier), names_of(catalog)
    names = {**before, folder: identifier}
    if folder == identifier:
        del names[folder]
    if names == before:
        return
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(names.items()))))
    write_whole(catalog / NAMES_FILE, text, mode=0o666)
