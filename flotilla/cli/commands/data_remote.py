"""`flotilla data import` into the catalog of a fleet elsewhere: files are uploaded, and its host imports them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from flotilla.cli.commands.data_report import tell
from flotilla.cli.options import Options
from flotilla.client.client import Flotilla
from flotilla.schemas.data import ImportState, ImportView
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.show.output import console

_WAIT_S: Final = 6 * 3_600.0


def import_remotely(
    options: Options, files: Sequence[str], given: dict[str, Any], *, is_sample: bool
) -> None:
    """One file after the other, `given` with the `host`. Raises FaultError for the first that is refused, with what its host said."""
    if is_sample:
        raise click.UsageError("--sample is for a state folder of this machine")
    if not files or not given.get("type") or not given.get("instrument"):
        raise click.UsageError("give FILE … with --type and --instrument")
    if strange := [file for file in files if not Path(file).is_file()]:
        raise click.UsageError(f"{strange[0]} is no file: into a fleet elsewhere files are imported by name")
    chosen = {name: value for name, value in given.items() if value is not None}
    asyncio.run(_import_all(options, files, chosen))


async def _import_all(options: Options, files: Sequence[str], chosen: dict[str, Any]) -> None:
    async with Flotilla.connect(via="cli") as fleet:
        for file in files:
            await _import(options, fleet, file, chosen)


async def _import(options: Options, fleet: Flotilla, file: str, chosen: dict[str, Any]) -> None:
    with console(stderr=True).status(f"{Path(file).name}: uploading …") as status:
        begun = await fleet.import_data(file, **chosen)

        def told(view: ImportView) -> None:
            if (progress := view.progress) is not None:
                status.update(f"{view.file}: {progress.rows:,} rows {progress.step}")

        done = await fleet.imported(begun.import_id, host=begun.host, wait_s=_WAIT_S, told=told)
    for report in done.reports:
        tell(options, report)
    if done.state is not ImportState.COMPLETED:
        raise _problem(done)


def _problem(view: ImportView) -> FaultError:
    if view.state is ImportState.REFUSED:
        return fault(FaultCode.INVALID, view.error)
    text = view.error or f"import {view.import_id} has not ended yet; it goes on"
    return fault(FaultCode.OUTCOME_UNKNOWN, text)
