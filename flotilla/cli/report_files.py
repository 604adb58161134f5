"""What commands that write a sheet have in common: where it goes, and how that is told."""

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.text import Text

from flotilla.cli.options import Options

FILE: Final = click.Path(path_type=Path, dir_okay=False, resolve_path=True)
F = TypeVar("F", bound=Callable[..., Any])


def report_options(command: F) -> F:
    """Adds --out and --open."""
    opened = click.option("--open", "is_opened", is_flag=True, help="Show it in the browser.")
    out = click.option("--out", type=FILE, metavar="FILE", help="[default: ID.html in this folder]")
    return out(opened(command))


def beside(name: str) -> Path:
    """The usual file of a sheet."""
    return Path(f"{name}.html").absolute()


def tell_report(options: Options, path: Path, *, is_opened: bool, **named: str) -> None:
    """Says which file was written, for programs with the id that `named` has; shows it in the browser where that is wanted."""
    size = path.stat().st_size
    options.output.document({**named, "file": str(path), "size_bytes": size}, lambda: Text(str(path)))
    if is_opened and not webbrowser.open(path.as_uri()):
        click.echo(f"no browser was found; open {path.as_uri()}", err=True)
