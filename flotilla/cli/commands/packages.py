"""`flotilla package new`, `push`, `ls`, `show` and `rm`."""

import shlex
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.drafts import wheels_folder
from flotilla.cli.new_package import project_files
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.client.packing import packed, require_name
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.package import split_name
from flotilla.schemas.package_archive import ArchiveError, pack
from flotilla.show.package_tables import (
    package_details,
    packages_table,
    pushed_report,
    removed_report,
)


@click.command()
@click.argument("name")
@click.option(
    "--into", type=click.Path(path_type=Path), metavar="FOLDER", help="[default: one called NAME, here]"
)
@common
@pass_options
def new(options: Options, /, *, name: str, into: Path | None) -> None:
    """Write a small project NAME: a strategy that runs on the sample data, a test, a README.

    \b
    flotilla package new mine
    """
    require_name(name)
    folder = into or Path(name)
    files = project_files(name, shlex.quote(str(folder)))
    try:
        pack({path: text.encode() for path, text in files.items()})
    except ArchiveError as error:
        raise invalid(FieldError("name", str(error))) from None
    if folder.exists() and any(folder.iterdir()):
        text = f"{folder} is there already, and not empty: choose another by --into"
        raise fault(FaultCode.CONFLICT, text)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    packed(folder, name)
    written = [str(folder / path) for path in files]
    options.output.document({"files": written}, lambda: _made(options.program, folder, written))


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--name", help="[default: that of pyproject.toml, else of folder or file]")
@click.option("--version", metavar="VERSION", help="[default: the next number]")
@wheels_folder
@request_id
@common
@pass_options
@with_fleet
async def push(
    options: Options,
    fleet: Flotilla,
    *,
    path: Path,
    name: str | None,
    version: str | None,
    wheels: Path | None,
) -> None:
    """Check the strategies in PATH, a folder or a .py file, and keep them in the fleet by name and version.

    What they require besides what engines have is kept with them, as wheels from your package index. The same content with the same
    wheels is the same version; a version that is other content is refused (exit 5).

    \b
    flotilla package push ./mine
    """
    view = await fleet.push_package(
        path, name=name, version=version, wheels=wheels, request_id=options.request_id
    )
    options.output.document(view, lambda: pushed_report(view, options.program))


@click.command()
@click.argument("name", required=False)
@click.option("--drafts", is_flag=True, help="What `--file` and `--dev` uploaded instead: it has no version.")
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, *, name: str | None, drafts: bool) -> None:
    """List packages, or all versions of NAME, the newest first.

    \b
    flotilla package ls --drafts
    """
    found = await fleet.packages(name, drafts=drafts)
    options.output.document(found, lambda: packages_table(found.packages))


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@common
@pass_options
@with_fleet
async def show(options: Options, fleet: Flotilla, *, name: str) -> None:
    """Show a version of a package, the newest when none is named: digest, strategies, files."""
    view = await fleet.package(*split_name(name))
    options.output.document(view, lambda: package_details(view, options.program))


@click.command()
@click.argument("name", metavar="NAME@VERSION")
@click.option("--force", is_flag=True, help="Also one that engines or backtests name; they keep its content.")
@request_id
@common
@pass_options
@with_fleet
async def rm(options: Options, fleet: Flotilla, *, name: str, force: bool) -> None:
    """Forget a version of a package, or a draft. One that an engine or a backtest names is kept (exit 5) unless forced.

    Its number is not given again: only the same content comes back under it.
    """
    package, version = split_name(name)
    if version is None:
        raise click.UsageError(
            f"name the version too, such as {package}@1: `package ls {package}` lists them"
        )
    done = await fleet.remove_package(package, version, force=force, request_id=options.request_id)
    options.output.document(done, lambda: removed_report(done))


def _made(program: str, folder: Path, written: list[str]) -> RenderableType:
    path = shlex.quote(str(folder))
    return Group(
        *(Text(f"wrote {each}") for each in written),
        Text(f"  next  {program} backtest run --file {path}", style="dim"),
    )
