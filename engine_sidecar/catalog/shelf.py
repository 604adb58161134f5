"""The instruments of a catalog: read, put in the place of what was there, taken out; and the data sets that depend on each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq
from nautilus_trader.model import instruments
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.funcs import class_to_filename

from flotilla.bus.files import move_whole, sync_folder
from flotilla.engine_sidecar.catalog.commit import STAGING
from flotilla.engine_sidecar.catalog.described import BY_NAUTILUS, class_of, to_dict
from flotilla.engine_sidecar.catalog.entries import names_of, refuse_attached, remember_name
from flotilla.engine_sidecar.catalog.event_prices import prices_of
from flotilla.engine_sidecar.catalog.instruments import allows_negative_prices
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.replay.kinds import FOLDERS
from flotilla.engine_sidecar.replay.streams import read_file
from flotilla.schemas.catalog import folder_name
from flotilla.schemas.instrument import InstrumentChange

_EVENTS: Final[dict[str, type[Any]]] = {folder: kind for kind, folder in FOLDERS.items()}
_CLASS_FOLDERS: Final = frozenset(class_to_filename(getattr(instruments, name)) for name in BY_NAUTILUS)
_UNCHANGING: Final = ("ts_event", "ts_init")


class StoredData(NamedTuple):
    """A data set of an instrument: the folder of its kind below `data/`, its identifier, and its files."""

    kind: str
    identifier: str
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.identifier}"


def instruments_in(catalog: Path) -> list[Instrument]:
    """All instruments, by id; of one that a killed replacement left twice the last."""
    if not any((catalog / "data").glob("*/*")):
        return []
    found = {one.id.value: one for one in ParquetDataCatalog(str(catalog)).instruments()}
    return [found[name] for name in sorted(found)]


def data_of(catalog: Path, instrument_id: str) -> tuple[StoredData, ...]:
    """Every data set of an instrument, also of kinds that nothing runs on."""
    wanted, names = folder_name(instrument_id), names_of(catalog)
    found = [
        StoredData(folder.parent.name, names.get(folder.name, folder.name), files)
        for folder in sorted((catalog / "data").glob("*/*"))
        if folder.parent.name not in _CLASS_FOLDERS
        and wanted in (folder.name, folder.name.rsplit("-", 4)[0])
        and (files := tuple(sorted(folder.glob("*.parquet"))))
    ]
    return tuple(found)


def put(catalog: Path, made: Sequence[Instrument], *, is_dry_run: bool = False) -> list[InstrumentChange]:
    """Adds instruments, or puts each in the place of what was there; the catalog must be locked, and the ids' folders free.

    With other data in the catalog than an instrument fits nothing is changed: raises ImportRefusedError that names the data sets,
    and for an instrument of an attached catalog. `is_dry_run`: nothing is changed at all, and the same is said and refused.
    """
    before = {one.id.value: one for one in instruments_in(catalog)}
    changes = [_change(catalog, before.get(one.id.value), one) for one in made]
    new = [one for one, change in zip(made, changes, strict=True) if change.outcome != "unchanged"]
    for one in new:
        _refuse_attached(catalog, one.id.value)
    if is_dry_run:
        return changes
    (catalog / STAGING).mkdir(exist_ok=True)
    staged = ParquetDataCatalog(str(catalog / STAGING))
    for one in new:
        staged.write_data([one])
    for one in new:
        remember_name(catalog, one.id.value)
        _move_in(catalog, one)
    for one, change in zip(made, changes, strict=True):
        if change.outcome == "unchanged":
            _delete_other_classes(catalog, one)
    return changes


def remove(catalog: Path, instrument: Instrument) -> InstrumentChange:
    """Takes it out; its data stays. Raises ImportRefusedError for an instrument of an attached catalog."""
    _refuse_attached(catalog, instrument.id.value)
    data = data_of(catalog, instrument.id.value)
    for file in list(_files(catalog, instrument.id.value)):
        _delete(file)
    return InstrumentChange(
        id=instrument.id.value,
        outcome="removed",
        instrument_class=class_of(instrument),
        data=tuple(map(str, data)),
    )


def _change(catalog: Path, before: Instrument | None, now: Instrument) -> InstrumentChange:
    data = data_of(catalog, now.id.value)
    _check_fits(data, before, now)
    changed = tuple(_differences(before, now)) if before else ()
    outcome = "added" if before is None else "replaced" if changed else "unchanged"
    return InstrumentChange(
        id=now.id.value,
        outcome=outcome,
        instrument_class=class_of(now),
        changed=changed,
        data=tuple(map(str, data)),
    )


def _differences(before: Instrument, now: Instrument) -> Iterator[str]:
    old, new = to_dict(before), to_dict(now)
    if old["type"] != new["type"]:
        yield f"class {class_of(before)} → {class_of(now)}"
    for name in new:
        if name not in ("type", *_UNCHANGING) and old.get(name) != new[name]:
            yield f"{name} {_shown(old.get(name))} → {_shown(new[name])}"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _check_fits(data: Sequence[StoredData], before: Instrument | None, now: Instrument) -> None:
    """Raises ImportRefusedError for data of another precision, or of prices below zero where the class has none."""
    unfit = []
    for one in data:
        unfit += [f"{one} has a {what} of {has}, not {wants}" for what, has, wants in _precisions(one, now)]
    may_be_negative = before is None or allows_negative_prices(before)
    if not unfit and may_be_negative and not allows_negative_prices(now):
        unfit = [
            f"{one} has prices of 0 or less, which no {class_of(now)} has"
            for one in data
            if _has_negative(one)
        ]
    if unfit:
        raise ImportRefusedError(
            f"{now.id} cannot be described so, because data depends on it: {'; '.join(unfit)}"
        )


def _precisions(data: StoredData, now: Instrument) -> Iterator[tuple[str, int, int]]:
    """What differs, as the files say themselves: the name of the precision, theirs, and the instrument's."""
    for what in ("price_precision", "size_precision"):
        wants = getattr(now, what)
        found = {int(text) for file in data.files if (text := _metadata(file).get(what.encode())) is not None}
        yield from ((what, has, wants) for has in sorted(found) if has != wants)


def _metadata(file: Path) -> dict[bytes, bytes]:
    return pq.read_schema(file).metadata or {}


def _has_negative(data: StoredData) -> bool:
    kind = _EVENTS.get(data.kind)
    return kind is not None and any(
        price <= 0 for file in data.files for event in read_file(kind, file) for price in prices_of(event)
    )


def _move_in(catalog: Path, instrument: Instrument) -> None:
    """The new file first, then what it replaces goes: killed in between, the instrument is there, if twice."""
    staged = list(_files(catalog / STAGING, instrument.id.value))
    placed = [catalog / file.relative_to(catalog / STAGING) for file in staged]
    for file, there in zip(staged, placed, strict=True):
        there.parent.mkdir(parents=True, exist_ok=True)
        move_whole(file, there)
        for folder in there.parent.relative_to(catalog).parents:
            sync_folder(catalog / folder)
    for file in list(_files(catalog, instrument.id.value)):
        if file not in placed:
            _delete(file)


def _delete_other_classes(catalog: Path, instrument: Instrument) -> None:
    """What a change of class left that was killed before it had deleted the old definition."""
    kind = class_to_filename(type(instrument))
    for file in list(_files(catalog, instrument.id.value)):
        if file.parts[-3] != kind and not file.is_symlink():
            _delete(file)


def _delete(file: Path) -> None:
    file.unlink()
    sync_folder(file.parent)
    if not any(file.parent.iterdir()):
        file.parent.rmdir()


def _refuse_attached(catalog: Path, instrument_id: str) -> None:
    for kind in _CLASS_FOLDERS:
        refuse_attached(catalog, Path("data") / kind / folder_name(instrument_id), instrument_id)


def _files(catalog: Path, instrument_id: str) -> Iterator[Path]:
    for kind in _CLASS_FOLDERS:
        yield from (catalog / "data" / kind / folder_name(instrument_id)).glob("*.parquet")
