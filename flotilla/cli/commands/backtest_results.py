"""`flotilla backtest report`, `compare`, `export` and `verify`: what comes of completed backtests."""

import asyncio
from pathlib import Path

import click
import msgspec
from rich.text import Text

from flotilla.cli.completing import backtest_names
from flotilla.cli.following import follow
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.report_files import FILE, beside, report_options, tell_report
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestVerdict, BacktestView, EquityPoint, ResultPart
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.result_lists import LISTS
from flotilla.show.benchmarks import benchmark_for
from flotilla.show.comparison_tables import comparison_report
from flotilla.show.exporting import FORMATS
from flotilla.show.exporting import export as export_rows
from flotilla.show.plots import WIDTH
from flotilla.show.reports import record_of, save_nautilus_report, until_drawn, write_report
from flotilla.show.tear_sheet.record import Record
from flotilla.show.verdict_report import verdict_report
from flotilla.stack.checks import require_engine_package
from flotilla.state.errors import BacktestFailedError
from flotilla.state.exits import Exit


@click.command()
@click.argument("backtest_id", metavar="ID", shell_complete=backtest_names)
@report_options
@click.option(
    "--benchmark",
    metavar="INSTRUMENT",
    help="Compare with buying and holding it: of the run, or of the catalog in this state folder.  [default: the run's first]",
)
@click.option(
    "--nautilus",
    "is_nautilus",
    is_flag=True,
    help="NautilusTrader's own sheet, about 6 MB; the backtest is run again for it, once.",
)
@common
@pass_options
@with_fleet
async def report(
    options: Options,
    fleet: Flotilla,
    *,
    backtest_id: str,
    out: Path | None,
    is_opened: bool,
    benchmark: str | None,
    is_nautilus: bool,
) -> None:
    """Write the tear sheet of a completed backtest: one HTML file that needs nothing else."""
    if benchmark and is_nautilus:
        raise click.UsageError("--benchmark is of our own sheet; NautilusTrader's has none")
    path = out or beside(backtest_id)
    if is_nautilus:
        await _draw(options, fleet, backtest_id)
        await save_nautilus_report(fleet, backtest_id, path)
    else:
        write_report(await _record(options, fleet, backtest_id, benchmark), path)
    tell_report(options, path, backtest_id=backtest_id, is_opened=is_opened)


async def _draw(options: Options, fleet: Flotilla, backtest_id: str) -> None:
    """Has NautilusTrader's sheet be drawn where it is not there."""
    if not (await fleet.backtest(backtest_id)).has_report:
        again = (await fleet.verify(backtest_id, wants_report=True)).verify_id
        await follow(options, fleet, again)
        await until_drawn(fleet, backtest_id, again)


@click.command()
@click.argument("backtest_ids", metavar="ID ID…", nargs=-1, required=True, shell_complete=backtest_names)
@common
@pass_options
@with_fleet
async def compare(options: Options, fleet: Flotilla, *, backtest_ids: tuple[str, ...]) -> None:
    """Show two to sixteen completed backtests side by side."""
    if len(set(backtest_ids)) < 2:
        raise click.UsageError("give at least two different IDs")
    found = await fleet.compare(backtest_ids)
    if options.is_json:
        options.output.json_line(found)
        return
    drawn = await asyncio.gather(*(_curve(fleet, one) for one in found.backtests))
    curves = {one.backtest_id: curve for one, curve in zip(found.backtests, drawn, strict=True)}
    options.output.show(comparison_report(found, curves, width=WIDTH))


@click.command()
@click.argument("backtest_id", metavar="ID", shell_complete=backtest_names)
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--part", type=click.Choice([str(one) for one in LISTS]), default="trades", show_default=True)
@click.option("--out", type=FILE, required=True, metavar="FILE", help="Replaced if it is there.")
@common
@pass_options
@with_fleet
async def export(
    options: Options, fleet: Flotilla, *, backtest_id: str, form: str, part: str, out: Path
) -> None:
    """Write a list of a completed backtest's result to FILE, whole or not at all."""
    if form == "parquet":
        require_engine_package()
    rows = await fleet.backtest_result(backtest_id, part)
    await export_rows(rows, ResultPart(part), form, out)
    options.output.document(
        {"backtest_id": backtest_id, "part": part, "rows": len(rows), "file": str(out)},
        lambda: Text(f"{len(rows):,} {part.replace('_', ' ')} in {out}"),
    )


@click.command()
@click.argument("backtest_id", metavar="ID", shell_complete=backtest_names)
@request_id
@common
@pass_options
@with_fleet
async def verify(options: Options, fleet: Flotilla, *, backtest_id: str) -> int:
    """Run a completed backtest again from its manifest, and say whether everything is the same.

    Exits with 0 when it is equal. With 1 when data, code, parameters or versions are not those of then, each named with its hash, or
    when another fill or figure came of it, the first of which is shown.
    """
    verdict = await fleet.verify(backtest_id, request_id=options.request_id)
    try:
        await follow(options, fleet, verdict.verify_id)
    except BacktestFailedError as error:
        if error.backtest.reason is None:
            raise
    verdict = await fleet.verify(backtest_id, verdict.verify_id)
    options.output.document(verdict, lambda: verdict_report(verdict))
    return _exit_of(verdict)


async def _record(options: Options, fleet: Flotilla, backtest_id: str, benchmark: str | None) -> Record:
    record = await record_of(fleet, backtest_id)
    if benchmark is None:
        return record
    if benchmark not in record.priced():
        require_engine_package()
    found = await benchmark_for(record, benchmark, options.folder.catalog)
    return msgspec.structs.replace(record, benchmark=found)


async def _curve(fleet: Flotilla, backtest: BacktestView) -> list[EquityPoint]:
    """Its equity; nothing when its result was not saved."""
    try:
        curve: list[EquityPoint] = await fleet.backtest_result(backtest.backtest_id, ResultPart.EQUITY_CURVE)
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            raise
        return []
    return curve


def _exit_of(verdict: BacktestVerdict) -> Exit:
    if verdict.is_equal is None:
        return Exit.OUTCOME_UNKNOWN
    return Exit.OK if verdict.is_equal else Exit.FAILED
