"""`flotilla study run`, `ls`, `show`, `report` and `cancel`."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.text import Text

from flotilla.cli.backtest_options import backtest_options, given_config, stem, with_file
from flotilla.cli.commands.backtests import new_id, say_how_to_go_on
from flotilla.cli.completing import study_names
from flotilla.cli.option_names import by_option
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.report_files import beside, report_options, tell_report
from flotilla.cli.session import with_fleet
from flotilla.cli.study_following import follow_study
from flotilla.cli.study_options import study_config, study_options
from flotilla.client.backtest_config import whole_config
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestStatus, StudyView
from flotilla.show.reports import save_study_report
from flotilla.show.study_tables import studies_table, study_report
from flotilla.state.exits import Exit

_AXIS_OPTIONS = (
    "kind",
    "axes",
    "best_by",
    "lowest",
    "samples",
    "folds",
    "train_share",
    "windows",
    "in_sample_days",
    "out_of_sample_days",
    "step_days",
    "stop_after",
    "choice_seed",
)


@click.command()
@click.argument("study_id", metavar="[ID]", required=False)
@study_options
@backtest_options
@click.option("--detach", is_flag=True, help="Do not wait for the results.")
@request_id
@common
@pass_options
def run(
    options: Options,
    /,
    study_id: str | None,
    detach: bool,
    file: Path | None,
    wheels: Path | None,
    **plain: Any,
) -> int | None:
    """Run a backtest per choice of parameters, show the results as they come and the best at the end.

    Exits with 1 when the study fails. Ctrl-C leaves it running.

    \b
    flotilla study run --strategy ema_cross --axis fast_ema_period=5,10,20 --axis slow_ema_period=30:90:20
    """
    chosen = {name: plain.pop(name) for name in _AXIS_OPTIONS}
    given = given_config(file=file, wheels=wheels, **plain)
    name = study_id or new_id(stem(given, file, "study"))
    code = (file, wheels)
    return _run(options, study_id=name, given=given, code=code, chosen=chosen, is_followed=not detach)


@with_fleet
async def _run(
    options: Options,
    fleet: Flotilla,
    *,
    study_id: str,
    given: dict[str, Any],
    code: tuple[Path | None, Path | None],
    chosen: dict[str, Any],
    is_followed: bool,
) -> int:
    given = await with_file(options, fleet, given, *code)
    with by_option():
        base = await whole_config(fleet, given)
    with by_option(is_study=True):
        study = await fleet.run_study(study_id, study_config(base, **chosen), request_id=options.request_id)
    if is_followed:
        study = await _follow(options, fleet, study_id)
        return await _tell(options, fleet, study)
    options.output.document(
        {"study": study},
        lambda: Group(
            study_report(study, ()),
            Text(
                f"  follow  {options.program} study show {study_id} --follow\n"
                f"  cancel  {options.program} study cancel {study_id}",
                style="dim",
            ),
        ),
    )
    return Exit.OK


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, *, limit: int) -> None:
    """List studies, newest first."""
    found = await fleet.studies(limit=limit)
    options.output.document(found, lambda: studies_table(found.studies, datetime.now(UTC)))


@click.command()
@click.argument("study_id", metavar="ID", shell_complete=study_names)
@click.option("--follow", "is_followed", is_flag=True, help="Wait until it has ended; 1 when it fails.")
@common
@pass_options
@with_fleet
async def show(options: Options, fleet: Flotilla, *, study_id: str, is_followed: bool) -> int:
    """Show a study: how many of its backtests are in which state, and the best of them."""
    if is_followed:
        return await _tell(options, fleet, await _follow(options, fleet, study_id))
    await _tell(options, fleet, await fleet.study(study_id))
    return Exit.OK


@click.command()
@click.argument("study_id", metavar="ID", shell_complete=study_names)
@report_options
@common
@pass_options
@with_fleet
async def report(
    options: Options, fleet: Flotilla, *, study_id: str, out: Path | None, is_opened: bool
) -> None:
    """Write the sheet of a study as it stands: its backtests by rank, a map over two axes, a walk forward's curve out of sample."""
    path = out or beside(study_id)
    await save_study_report(fleet, study_id, path)
    tell_report(options, path, study_id=study_id, is_opened=is_opened)


@click.command()
@click.argument("study_id", metavar="ID", shell_complete=study_names)
@request_id
@common
@pass_options
@with_fleet
async def cancel(options: Options, fleet: Flotilla, *, study_id: str) -> None:
    """Cancel what has not ended of a study; its results stay. Exits with 5 for one that has completed or failed."""
    study = await fleet.cancel_study(study_id, request_id=options.request_id)
    options.output.document({"study": study}, lambda: study_report(study, ()))


async def _follow(options: Options, fleet: Flotilla, study_id: str) -> StudyView:
    try:
        return await follow_study(options, fleet, study_id)
    except asyncio.CancelledError:
        say_how_to_go_on(options, "study", study_id)
        raise


async def _tell(options: Options, fleet: Flotilla, study: StudyView) -> int:
    members = await fleet.all_backtests(study_id=study.study_id)
    walk = await fleet.walk_forward(study.study_id) if study.folds else None
    document = {"study": study, "backtests": members} | ({"walk_forward": walk} if walk else {})
    options.output.document(document, lambda: study_report(study, members, walk))
    return Exit.FAILED if study.status is BacktestStatus.FAILED else Exit.OK
