"""`flotilla restore`."""

import asyncio
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.commands.backup import FILE
from flotilla.cli.options import Options, common, pass_options
from flotilla.show import formats
from flotilla.show.progress import narrator
from flotilla.stack.restoring import Restored
from flotilla.stack.restoring import restore as restore_record


@click.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Also where there is a record, which is deleted then.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
@pass_options
def restore(options: Options, *, file: Path, replace: bool, yes: bool) -> None:
    """Put the record of a backup in place. The stack must be stopped; engines may trade on (`flotilla down --leave-engines`).

    A failure leaves the record that was there as it was. What happened since the backup is read again from the bus when the stack starts.
    """

    def replaces(rows: int) -> bool:
        if replace and not yes:
            click.confirm(f"Delete the record that is there ({rows:,} rows)?", abort=True, err=True)
        return replace

    tells = narrator(is_json=options.is_json)
    done = asyncio.run(restore_record(options.folder, file, tells, replaces=replaces))
    options.output.document(done, lambda: _shown(done, options.program))


def _shown(done: Restored, program: str) -> RenderableType:
    when = formats.moment(done.manifest.at)
    parts = [Text(f"restored the record of {when}: {done.rows:,} rows in {formats.duration(done.took_s)}")]
    again = max((one.again for one in done.again), default=0)
    parts.append(Text(f"the services read up to {again:,} messages again, from the backup's place on"))
    gone = sum(one.gone for one in done.again)
    if gone:
        parts.append(Text(f"{gone:,} messages since are no longer kept: a gap", style="yellow"))
    parts.extend(
        Text(f"session {one.session_id} of engine {one.instance_id} is on record as the bus tells it")
        for one in done.since.taken
    )
    for one in (*done.since.off, *done.since.lost):
        what = f"session {one.session_id or '?'} of engine {one.instance_id} began after the backup"
        parts.append(
            Text(f"{what}: its events are not fetched again; it is adopted if it runs", style="yellow")
        )
    parts.append(Text(f"next: {program} up"))
    return Group(*parts)
