"""`flotilla backtest run`, `ls`, `show` and `cancel`."""

import asyncio
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.backtest_options import backtest_options, given_config, stem, with_file
from flotilla.cli.completing import backtest_names
from flotilla.cli.following import follow
from flotilla.cli.option_names import by_option
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.backtest_config import whole_config
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestStatus, BacktestView
from flotilla.show.backtest_tables import backtests_table, details, headline, result_report
from flotilla.show.figure_tables import Told
from flotilla.show.reports import save_report
from flotilla.show.result_lines import document, told


@click.command()
@click.argument("backtest_id", metavar="[ID]", required=False)
@backtest_options
@click.option("--detach", is_flag=True, help="Do not wait for the result.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
    metavar="FILE",
    help="Write the tear sheet.",
)
@request_id
@common
@pass_options
def run(
    options: Options,
    /,
    *,
    backtest_id: str | None,
    detach: bool,
    report: Path | None,
    file: Path | None,
    wheels: Path | None,
    **plain: Any,
) -> None:
    """Run a backtest in the fleet and show what came of it. Without an ID it gets one.

    Exits with 1 when it fails. Ctrl-C leaves it running.

    \b
    flotilla backtest run --strategy ema_cross --param fast_ema_period=5
    flotilla backtest run --file my_strategy.py
    flotilla backtest run mine --strategy-class my_module:MyStrategy --bar-type SPX.SIM-1-DAY-LAST-EXTERNAL
    """
    if detach and report:
        raise click.UsageError("--report needs the result, which --detach does not wait for")
    given = given_config(file=file, wheels=wheels, **plain)
    backtest_id = backtest_id or new_id(stem(given, file, "backtest"))
    code = (file, wheels)
    _run(options, backtest_id=backtest_id, given=given, code=code, is_followed=not detach, report=report)


@with_fleet
async def _run(
    options: Options,
    fleet: Flotilla,
    *,
    backtest_id: str,
    given: dict[str, Any],
    code: tuple[Path | None, Path | None],
    is_followed: bool,
    report: Path | None,
) -> None:
    given = await with_file(options, fleet, given, *code)
    with by_option():
        config = await whole_config(fleet, given)
    try:
        with by_option():
            view = await fleet.run_backtest(backtest_id, config, request_id=options.request_id)
        if not is_followed:
            options.output.document({"backtest": view}, lambda: _queued(options, view))
            return
        view = await follow(options, fleet, backtest_id)
    except asyncio.CancelledError:
        say_how_to_go_on(options, "backtest", backtest_id)
        raise
    shown = await told(fleet, view)
    options.output.document(document(view, shown), lambda: result_report(view, shown))
    if report is not None:
        await save_report(fleet, backtest_id, report)
    if not config.save_results:
        return
    sheet = str(report) if report else f"{options.program} backtest report {backtest_id} --open"
    # Not folded: a command is to be copied as it stands. On its own, rich would forget that.
    line = Text(f"\ntear sheet  {sheet}", style="dim", no_wrap=True, overflow="ignore")
    options.output.show(Group(line))


@click.command()
@click.option("--status", type=click.Choice([str(one) for one in BacktestStatus]), help="Only these.")
@click.option("--study", metavar="ID", help="Those of a study; others are not shown without it.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, *, status: str | None, study: str | None, limit: int) -> None:
    """List backtests, newest first."""
    chosen = BacktestStatus(status) if status else None
    found = await fleet.backtests(status=chosen, study_id=study, limit=limit)
    options.output.document(found, lambda: backtests_table(found, datetime.now(UTC)))


@click.command()
@click.argument("backtest_id", metavar="ID", shell_complete=backtest_names)
@click.option("--follow", "is_followed", is_flag=True, help="Wait until it has ended; 1 when it fails.")
@common
@pass_options
@with_fleet
async def show(options: Options, fleet: Flotilla, *, backtest_id: str, is_followed: bool) -> None:
    """Show a backtest: its figures, equity, first and last trades and configuration."""
    if is_followed:
        try:
            view = await follow(options, fleet, backtest_id)
        except asyncio.CancelledError:
            say_how_to_go_on(options, "backtest", backtest_id)
            raise
    else:
        view = await fleet.backtest(backtest_id)
    shown = await told(fleet, view, with_trades=True)
    options.output.document(document(view, shown), lambda: details(view, shown))


@click.command()
@click.argument("backtest_id", metavar="ID", shell_complete=backtest_names)
@request_id
@common
@pass_options
@with_fleet
async def cancel(options: Options, fleet: Flotilla, *, backtest_id: str) -> None:
    """Cancel a backtest; its process is gone when this returns. Exits with 5 for one that has completed or failed."""
    view = await fleet.cancel_backtest(backtest_id, request_id=options.request_id)
    options.output.document(document(view, Told()), lambda: headline(view))


def new_id(stem: str) -> str:
    """An id that is free, as far as chance goes: `ema_cross-20260131-142501-3f9c`."""
    return f"{stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _queued(options: Options, view: BacktestView) -> RenderableType:
    return Group(
        headline(view),
        Text(
            f"  follow  {options.program} backtest show {view.backtest_id} --follow\n"
            f"  cancel  {options.program} backtest cancel {view.backtest_id}",
            style="dim",
        ),
    )


def say_how_to_go_on(options: Options, group: str, name: str) -> None:
    """Ctrl-C ends the watching and nothing else."""
    print(
        f"\n{group} {name} goes on without us\n"
        f"  follow  {options.program} {group} show {name} --follow\n"
        f"  cancel  {options.program} {group} cancel {name}",
        file=sys.stderr,
    )
