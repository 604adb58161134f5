"""`python -m flotilla.engine_sidecar.catalog import|ls|check`: exit 0 when done, 2 when data or arguments are refused, 1 when unsound."""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.catalog.columns import DataType, Stamp
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.catalog.importing import Imported, ImportOrder, import_data
from flotilla.engine_sidecar.catalog.inspection import inspect
from flotilla.engine_sidecar.catalog.instrument_program import instrument_main
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.catalog import CatalogView, Finding
from flotilla.schemas.instrument_classes import InstrumentClass

type Print = Callable[[str], None]


class Reports:
    """Writes with `out`; `is_json` chooses the form."""

    def __init__(self, out: Print, *, is_json: bool) -> None:
        self._out, self._is_json = out, is_json

    def progress(self, step: str, file: Path, rows: int) -> None:
        """`rows` of `file` have been checked, or written."""
        self._say(
            f"{file.name}: {rows:,} rows {step}", event="progress", step=step, file=str(file), rows=rows
        )

    def imported(self, done: Imported) -> None:
        """An import ended well."""
        what = "imported" if done.is_new else "unchanged: the catalog has this data already"
        if 0 < done.new_rows < done.rows:
            what = f"{done.new_rows:,} imported, the catalog had the others already"
        self._say(
            f"{done.data_type} {done.identifier}: {done.rows:,} rows, {_time(done.first)} to {_time(done.last)}, {what}",
            event="imported" if done.is_new else "unchanged",
            **msgspec.to_builtins(done),
        )
        if not self._is_json:
            for note in (
                *done.assumed,
                *done.notes,
                *([f"columns not read: {', '.join(done.ignored)}"] if done.ignored else []),
            ):
                self._out(f"  {note}")

    def refused(self, why: str) -> None:
        """An import was refused and changed nothing."""
        self._say(f"error: {why}", event="error", message=why)

    def listed(self, view: CatalogView) -> None:
        """The data sets of a catalog."""
        if self._is_json:
            self._out(msgspec.json.encode(view).decode())
        for entry in () if self._is_json else view.entries:
            self._out(
                f"{entry.data_type:7}{entry.identifier:45}{entry.start:%Y-%m-%d} {entry.end:%Y-%m-%d}{entry.files:6}"
            )

    def inspected(self, found: Finding) -> None:
        """One data set was looked through."""
        if self._is_json:
            self._out(msgspec.json.encode(found).decode())
            return
        verdict = "sound" if found.is_sound else f"{found.bad_count:,} bad values"
        self._out(
            f"{found.data_type} {found.identifier}: {found.events:,} events, {verdict}, {found.gap_count} gaps"
        )
        for bad in found.bad:
            self._out(f"  {_time(bad.at_ns)} {bad.why}")
        for gap in found.gaps:
            self._out(f"  nothing from {_time(gap.first_ns)} to {_time(gap.last_ns)}")

    def _say(self, text: str, **fields: Any) -> None:
        self._out(msgspec.json.encode(fields).decode() if self._is_json else text)


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")


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


_UMASK: Final = 0o022
"""What a catalog holds is read by engines in containers, as another account."""


def main(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    os.umask(_UMASK)
    if arguments[:1] == ["instrument"]:
        return instrument_main(arguments[1:], lambda line: print(line, flush=True))
    chosen = _parser().parse_args(arguments)
    reports = Reports(lambda line: print(line, flush=True), is_json=chosen.json)
    try:
        if chosen.command == "ls":
            reports.listed(catalog_view(chosen.catalog))
        elif chosen.command == "check":
            return _check(chosen.catalog, reports)
        else:
            for order in sample_orders() if chosen.sample else (_order(chosen),):
                reports.imported(import_data(chosen.catalog.resolve(), order, reports.progress))
    except ImportRefusedError as error:
        reports.refused(str(error))
        return 2
    except OSError as error:
        reports.refused(f"{error.filename or chosen.catalog}: {error.strerror or error}")
        return 2
    return 0


def _check(catalog: Path, reports: Reports) -> int:
    is_sound = True
    for found in inspect(catalog):
        reports.inspected(found)
        is_sound = is_sound and found.is_sound
    return 0 if is_sound else 1


def _order(chosen: argparse.Namespace) -> ImportOrder:
    if not chosen.files or not chosen.type or not chosen.instrument:
        raise ImportRefusedError("give --sample, or FILE … with --type and --instrument")
    fields = {
        "files": [str(file) for file in chosen.files],
        "data_type": chosen.type,
        "instrument": chosen.instrument,
        "bar_type": chosen.bar_type,
        "stamp": chosen.stamp,
        "timezone": chosen.timezone,
        "time_format": chosen.time_format,
        "columns": [name.strip() for name in chosen.columns.split(",")] if chosen.columns else [],
        "decimal": chosen.decimal,
        "fixed_decimals": chosen.fixed_decimals,
        "prices": chosen.prices,
        "price_precision": chosen.price_precision,
        "size_precision": chosen.size_precision,
        "currency": chosen.currency,
        "instrument_class": chosen.instrument_class,
    }
    try:
        return msgspec.convert(fields, ImportOrder, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise ImportRefusedError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flotilla.engine_sidecar.catalog", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("ls", help="what a catalog holds")
    importing = commands.add_parser("import", help="bring CSV or Parquet files into a catalog")
    checking = commands.add_parser("check", help="gaps, and values that no market has")
    for command in (listing, importing, checking):
        command.add_argument("--catalog", type=Path, required=True, metavar="DIR")
        command.add_argument("--json", action="store_true", help="one JSON object per line")
    importing.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="CSV, CSV.gz, CSV.zip or Parquet"
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
    importing.add_argument("--decimal", choices=(".", ","), default=".", help="the decimal mark")
    importing.add_argument(
        "--fixed-decimals", type=int, metavar="DECIMALS", help="of prices written without a point"
    )
    importing.add_argument("--prices", choices=("raw", "adjusted"), help="where a file has an adjusted close")
    importing.add_argument("--price-precision", type=int, metavar="DECIMALS")
    importing.add_argument("--size-precision", type=int, metavar="DECIMALS")
    importing.add_argument(
        "--class", "--instrument-class", dest="instrument_class", choices=list(map(str, InstrumentClass))
    )
    importing.add_argument("--currency", default="USD", help="of a new instrument that is no pair")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
