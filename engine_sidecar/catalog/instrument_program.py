"""`python -m flotilla.engine_sidecar.catalog instrument add|import|show|ls|rm`: one JSON document on stdout.

Exit 0 when done, 2 when something is refused; then the document is `{"event": "error", "message": …}`, and nothing was changed.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flotilla.engine_sidecar.catalog.adding import Described, added
from flotilla.engine_sidecar.catalog.entries import check_name
from flotilla.engine_sidecar.catalog.instrument_files import imported
from flotilla.engine_sidecar.catalog.instrument_views import view_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError, InUseError, NotThereError
from flotilla.engine_sidecar.catalog.shelf import data_of, instruments_in, put, remove
from flotilla.engine_sidecar.catalog.store import locked
from flotilla.schemas.instrument import (
    AddInstrument,
    ImportInstruments,
    InstrumentChange,
    InstrumentChanges,
    InstrumentList,
    InstrumentView,
    RemoveInstrument,
)


def instrument_main(arguments: list[str], say: Callable[[str], None]) -> int:
    """Runs one command and returns its exit code."""
    chosen = _parser().parse_intermixed_args(arguments)
    try:
        answer = _COMMANDS[chosen.command](chosen.catalog, chosen.order)
    except (ImportRefusedError, msgspec.DecodeError) as error:
        say(msgspec.json.encode({"event": "error", "message": str(error)}).decode())
        return 2
    except OSError as error:
        message = f"{error.filename or chosen.catalog}: {error.strerror or error}"
        say(msgspec.json.encode({"event": "error", "message": message}).decode())
        return 2
    # Over many lines, since whoever reads takes none without end.
    say(msgspec.json.format(msgspec.json.encode(answer), indent=1).decode())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flotilla.engine_sidecar.catalog instrument", description=__doc__
    )
    parser.add_argument("command", choices=list(_COMMANDS))
    parser.add_argument("order", nargs="?", default="", help="JSON for add, import and rm; the id for show")
    parser.add_argument("--catalog", type=Path, required=True, metavar="DIR")
    return parser


def _add(catalog: Path, order: str) -> InstrumentChanges:
    asked = msgspec.json.decode(order, type=AddInstrument)
    with locked(catalog):
        there = [one for one in instruments_in(catalog) if one.id.value == asked.name]
        return _put(catalog, [added(asked, *there)])


def _import(catalog: Path, order: str) -> InstrumentChanges:
    asked = msgspec.json.decode(order, type=ImportInstruments)
    made = imported(asked)
    with locked(catalog):
        done = _put(catalog, list(map(Described, made.instruments)), is_dry_run=asked.is_dry_run)
    return msgspec.structs.replace(done, left_out=made.left_out, is_dry_run=asked.is_dry_run)


def _put(catalog: Path, made: list[Described], *, is_dry_run: bool = False) -> InstrumentChanges:
    for one in made:
        check_name(catalog, one.instrument.id.value)
    changes = put(catalog, [one.instrument for one in made], is_dry_run=is_dry_run)
    return InstrumentChanges(
        changes=tuple(
            msgspec.structs.replace(change, assumed=one.assumed)
            for change, one in zip(changes, made, strict=True)
        )
    )


def _show(catalog: Path, order: str) -> InstrumentView:
    return _view(catalog, _there(catalog, order))


def _ls(catalog: Path, _: str) -> InstrumentList:
    return InstrumentList(instruments=tuple(_view(catalog, one) for one in instruments_in(catalog)))


def _rm(catalog: Path, order: str) -> InstrumentChange:
    return removed(catalog, msgspec.json.decode(order, type=RemoveInstrument))


def removed(catalog: Path, asked: RemoveInstrument) -> InstrumentChange:
    """Takes an instrument out of the catalog. Raises ImportRefusedError: NotThereError, InUseError where data depends on it."""
    with locked(catalog):
        there = _there(catalog, asked.name)
        data = data_of(catalog, asked.name)
        if data and not asked.force:
            raise InUseError(
                f"{asked.name} stays, because data depends on it: {'; '.join(map(str, data))}; with --force the data is left without it"
            )
        return remove(catalog, there)


def _there(catalog: Path, name: str) -> Any:
    found = instruments_in(catalog)
    if (there := next((one for one in found if one.id.value == name), None)) is None:
        known = ", ".join(one.id.value for one in found[:20]) or "nothing"
        raise NotThereError(f"the catalog has no instrument {name}; it has {known}")
    return there


def _view(catalog: Path, instrument: Any) -> InstrumentView:
    return view_of(instrument, tuple(map(str, data_of(catalog, instrument.id.value))))


_COMMANDS: dict[str, Callable[[Path, str], Any]] = {
    "add": _add,
    "import": _import,
    "show": _show,
    "ls": _ls,
    "rm": _rm,
}
