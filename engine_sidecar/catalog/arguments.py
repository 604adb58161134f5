"""The command line of the catalog's program, and what an import was asked for by it."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from flotilla.engine_sidecar.catalog.columns import DataType, Stamp
from flotilla.engine_sidecar.catalog.importing import ImportOrder
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

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
    }
    try:
        return msgspec.convert(fields, ImportOrder, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise ImportRefusedError(str(error)) from None


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
        command.add_argument("--catalog", type=Path, required=True, metavar="DIR")
        command.add_argument("--json", action="store_true", help="one JSON object per line")
    attaching.add_argument("folder", type=Path, metavar="FOLDER")
    attaching.add_argument("--name", help="of letters, digits and '-'; otherwise that of the folder")
    detaching.add_argument("name", metavar="NAME")
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
    importing.add_argument("--currency", default="USD", help="of a new instrument that is no pair")
    return made
