"""The command line of the catalog's program, and what an import was asked for by it."""

import argparse
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from flotilla.engine_sidecar.catalog.importing import ImportOrder
from flotilla.engine_sidecar.catalog.packing import SUFFIXES
from flotilla.engine_sidecar.catalog.reading import DataType, Stamp
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.times import midnight_ns, parse_time

_DAY_NS: Final = 86_400 * 1_000_000_000
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
        )
        for symbol in ("SPX", "IXIC")
    )


def import_order(chosen: argparse.Namespace) -> ImportOrder:
    """What was asked for. Raises ImportRefusedError."""
    if not chosen.files or not chosen.type or not chosen.instrument:
        raise ImportRefusedError("give --sample, or FILE … with --type and --instrument")
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
        "data_type": DataType(chosen.type) if chosen.type else None,
        **({"first": _moment(first, "--from", 0)} if first else {}),
        **({"last": _moment(last, "--to", _DAY_NS) - (0 if "T" in last else 1)} if last else {}),
    }


def _moment(text: str, option: str, of_day: int) -> int:
    """UNIX ns of a moment, or of a date in UTC with `of_day` added."""
    try:
        found = parse_time(text, ZoneInfo("UTC"))
    except ValueError as error:
        raise ImportRefusedError(f"{option}: {error}") from None
    return found if isinstance(found, int) else midnight_ns(found, None) + of_day


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m flotilla.engine_sidecar.catalog", description="Market data for engines."
    )
    commands = made.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("ls", help="what a catalog holds")
    importing = commands.add_parser("import", help="bring CSV or Parquet files into a catalog")
    checking = commands.add_parser("check", help="gaps, and values that no market has")
    attaching = commands.add_parser("attach", help="use a NautilusTrader catalog where it lies")
    detaching = commands.add_parser("detach", help="let go of one")
    for command in (listing, importing, checking, attaching, detaching):
        _add_common(command)
    attaching.add_argument("folder", type=Path, metavar="FOLDER")
    attaching.add_argument("--name", help="of letters, digits and '-'; otherwise that of the folder")
    detaching.add_argument("name", metavar="NAME")
    removing = commands.add_parser("rm", help="take data out of a catalog")
    consolidating = commands.add_parser("consolidate", help="few files instead of many")
    for command in (removing, consolidating):
        _add_common(command)
    removing.add_argument("identifier", metavar="IDENTIFIER")
    removing.add_argument("--type", choices=[str(kind) for kind in DataType])
    removing.add_argument("--from", metavar="TIME", help="a date, or a moment in UTC")
    removing.add_argument("--to", metavar="TIME", help="included")
    consolidating.add_argument("identifier", nargs="?", metavar="IDENTIFIER")
    importing.add_argument(
        "files", nargs="*", metavar="FILE", help="CSV, Parquet or Feather, a folder or a pattern"
    )
    importing.add_argument("--sample", action="store_true", help="the sample data that comes with Flotilla")
    importing.add_argument("--type", choices=[str(kind) for kind in DataType])
    importing.add_argument("--instrument", metavar="SYMBOL.VENUE")
    importing.add_argument("--bar-type", metavar="SYMBOL.VENUE-1-DAY-LAST-EXTERNAL")
    importing.add_argument(
        "--stamp",
        choices=[str(stamp) for stamp in Stamp],
        help="what a bar's time is of, where the header does not tell",
    )
    importing.add_argument("--timezone", help="of times that name none, such as UTC or America/New_York")
    importing.add_argument("--time-format", metavar="FORMAT", help="of times, such as %%d.%%m.%%Y %%H:%%M")
    importing.add_argument("--columns", metavar="NAME,…", help="of files that have no header")
    importing.add_argument("--no-header", action="store_true", help="the first line is a row")
    importing.add_argument("--delimiter", metavar="MARK", help="between columns; `tab` for that")
    importing.add_argument(
        "--skip", type=int, default=0, metavar="LINES", help="before the header or first row"
    )
    importing.add_argument("--thousands", metavar="MARK", help="that sets thousands apart")
    importing.add_argument("--default-size", metavar="SIZE", help="of rows that have none")
    importing.add_argument("--sort", action="store_true", help="rows may come in any order")
    importing.add_argument("--dedupe", action="store_true", help="take rows that repeat once")
    importing.add_argument("--replace", action="store_true", help="what the catalog has otherwise")
    importing.add_argument("--dry-run", action="store_true", help="show how the first rows are understood")
    importing.add_argument("--decimal", choices=(".", ","), default=".", help="the decimal mark")
    importing.add_argument(
        "--fixed-decimals", type=int, metavar="DECIMALS", help="of prices written without a point"
    )
    importing.add_argument("--prices", choices=("raw", "adjusted"), help="where a file has an adjusted close")
    importing.add_argument("--price-precision", type=int, metavar="DECIMALS")
    importing.add_argument("--size-precision", type=int, metavar="DECIMALS")
    importing.add_argument("--currency", default="USD", help="of a new instrument that is no pair")
    return made


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--catalog", type=Path, required=True, metavar="DIR")
    command.add_argument("--json", action="store_true", help="one JSON object per line")
