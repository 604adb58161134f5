"""What a NautilusTrader catalog of somebody else has that can be run on, and why the rest cannot. It only reads.

Every file is looked at before any is used: NautilusTrader's reader ends its process on prices of another width.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import nautilus_trader.model.instruments as instrument_classes
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from nautilus_trader.model.data import Bar, InstrumentClose, InstrumentStatus
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.serialization.arrow.implementations.instruments import SCHEMAS
from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from flotilla.engine_sidecar.replay.kinds import FOLDERS, check_words
from flotilla.schemas.catalog import UnusableData, file_interval, folder_name, is_custom
from flotilla.schemas.ids import BarType as BarTypeText
from flotilla.schemas.ids import InstrumentId as InstrumentText

_EVENTS: Final[dict[str, type[Any]]] = {folder: kind for kind, folder in FOLDERS.items()}
_WORDED: Final = (InstrumentClose, InstrumentStatus)
"""Their files say in a column what they are of."""
_INSTRUMENTS: Final[dict[str, type[Any]]] = {
    class_to_filename(kind): kind
    for kind in vars(instrument_classes).values()
    if isinstance(kind, type) and issubclass(kind, Instrument) and kind is not Instrument
}
_KNOWN_AT: Final = "ts_init"
_OF: Final = "instrument_id"
_PRECISIONS: Final = ("price_precision", "size_precision")
_WRITTEN_ANEW: Final = "write it anew with the NautilusTrader that is used here"


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be used, by its path within the catalog. `instrument` is what it defines, None for a file of events.

    `precisions` are those of a file of events, by the name that they have in an instrument. Rows of a class that is not NautilusTrader's
    need no definition, and `identifier` is empty where they are of no instrument.
    """

    path: Path
    identifier: str
    instrument_id: str
    instrument: Any = None
    precisions: Mapping[str, int] = {}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What can be used of a catalog, definitions of instruments first, and what cannot."""

    files: tuple[Offered, ...]
    unusable: tuple[UnusableData, ...]


class _UnusableError(Exception):
    """Why a file cannot be used."""


def offer_of(catalog: Path, known: Mapping[str, Any]) -> Offer:
    """Looks at every file of `catalog`. Events are of use where it, or who asks (`known`, by id), has an instrument that they fit."""
    unusable: list[UnusableData] = []
    files: list[Offered] = []
    for folder, kind in _folders(catalog, unusable):
        found = list(_looked_at(catalog, folder, kind, unusable))
        if crossed := _mixed(found) or _crossed(found):
            unusable.append(UnusableData(path=str(folder.relative_to(catalog)), why=crossed))
        else:
            files += found
    defined = {
        **known,
        **{file.instrument_id: file.instrument for file in files if file.instrument is not None},
    }
    usable: list[Offered] = []
    for file in files:
        if why := _unfit(file, defined.get(file.instrument_id)):
            unusable.append(UnusableData(path=str(file.path), why=why))
        else:
            usable.append(file)
    usable.sort(key=lambda file: (file.instrument is None, file.path))
    return Offer(files=tuple(usable), unusable=tuple(unusable))


def _unfit(file: Offered, instrument: Any) -> str | None:
    """Why a file cannot be run on with the definition of its instrument: engines write prices and sizes as that has them."""
    if is_custom(file.path.parts[1]):
        return None
    if instrument is None:
        return f"there is no definition of the instrument {file.instrument_id}"
    for name, has in file.precisions.items():
        if has != (wants := getattr(instrument, name)):
            return f"has a {name} of {has}, and the definition of {file.instrument_id} one of {wants}: {_WRITTEN_ANEW}"
    return None


def _folders(catalog: Path, unusable: list[UnusableData]) -> Iterator[tuple[Path, type[Any] | None]]:
    """The folders of data sets and instruments with the class of what is in them; None for one of somebody's own."""
    for top in sorted((catalog / "data").iterdir()):
        kind = _EVENTS.get(top.name) or _INSTRUMENTS.get(top.name)
        path = str(top.relative_to(catalog))
        if not top.is_dir():
            unusable.append(UnusableData(path=path, why="stands outside of the folder of any class"))
        elif is_custom(top.name):
            yield from ((folder, None) for folder in (top, *sorted(top.iterdir())) if folder.is_dir())
        elif kind is None:
            why = f"{top.name} is not run here: there are {', '.join(_EVENTS)}"
            unusable.append(UnusableData(path=path, why=why))
        else:
            for folder in sorted(top.iterdir()):
                if folder.is_dir():
                    yield folder, kind
                else:
                    why = (
                        "stands outside of the folder of any identifier, as NautilusTrader wrote it long ago"
                    )
                    unusable.append(UnusableData(path=str(folder.relative_to(catalog)), why=why))


def _looked_at(
    catalog: Path, folder: Path, kind: type[Any] | None, unusable: list[UnusableData]
) -> Iterator[Offered]:
    for file in sorted(folder.iterdir()):
        if kind is None and file.is_dir():
            continue  # of an instrument, with a turn of its own
        path = file.relative_to(catalog)
        try:
            yield _offered(catalog, path, kind)
        except _UnusableError as error:
            unusable.append(UnusableData(path=str(path), why=str(error)))
        except (pa.ArrowException, OSError) as error:
            unusable.append(UnusableData(path=str(path), why=f"is no whole Parquet file: {error}"))


def _offered(catalog: Path, path: Path, kind: type[Any] | None) -> Offered:
    file = catalog / path
    if not file.resolve().is_relative_to(catalog):
        raise _UnusableError("is a link to outside of the catalog")
    if file_interval(file.name) is None:
        raise _UnusableError(
            "is not named by the times of its first and last event: NautilusTrader's "
            "ParquetDataCatalog.reset_all_file_names() renames it"
        )
    if kind is None:
        return _custom(file, path)
    if issubclass(kind, Instrument):
        return _definition(file, path, kind)
    return _events(file, path, kind)


def _definition(file: Path, path: Path, kind: type[Any]) -> Offered:
    table = pq.read_table(file)
    try:
        (instrument, *others) = ArrowSerializer.deserialize(kind, table)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        why = _other_columns(table.schema, kind) or str(error)
        raise _UnusableError(f"is no {kind.__name__} that this NautilusTrader can read: {why}") from None
    instrument = others[-1] if others else instrument
    identifier = instrument.id.value
    _check_identifier(identifier, path, InstrumentText)
    return Offered(path=path, identifier=identifier, instrument_id=identifier, instrument=instrument)


def _other_columns(schema: pa.Schema, kind: type[Any]) -> str:
    """What a definition of another NautilusTrader calls otherwise; its own error is of what was made of a missing field."""
    has, wanted = schema.names, SCHEMAS[kind].names
    lacking = ", ".join(name for name in wanted if name not in has)
    strange = ", ".join(name for name in has if name not in wanted)
    told = (f"it has no {lacking}" if lacking else "", f"{strange} is not known here" if strange else "")
    return "; ".join(each for each in told if each)


def _events(file: Path, path: Path, kind: type[Any]) -> Offered:
    schema = pq.read_schema(file)
    _check_columns(schema, kind)
    identifier = _identifier(file, schema, kind)
    _check_identifier(identifier, path, BarTypeText if kind is Bar else InstrumentText)
    instrument_id = identifier.rsplit("-", 4)[0] if kind is Bar else identifier
    return Offered(
        path=path,
        identifier=identifier,
        instrument_id=instrument_id,
        precisions={name: _precision(schema.metadata or {}, name) for name in _precisions_of(kind)},
    )


def _custom(file: Path, path: Path) -> Offered:
    """Rows whose class only a package knows. What they say is not looked at here: no code of a package runs outside of engines."""
    schema = pq.read_schema(file)
    index = schema.get_field_index(_KNOWN_AT)
    if index < 0 or not pa.types.is_integer(schema.field(index).type):
        raise _UnusableError(f"has no whole numbers in a column {_KNOWN_AT}, by which events are ordered")
    folder = path.parts[2] if len(path.parts) == 4 else ""
    identifier = folder
    if folder and _OF in schema.names:
        identifier = _only(pq.read_table(file, columns=[_OF])[_OF])
        if folder_name(identifier) != folder:
            raise _UnusableError(f"is of {identifier or 'nothing that it names'}, not of its folder's name")
    return Offered(path=path, identifier=identifier, instrument_id=identifier)


def _only(column: Any) -> str:
    """What all rows say, or each of it."""
    return " and ".join(str(name) for name in pc.unique(column.cast(pa.string())).to_pylist())


def _check_columns(schema: pa.Schema, kind: type[Any]) -> None:
    for wanted in NAUTILUS_ARROW_SCHEMA[kind]:
        index = schema.get_field_index(wanted.name)
        if index < 0:
            raise _UnusableError(f"has no column {wanted.name}: {_WRITTEN_ANEW}")
        has = schema.field(index).type
        if pa.types.is_fixed_size_binary(has) and has != wanted.type:
            raise _UnusableError(
                f"holds {wanted.name} in {has.byte_width} bytes, as a NautilusTrader of "
                f"{'standard' if has.byte_width == 8 else 'another'} precision does, not in {wanted.type.byte_width}: {_WRITTEN_ANEW}"
            )
        if has != wanted.type:
            raise _UnusableError(f"has {has} in the column {wanted.name}, not {wanted.type}: {_WRITTEN_ANEW}")


def _identifier(file: Path, schema: pa.Schema, kind: type[Any]) -> str:
    """What a file says that it is of. Raises _UnusableError where its rows say several, or words that end NautilusTrader's process."""
    if kind not in _WORDED:
        name = b"bar_type" if kind is Bar else b"instrument_id"
        told: bytes = (schema.metadata or {}).get(name, b"")
        return told.decode(errors="replace")
    table = pq.read_table(file)
    try:
        check_words(kind, table)
    except ValueError as error:
        raise _UnusableError(f"holds what is no {kind.__name__}: {error}") from None
    return _only(table[_OF])


def _precisions_of(kind: type[Any]) -> list[str]:
    """Those that files of a kind have, by the columns that need them."""
    names = NAUTILUS_ARROW_SCHEMA[kind].names
    raw = [
        name for name in names if pa.types.is_fixed_size_binary(NAUTILUS_ARROW_SCHEMA[kind].field(name).type)
    ]
    is_sized = any("size" in name or name == "volume" for name in raw)
    return list(_PRECISIONS[: 2 if is_sized else 1]) if raw else []


def _precision(metadata: Mapping[bytes, bytes], name: str) -> int:
    text = metadata.get(name.encode(), b"").decode(errors="replace")
    if not (text.isascii() and text.isdecimal()):
        raise _UnusableError(f"does not say its {name}: {_WRITTEN_ANEW}")
    return int(text)


def _check_identifier(identifier: str, path: Path, form: Any) -> None:
    if folder_name(identifier) != path.parent.name:
        raise _UnusableError(f"is of {identifier or 'nothing that it names'}, not of its folder's name")
    try:
        msgspec.convert(identifier, form)
    except msgspec.ValidationError:
        raise _UnusableError(f"{identifier} is no identifier that can be asked for here") from None


def _mixed(files: list[Offered]) -> str | None:
    """NautilusTrader leaves slashes out of a folder's name, so that BTC/USDT.X and BTCUSDT.X have the same one."""
    names = sorted({file.identifier for file in files})
    return f"holds {' and '.join(names)}, which share its name" if len(names) > 1 else None


def _crossed(files: list[Offered]) -> str | None:
    """What is wrong with the intervals of a data set's files. Definitions of an instrument may repeat."""
    spans = sorted(
        (file_interval(file.path.name) or (0, 0), file.path.name) for file in files if file.instrument is None
    )
    for (before, earlier), (after, later) in pairwise(spans):
        if after[0] <= before[1]:
            return f"{later} begins before {earlier} ends: NautilusTrader's ParquetDataCatalog.consolidate_catalog() mends it"
    return None
