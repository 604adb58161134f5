"""`flotilla backup make` and `verify`."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options
from flotilla.show import formats
from flotilla.show.output import table
from flotilla.show.progress import narrator
from flotilla.stack.backing_up import BackupMade, back_up
from flotilla.stack.backup_file import Manifest, file_name
from flotilla.stack.backup_file import verify as verify_file

FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)


@click.command()
@click.argument("file", type=FILE, required=False)
@common
@pass_options
def make(options: Options, *, file: Path | None) -> None:
    """Write the record of the stack on the state folder into a file, while the stack runs or not.

    FILE is flotilla-TIME.backup in this folder unless it is given, and must not exist. It is whole when it is there.
    """
    chosen = file or Path.cwd() / file_name(datetime.now(UTC))
    made = asyncio.run(back_up(options.folder, chosen, narrator(is_json=options.is_json)))
    options.output.document(made, lambda: _made(made))


@click.command()
@click.argument("file", type=FILE)
@common
@pass_options
def verify(options: Options, *, file: Path) -> None:
    """Check that a backup is whole, byte by byte, and show what is in it. Nothing has to run, and nothing is changed."""
    found = verify_file(file)
    options.output.document(found, lambda: about_backup(found))


def about_backup(found: Manifest) -> RenderableType:
    """What a backup says of itself."""
    rows = table("TABLE", ">ROWS")
    for name, count in sorted(found.rows.items()):
        if count:
            rows.add_row(name, f"{count:,}")
    of = f"{formats.moment(found.at)} by Flotilla {found.flotilla}, schema {found.schema}"
    return Group(Text(of), rows, Text(f"{formats.size(found.bytes)}, whole (SHA-256 {found.sha256})"))


def _made(made: BackupMade) -> RenderableType:
    rows = sum(made.manifest.rows.values())
    what = f"{rows:,} rows, {formats.size(made.file_bytes)}, in {formats.duration(made.took_s)}"
    return Text(f"{made.file}: {what}")
