"""What was asked for by the command line of the catalog's program."""

import argparse
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.catalog.event_columns import IMPORTED
from flotilla.engine_sidecar.catalog.event_import import EventOrder
from flotilla.engine_sidecar.catalog.importing import ImportOrder
from flotilla.engine_sidecar.catalog.packing import SUFFIXES
from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.times import bound_ns
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.instrument_classes import InstrumentClass

_MARKS: Final = {"tab": "\t", "\\t": "\t"}
_FOLDER: Final = Path(__file__).resolve().parents[2] / "data"


def sample_orders() -> tuple[ImportOrder, ...]:
    """S&P 500 and NASDAQ as SPX.SIM and IXIC.SIM: daily from 1999 to 2018, in dollars and cents, closing at midnight UTC."""
    return tuple(
        ImportOrder(
            files=(_FOLDER / f"{symbol.lower()}-daily.csv.gz",),
            data_type=DataType.BARS,
            instrument=f"{symbol}.SIM",
            bar_type=f"{symbol}.SIM-1-DAY-LAST-EXTERNAL",
            timezone="UTC",
            price_precision=2,
            size_precision=0,
            instrument_class=InstrumentClass.EQUITY,
        )
        for symbol in ("SPX", "IXIC")
    )


def import_order(chosen: argparse.Namespace) -> ImportOrder:
    """What was asked for. Raises ImportRefusedError."""
    _check_given(chosen)
    names = set(ImportOrder.__struct_fields__) - {"files", "data_type", "columns", "delimiter"}
    fields = {name: getattr(chosen, name) for name in names} | {
        "files": [str(file) for file in _files(chosen.files)],
        "data_type": chosen.type,
        "columns": [name.strip() for name in chosen.columns.split(",")] if chosen.columns else [],
        "delimiter": _MARKS.get(chosen.delimiter, chosen.delimiter),
    }
    try:
        return msgspec.convert(fields, ImportOrder, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise ImportRefusedError(str(error)) from None


def is_of_events(chosen: argparse.Namespace) -> bool:
    """Whether its kind has columns of its own: `event_order`, and not `import_order`, then says what was asked for."""
    return chosen.type in IMPORTED


def _check_given(chosen: argparse.Namespace) -> None:
    """Raises ImportRefusedError that names all that is missing, at once."""
    if not chosen.files:
        raise ImportRefusedError("give --sample, or FILE … with --type and --instrument")
    missing = [name for name in ("type", "instrument") if not getattr(chosen, name)]
    if chosen.type in (None, DataType.BARS) and not chosen.bar_type:
        missing.append("bar-type")
    if missing:
        how = _asked(chosen)
        raise ImportRefusedError(f"give {'; '.join(how[name] for name in missing)}")


def _asked(chosen: argparse.Namespace) -> dict[str, str]:
    """How each of what an import needs is given."""
    instrument = chosen.instrument or "SPX.SIM"
    for_bars = "" if chosen.type else " for bars"
    kinds = ", ".join([*DataType, *IMPORTED])
    return {
        "type": f"--type, one of {kinds}",
        "instrument": "--instrument, such as SPX.SIM",
        "bar-type": f"--bar-type{for_bars}, such as {instrument}-1-DAY-LAST-EXTERNAL",
    }


def event_order(chosen: argparse.Namespace, defaults: argparse.Namespace) -> EventOrder:
    """An import of a kind that has its own columns. Raises ImportRefusedError for options that say nothing there."""
    _check_given(chosen)
    taken = {*EventOrder.__struct_fields__, "command", "catalog", "json", "type"}
    for name, value in vars(chosen).items():
        if name not in taken and value != getattr(defaults, name):
            shown = {"instrument_class": "class"}.get(name, name)
            raise ImportRefusedError(f"--{shown.replace('_', '-')} does not go with {chosen.type}")
    fields = {name: getattr(chosen, name) for name in ("instrument", "timezone", "sort", "replace")}
    fields |= {"files": [str(file) for file in _files(chosen.files)], "data_type": chosen.type}
    try:
        return msgspec.convert(fields, EventOrder, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise ImportRefusedError(str(error)) from None


def _files(given: Iterable[str]) -> Iterator[Path]:
    """The files meant: those of a folder that may be data, and those that a pattern fits. Raises ImportRefusedError."""
    for text in given:
        path = Path(text)
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file())
            if not found:
                raise ImportRefusedError(f"{path} has no file that ends with {', '.join(SUFFIXES)}")
            yield from found
        elif path.exists() or not set("*?[") & set(text):
            yield path
        elif matching := sorted(map(Path, glob(text, recursive=True))):
            yield from matching
        else:
            raise ImportRefusedError(f"no file fits {text}")


def removal(chosen: argparse.Namespace) -> dict[str, Any]:
    """What is to be removed. Raises ImportRefusedError."""
    first, last = getattr(chosen, "from"), chosen.to
    return {
        "identifier": chosen.identifier,
        "data_type": DataKind(chosen.type) if chosen.type else None,
        **({"first": bound_ns(first, "--from", is_end=False)} if first else {}),
        **({"last": bound_ns(last, "--to", is_end=True)} if last else {}),
    }
