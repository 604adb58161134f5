"""The command line of the catalog's program."""

import argparse
from pathlib import Path
from typing import Any, Final

from flotilla.engine_sidecar.catalog.reading import Stamp
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.data import IMPORTED_TYPES
from flotilla.schemas.instrument_classes import InstrumentClass

_IS_SET: Final = {"action": "store_true"}
_IMPORT: Final[dict[str, dict[str, Any]]] = {
    "files": {"nargs": "*", "metavar": "FILE", "help": "CSV, Parquet or Feather, a folder or a pattern"},
    "--sample": {**_IS_SET, "help": "the sample data that comes with Flotilla"},
    "--type": {"choices": IMPORTED_TYPES},
    "--instrument": {"metavar": "SYMBOL.VENUE"},
    "--bar-type": {"metavar": "SYMBOL.VENUE-1-DAY-LAST-EXTERNAL"},
    "--stamp": {
        "choices": [str(stamp) for stamp in Stamp],
        "help": "what a bar's time is of, where the header does not tell",
    },
    "--timezone": {"help": "of times that name none, such as UTC or America/New_York"},
    "--time-format": {"metavar": "FORMAT", "help": "of times, such as %%d.%%m.%%Y %%H:%%M"},
    "--columns": {"metavar": "NAME,…", "help": "of files that have no header"},
    "--no-header": {**_IS_SET, "help": "the first line is a row"},
    "--delimiter": {"metavar": "MARK", "help": "between columns; `tab` for that"},
    "--skip": {"type": int, "default": 0, "metavar": "LINES", "help": "before the header or first row"},
    "--decimal": {"choices": (".", ","), "default": ".", "help": "the decimal mark"},
    "--thousands": {"metavar": "MARK", "help": "that sets thousands apart"},
    "--fixed-decimals": {"type": int, "metavar": "DECIMALS", "help": "of prices written without a point"},
    "--prices": {"choices": ("raw", "adjusted"), "help": "where a file has an adjusted close"},
    "--price-precision": {"type": int, "metavar": "DECIMALS"},
    "--size-precision": {"type": int, "metavar": "DECIMALS"},
    "--default-size": {"metavar": "SIZE", "help": "of rows that have none"},
    "--symbol": {"metavar": "SYMBOL", "help": "take its rows of files that have several"},
    "--sort": {**_IS_SET, "help": "rows may come in any order"},
    "--dedupe": {**_IS_SET, "help": "take rows that repeat once"},
    "--replace": {**_IS_SET, "help": "what the catalog has otherwise"},
    "--dry-run": {**_IS_SET, "help": "show how the first rows are understood"},
    "--class": {"dest": "instrument_class", "choices": list(map(str, InstrumentClass))},
    "--currency": {"default": "USD", "help": "of a new instrument that is no pair"},
}
_COMMANDS: Final[dict[str, tuple[str, dict[str, dict[str, Any]]]]] = {
    "ls": ("what a catalog holds", {}),
    "check": ("gaps, and values that no market has", {}),
    "import": ("bring files of market data into a catalog", _IMPORT),
    "attach": (
        "use a NautilusTrader catalog where it lies",
        {
            "folder": {"type": Path, "metavar": "FOLDER"},
            "--name": {"help": "of letters, digits and '-'; otherwise that of the folder"},
        },
    ),
    "detach": ("let go of one", {"name": {"metavar": "NAME"}}),
    "rm": (
        "take data out of a catalog",
        {
            "identifier": {"metavar": "IDENTIFIER"},
            "--type": {"choices": [str(kind) for kind in DataKind]},
            "--from": {"metavar": "TIME", "help": "a date, or a moment in UTC"},
            "--to": {"metavar": "TIME", "help": "included"},
        },
    ),
    "consolidate": ("few files instead of many", {"identifier": {"nargs": "?", "metavar": "IDENTIFIER"}}),
}


def parser() -> argparse.ArgumentParser:
    """What the program takes."""
    made = argparse.ArgumentParser(
        prog="python -m flotilla.engine_sidecar.catalog", description="Market data for engines."
    )
    commands = made.add_subparsers(dest="command", required=True)
    for name, (meaning, arguments) in _COMMANDS.items():
        command = commands.add_parser(name, help=meaning)
        command.add_argument("--catalog", type=Path, required=True, metavar="DIR")
        command.add_argument("--json", action="store_true", help="one JSON object per line")
        for argument, how in arguments.items():
            command.add_argument(argument, **how)
    return made
