"""`flotilla data import`, `ls` and `check`: the catalog in the state folder; no stack has to run."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
import msgspec

from flotilla.cli.commands.data_program import PROGRAM, refuse_host
from flotilla.cli.commands.data_remote import import_remotely
from flotilla.cli.commands.data_report import tell
from flotilla.cli.options import Options, common, pass_options
from flotilla.client.backtest_config import instrument_of
from flotilla.client.client import Flotilla
from flotilla.schemas.catalog import CatalogView, Finding
from flotilla.schemas.data import IMPORTED_TYPES
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.show.data_findings import findings_report
from flotilla.show.output import console
from flotilla.show.tables import catalog_table
from flotilla.stack.checks import require_engine_package
from flotilla.state.errors import ProgramFailedError
from flotilla.state.exits import Exit
from flotilla.state.programs import output, output_lines, python

_UNSOUND = 1
"""How its check ends when it found bad values."""


@click.command("import")
@click.argument("files", nargs=-1)
@click.option("--sample", is_flag=True, help="The sample data: daily S&P 500 and NASDAQ, 1999 to 2018.")
@click.option(
    "--type",
    "data_type",
    type=click.Choice(IMPORTED_TYPES),
    help="What FILES hold.",
)
@click.option("--instrument", metavar="SYMBOL.VENUE")
@click.option("--bar-type", metavar="TYPE", help="For example SPX.SIM-1-DAY-LAST-EXTERNAL.")
@click.option(
    "--stamp",
    type=click.Choice(["open", "close"]),
    help="What a bar's time is of, where the header does not tell.",
)
@click.option("--timezone", metavar="ZONE", help="Of times that name none, such as America/New_York.")
@click.option("--time-format", metavar="FORMAT", help="Of times, such as '%d.%m.%Y %H:%M'.")
@click.option("--columns", metavar="NAME,…", help="Names of the columns of FILES that have no header.")
@click.option("--no-header", is_flag=True, help="The first line is a row already.")
@click.option("--delimiter", metavar="MARK", help="Between columns; `tab` for that.")
@click.option("--skip", type=int, metavar="LINES", help="Lines before the header or the first row.")
@click.option("--decimal", type=click.Choice([".", ","]), help="The decimal mark.  [default: .]")
@click.option("--thousands", metavar="MARK", help="The mark that sets thousands apart, such as ','.")
@click.option(
    "--fixed-decimals",
    type=int,
    metavar="DECIMALS",
    help="Of prices written as whole numbers: 9 for billionths.",
)
@click.option(
    "--prices", type=click.Choice(["raw", "adjusted"]), help="Which to take where there is an adjusted close."
)
@click.option("--default-size", metavar="SIZE", help="Of rows whose file has no column of sizes.")
@click.option("--symbol", help="Take the rows of this one, of FILES that hold several.")
@click.option("--sort", is_flag=True, help="Rows and files may come in any order; takes memory for all.")
@click.option("--dedupe", is_flag=True, help="Take rows that equal the one before them once.")
@click.option("--replace", is_flag=True, help="Take the files' rows where the catalog has others.")
@click.option("--dry-run", is_flag=True, help="Show how the first rows are understood; change nothing.")
@click.option("--price-precision", type=int, metavar="DECIMALS")
@click.option("--size-precision", type=int, metavar="DECIMALS")
@click.option(
    "--class",
    "instrument_class",
    type=click.Choice(["equity", "index", "currency-pair"]),
    help="What a new instrument is; others: flotilla instrument add.",
)
@click.option("--currency", help="Of a new instrument that is no pair.  [default: USD]")
@click.option("--host", help="Whose catalog, of a fleet elsewhere that has several.")
@common
@pass_options
def import_(
    options: Options,
    /,
    *,
    files: tuple[str, ...],
    sample: bool,
    data_type: str | None,
    instrument_class: str | None,
    host: str | None,
    **plain: Any,
) -> None:
    """Bring CSV, Parquet, Feather or DBN FILES into the catalog; the same again changes nothing.

    FILES may be packed (.gz, .zst, .zip), folders, and patterns in quotes. Layouts of
    well-known vendors are recognised by their shape. Where FLOTILLA_NATS_URL names the
    fleet, they are uploaded to it one by one, and may be no folders and patterns.

    \b
    flotilla data import --sample
    flotilla data import eurusd.csv --type quotes --instrument EUR/USD.SIM --timezone UTC
    """
    given = completed({"type": data_type, "class": instrument_class, **plain})
    if options.is_of_environment:
        import_remotely(options, files, {"host": host, **given}, is_sample=sample)
        return
    refuse_host(host)
    arguments = [str(file) for file in files] + (["--sample"] if sample else [])
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif value is not None and value is not False:
            arguments.append(f"{option}={value}")
    require_engine_package()
    options.folder.create()
    asyncio.run(_import(options, arguments))


def completed(given: dict[str, Any]) -> dict[str, Any]:
    """What was given of an import, with what a bar type says by itself: that it is of bars, and of which instrument."""
    if (bar_type := given.get("bar_type")) is None:
        return given
    return {
        **given,
        "type": given.get("type") or "bars",
        "instrument": given.get("instrument") or instrument_of(bar_type),
    }


@click.command()
@common
@pass_options
def ls(options: Options) -> None:
    """List what the catalog holds."""
    view = asyncio.run(_view(options))
    options.output.document(view, lambda: catalog_table(view))


async def _view(options: Options) -> CatalogView:
    """As the running stack sees it, which is quick; without one, as the importer does."""
    try:
        async with Flotilla.connect(options.state, wait_s=2) as fleet:
            return await fleet.catalog()
    except FaultError as error:
        if error.fault.code != FaultCode.UNAVAILABLE:
            raise
    require_engine_package()
    text = await output(python(*PROGRAM, "ls", "--json", "--catalog", str(options.folder.catalog)))
    return msgspec.json.decode(text, type=CatalogView)


async def _import(options: Options, arguments: list[str]) -> None:
    argv = python(*PROGRAM, "import", "--json", "--catalog", str(options.folder.catalog), *arguments)
    refusal = ""
    try:
        async with aclosing(output_lines(argv)) as lines:
            with console(stderr=True).status("reading …") as status:
                async for line in lines:
                    report = msgspec.json.decode(line)
                    if report["event"] == "error":
                        refusal = report["message"]
                    elif report["event"] == "progress":
                        status.update(
                            f"{Path(report['file']).name}: {report['rows']:,} rows {report['step']}"
                        )
                    else:
                        tell(options, report)
    except ProgramFailedError:
        if not refusal:
            raise
        raise fault(FaultCode.INVALID, refusal) from None


@click.command()
@common
@pass_options
def check(options: Options) -> int:
    """Look through the catalog for gaps, and values that no market has. Exits with 1 when there are such values."""
    require_engine_package()
    return asyncio.run(_check(options))


async def _check(options: Options) -> int:
    argv = python(*PROGRAM, "check", "--json", "--catalog", str(options.folder.catalog))
    findings: list[Finding] = []
    try:
        async with aclosing(output_lines(argv)) as lines:
            with console(stderr=True).status("looking through the catalog …"):
                async for line in lines:
                    found = _finding(line)
                    findings.append(found)
    except ProgramFailedError as error:
        if error.exit_code != _UNSOUND or all(one.is_sound for one in findings):
            raise
    options.output.document(findings, lambda: findings_report(findings))
    return Exit.OK if all(one.is_sound for one in findings) else Exit.FAILED


def _finding(line: str) -> Finding:
    report = msgspec.json.decode(line)
    if report.get("event") == "error":
        raise fault(FaultCode.INVALID, report["message"])
    found: Finding = msgspec.convert(report, Finding)
    return found
