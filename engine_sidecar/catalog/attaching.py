"""Attaches catalogs of others: their files stay where they lie, and the catalog gets links to those that can be used."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.bus.files import write_whole
from flotilla.engine_sidecar.catalog.entries import attached_to, catalog_files, names_of, remember_name
from flotilla.engine_sidecar.catalog.instruments import known_instrument
from flotilla.engine_sidecar.catalog.offering import Offer, Offered, offer_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.store import locked
from flotilla.engine_sidecar.replay.instruments import instruments_of
from flotilla.schemas.catalog import (
    ATTACHED_FILE,
    AttachedCatalog,
    UnusableData,
    attached_from,
    folder_name,
    has_events,
)
from flotilla.schemas.ids import is_id

_OF_CONTAINERS: Final = tuple(
    map(Path, ("/app", "/venv", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev"))
)
"""Where engines in containers have files of their own; a folder is seen there at the path that it has here."""
_NAMED: Final = 5


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """What is in use of an attached catalog, and what is not; `notes` say what else has to be known."""

    name: str
    path: str
    instruments: int
    data_sets: int
    files: int
    unusable: tuple[UnusableData, ...]
    notes: tuple[str, ...] = ()


class Detached(msgspec.Struct, frozen=True, kw_only=True):
    """What was let go of; `kept` are instruments that imported data are of, whose definitions were copied."""

    name: str
    path: str
    files: int
    kept: tuple[str, ...] = ()


def attach(catalog: Path, folder: Path, name: str | None) -> Attached:
    """Links what can be used of the catalog in `folder` into `catalog`; the same again takes up what has changed there.

    Raises ImportRefusedError, and then nothing has changed, when another catalog has one of its data sets already.
    """
    root = _root(catalog, folder)
    with locked(catalog):
        name = _name(catalog, root, name)
        mine = frozenset(str(link.relative_to(catalog)) for link in _links(catalog, name))
        offer = offer_of(root, _own_instruments(catalog, mine))
        if not offer.files:
            raise ImportRefusedError(f"{root} has nothing that can be used{_first_reason(offer)}")
        files = tuple(_without_conflicts(catalog, offer, mine))
        for identifier in dict.fromkeys(file.identifier for file in offer.files if file.identifier):
            remember_name(catalog, identifier)
        _record(catalog, AttachedCatalog(name=name, path=str(root), unusable=offer.unusable))
        for gone in mine - {str(file.path) for file in files}:
            (catalog / gone).unlink()
        for file in files:
            _link(catalog / file.path, root / file.path)
        _remove_empty(catalog)
    events = [file for file in offer.files if file.instrument is None]
    return Attached(
        name=name,
        path=str(root),
        instruments=len({file.instrument_id for file in offer.files if file.instrument is not None}),
        data_sets=len({file.path.parent for file in events}),
        files=len(events),
        unusable=offer.unusable,
        notes=tuple(_closed(root, offer)),
    )


def detach(catalog: Path, name: str) -> Detached:
    """Removes the links to an attached catalog, whose own files stay as they are. Raises ImportRefusedError."""
    with locked(catalog):
        found = next((one for one in attached_to(catalog) if one.name == name), None)
        if found is None:
            names = ", ".join(one.name for one in attached_to(catalog)) or "none"
            raise ImportRefusedError(f"no catalog is attached as {name!r}; there is {names}")
        links = list(_links(catalog, name))
        needed = _still_needed(catalog, links)
        if away := next((link for link in needed if not link.exists()), None):
            raise ImportRefusedError(
                f"{found.path} is away, and other data are of its {away.parent.name}: its definition would be lost"
            )
        for link in links:
            if link in needed:
                write_whole(link, link.read_bytes(), mode=0o666)  # in the link's place, at once
            else:
                link.unlink()
        _record(catalog, found, is_gone=True)
        _remove_empty(catalog)
    return Detached(
        name=name,
        path=found.path,
        files=len(links),
        kept=tuple(sorted({names_of(catalog).get(one.parent.name, one.parent.name) for one in needed})),
    )


def _root(catalog: Path, folder: Path) -> Path:
    root, own = folder.resolve(), catalog.resolve()
    if not root.is_dir():
        raise ImportRefusedError(f"{folder} is no folder")
    if root.is_relative_to(own) or own.is_relative_to(root):
        raise ImportRefusedError(f"{folder} is, or holds, the catalog that it would be attached to")
    if root == Path("/tmp") or any(  # noqa: S108 - what containers have there is their own
        root.is_relative_to(place) or place.is_relative_to(root) for place in _OF_CONTAINERS
    ):
        raise ImportRefusedError(f"{root} is where engines in containers have files of their own: move it")
    if not (root / "data").is_dir():
        hint = f"; give {root.parent}" if root.name == "data" else ""
        raise ImportRefusedError(f"{folder} is no NautilusTrader catalog: it has no folder data in it{hint}")
    return root


def _name(catalog: Path, root: Path, wanted: str | None) -> str:
    name = wanted or root.name.lower().replace("_", "-").replace(" ", "-")
    for one in attached_to(catalog):
        if one.path == str(root) and wanted in (None, one.name):
            return one.name
        if one.path == str(root):
            raise ImportRefusedError(f"{root} is attached as {one.name!r} already")
        if Path(one.path).is_relative_to(root) or root.is_relative_to(one.path):
            raise ImportRefusedError(f"{root} overlaps with {one.path}, which is attached as {one.name!r}")
        if one.name == name:
            raise ImportRefusedError(f"{name!r} is {one.path} already: give another --name")
    if not is_id(name):
        raise ImportRefusedError(f"{name!r} is no name: give --name, of lower case letters, digits and '-'")
    return name


def _links(catalog: Path, name: str) -> Iterator[Path]:
    attached = attached_to(catalog)
    for file in sorted(catalog_files(catalog)):
        if file.is_symlink() and attached_from(str(file.readlink()), attached) == name:
            yield file


def _own_instruments(catalog: Path, without: frozenset[str]) -> dict[str, Any]:
    """The instruments that the catalog has, by id, but for those of the links in `without`, and of what is away."""
    names = names_of(catalog)
    own = {
        names.get(file.parent.name, file.parent.name)
        for file in catalog.glob("data/*/*/*.parquet")
        if not has_events(file.parts[-3]) and str(file.relative_to(catalog)) not in without
    }
    return {one.id.value: one for one in instruments_of(catalog) if one.id.value in own}


def _without_conflicts(catalog: Path, offer: Offer, mine: frozenset[str]) -> Iterator[Offered]:
    """The files to link: a definition that the catalog has alike is not needed. Raises ImportRefusedError."""
    conflicts: dict[str, None] = {}
    for file in offer.files:
        others = [other for other in _beside(catalog, file) if str(other.relative_to(catalog)) not in mine]
        if file.instrument is not None:
            others = [other for other in others if not has_events(other.parts[-3])]
            if not others:
                yield file
            elif not _is_same(known_instrument(catalog, InstrumentId.from_str(file.identifier)), file):
                conflicts[
                    f"the instrument {file.identifier}, defined otherwise ({_where(catalog, others)})"
                ] = None
        elif others := [other for other in others if other.parent == catalog / file.path.parent]:
            kind = file.path.parts[1]
            conflicts[f"{kind} {file.identifier} ({_where(catalog, others)})".replace("  ", " ")] = None
        else:
            yield file
    if conflicts:
        more = f" and {len(conflicts) - _NAMED} more" if len(conflicts) > _NAMED else ""
        raise ImportRefusedError(
            f"nothing was attached, because there is already {'; '.join(islice(conflicts, _NAMED))}{more}"
        )


def _beside(catalog: Path, file: Offered) -> Iterator[Path]:
    """The files of the catalog that stand for the same identifier, of whatever kind; of rows without one those of the same class."""
    name = _literal(folder_name(file.identifier))
    return catalog.glob(f"data/*/{name}/*.parquet" if name else f"{file.path.parent}/*.parquet")


def _is_same(known: Any, file: Offered) -> bool:
    """Whatever the moments of the two definitions."""
    if known is None:
        return False
    ours, theirs = (
        type(one).to_dict(one) | {"ts_event": 0, "ts_init": 0} for one in (known, file.instrument)
    )
    return bool(ours == theirs)


def _where(catalog: Path, files: list[Path]) -> str:
    links = (file.readlink() for file in files if file.is_symlink())
    name = next((attached_from(str(link), attached_to(catalog)) for link in links), "")
    return f"attached from {name!r}" if name else "imported"


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _record(catalog: Path, one: AttachedCatalog, *, is_gone: bool = False) -> None:
    """Written before the first link and after the last one is gone, so that every link has an owner."""
    others = [other for other in attached_to(catalog) if other.name != one.name]
    kept = sorted([*others, *([] if is_gone else [one])], key=lambda each: each.name)
    text = msgspec.json.format(msgspec.json.encode(kept))
    write_whole(catalog / ATTACHED_FILE, text, mode=0o666)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target)


def _remove_empty(catalog: Path) -> None:
    for folder in (*catalog.glob("data/*/*"), *catalog.glob("data/custom_*")):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _still_needed(catalog: Path, links: list[Path]) -> set[Path]:
    """Of the links those that define an instrument of which data remain."""
    gone = set(links)
    remaining = {file.parent.name for file in catalog.glob("data/*/*/*.parquet") if file not in gone}
    return {
        link
        for link in links
        if not has_events(link.parts[-3])
        and not has_events(link.parent.name)
        and any(left == link.parent.name or left.startswith(f"{link.parent.name}-") for left in remaining)
    }


def _closed(root: Path, offer: Offer) -> Iterator[str]:
    """What engines in containers, which are another account, cannot read."""
    for place in (Path(), *(each for file in offer.files for each in (*file.path.parents, file.path))):
        wanted = 0o005 if (root / place).is_dir() else 0o004
        if (root / place).stat().st_mode & wanted != wanted:
            yield f"engines in containers cannot read {root / place}: chmod -R a+rX {root}"
            return


def _first_reason(offer: Offer) -> str:
    return f": {offer.unusable[0].path} {offer.unusable[0].why}" if offer.unusable else ""
