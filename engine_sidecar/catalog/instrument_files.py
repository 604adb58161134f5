"""Instruments in files: JSON in the form of NautilusTrader's `to_dict`, and other NautilusTrader catalogs."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.databento import check_definitions, check_whole, instruments_of, newest
from flotilla.engine_sidecar.catalog.described import BY_NAUTILUS, described, to_dict
from flotilla.engine_sidecar.catalog.packing import DBN, dbn_bytes, packing_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.catalog import folder_name
from flotilla.schemas.ids import InstrumentId as InstrumentText
from flotilla.schemas.instrument import ImportInstruments
from flotilla.schemas.instrument_classes import CLASSES, FIELDS, FieldKind, InstrumentClass

_MOST_TOLD: Final = 5


class Named(NamedTuple):
    """The fields of an instrument, in NautilusTrader's form, and its class."""

    kind: InstrumentClass
    values: dict[str, Any]


class Imported(NamedTuple):
    """Instruments that are sound, and why others of a venue were left out."""

    instruments: list[Instrument]
    left_out: tuple[str, ...] = ()


def imported(order: ImportInstruments) -> Imported:
    """Every instrument of a JSON file, a DBN file, or of another NautilusTrader catalog.

    Raises ImportRefusedError unless all are sound; of those that a venue lists, unless one is.
    """
    source = Path(order.source)
    documents = _documents_of(source, order)
    if order.only:
        there = {str(one.get("id")) for one in documents if isinstance(one, dict)}
        if missing := [one for one in order.only if one not in there]:
            raise ImportRefusedError(f"has no {', '.join(missing)}", source)
        documents = [one for one in documents if isinstance(one, dict) and one.get("id") in order.only]
    if not documents:
        raise ImportRefusedError("holds no instrument", source)
    if order.is_venue_list:
        return _sound(documents, order)
    named = [_named(document) for document in documents]
    _check_ids([str(one.values.get("id")) for one in named], source)
    return Imported([described(one.kind, one.values, order.new_currencies) for one in named])


def _sound(documents: list[Any], order: ImportInstruments) -> Imported:
    """A venue lists thousands, and one of them that NautilusTrader's catalog cannot hold does not keep the others out."""
    found: dict[str, Instrument] = {}
    left_out: list[str] = []
    for document in documents:
        try:
            named = _named(document)
            _check_ids([*found, str(named.values.get("id"))], Path(order.source))
            one = described(named.kind, named.values, order.new_currencies)
        except ImportRefusedError as error:
            left_out.append(str(error))
        else:
            found[one.id.value] = one
    if not found:
        raise ImportRefusedError(f"none of them can be described: {'; '.join(left_out[:_MOST_TOLD])}")
    return Imported(list(found.values()), tuple(left_out))


def _documents_of(source: Path, order: ImportInstruments) -> list[Any]:
    if source.is_dir():
        return _of_catalog(source)
    if packing_of(source) != DBN:
        if order.exchange_as_venue:
            raise ImportRefusedError("is no DBN: leave out --exchange-as-venue", source)
        return _documents(source)
    with dbn_bytes(source) as raw:
        check_definitions(raw, source)
    with dbn_bytes(source) as raw:
        check_whole(raw, source)
    with dbn_bytes(source) as raw:
        found = instruments_of(raw, source, exchange_as_venue=order.exchange_as_venue)
    return [to_dict(one) for one in found]


def _check_ids(names: list[str], source: Path) -> None:
    taken: dict[str, str] = {}
    for name in names:
        check_id(name)
        folder = folder_name(name)
        if folder in taken:
            raise ImportRefusedError(f"has {taken[folder]} and {name}, of which a catalog holds one", source)
        taken[folder] = name


def one_of(file: Path, name: str) -> Named:
    """The only instrument of a JSON file, which has this id. Raises ImportRefusedError."""
    documents = _documents(file)
    if len(documents) != 1:
        raise ImportRefusedError(f"holds {len(documents)} instruments: bring them in by import", file)
    found = _named(documents[0])
    if found.values.get("id") != name:
        raise ImportRefusedError(f"id {found.values.get('id')} is not {name}", file)
    return found


def of_instrument(instrument: Instrument) -> Named:
    """What is said of an instrument of a catalog."""
    return _named(to_dict(instrument))


def check_id(name: str) -> None:
    """Raises ImportRefusedError for what is no id."""
    try:
        msgspec.convert(name, InstrumentText)
    except msgspec.ValidationError:
        raise ImportRefusedError(f"id {name!r} is no SYMBOL.VENUE, such as 6EH4.CME") from None


def _of_catalog(folder: Path) -> list[dict[str, Any]]:
    """Of an instrument that was written again and again the last."""
    try:
        found = ParquetDataCatalog(str(folder)).instruments()
    except Exception as error:  # noqa: BLE001 - whatever NautilusTrader and pyarrow say of foreign files
        raise ImportRefusedError(f"is no catalog that can be read: {error}", folder) from None
    return [to_dict(one) for one in newest(found)]


def _documents(file: Path) -> list[Any]:
    """One object, a list, what `instrument show --json` prints, or an object a line."""
    text = file.read_text(errors="replace")
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        try:
            whole = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise ImportRefusedError(f"is no JSON: {error}", file) from None
    documents = whole if isinstance(whole, list) else [whole]
    return [each for one in documents for each in _unwrapped(one)]


def _unwrapped(document: Any) -> list[Any]:
    if isinstance(document, dict) and isinstance(document.get("instruments"), list):
        return [each for one in document["instruments"] for each in _unwrapped(one)]
    if isinstance(document, dict) and isinstance(document.get("nautilus"), dict):
        return [document["nautilus"]]
    return [document]


def _named(document: Any) -> Named:
    """Class and fields of an object in the form of NautilusTrader's `to_dict`; whole numbers may stand for their text."""
    if not isinstance(document, dict):
        raise ImportRefusedError(f"an instrument is a JSON object, not {type(document).__name__}")
    kind = BY_NAUTILUS.get(str(document.get("type")))
    if kind is None:
        raise ImportRefusedError(
            f"{document.get('id')}: type {document.get('type')!r} is none of {', '.join(BY_NAUTILUS)}"
        )
    values = {name: value for name, value in document.items() if name != "type"}
    if kind is not InstrumentClass.BETTING:
        values = {name: _as_text(name, value) for name, value in values.items()}
    return Named(kind, {name: value for name, value in values.items() if not _is_absent(kind, name, value)})


def _as_text(name: str, value: Any) -> Any:
    is_number = name in FIELDS and FIELDS[name].kind in (FieldKind.PRICE, FieldKind.QUANTITY, FieldKind.SHARE)
    return str(value) if is_number and type(value) is int else value


def _is_absent(kind: InstrumentClass, name: str, value: Any) -> bool:
    """True for what NautilusTrader writes for every instrument though its class has no such field: nothing, or a margin of 0."""
    if kind not in CLASSES or name in ("id", *CLASSES[kind].fields):
        return False
    is_share = name in FIELDS and FIELDS[name].kind is FieldKind.SHARE
    return value is None or (is_share and not str(value).strip("0."))
