"""`flotilla secret set`, `ls` and `rm`: credentials of venues in the state folder; no stack has to run.

Values never stand on the command line, where every user of the machine could read them, and are never shown.
"""

import sys
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options
from flotilla.schemas.decoding import decode
from flotilla.show.output import table
from flotilla.state.secret_folder import SecretFolder, StoredSecret


@click.command("set")
@click.argument("name")
@common
@pass_options
def set_(options: Options, *, name: str) -> None:
    """Store the secret NAME: from a JSON object on stdin, or asked for field by field, without showing what is typed.

    \b
    flotilla secret set binance_main < keys.json
    """
    options.folder.create()
    values = _asked() if sys.stdin.isatty() else decode(sys.stdin.buffer.read(), dict[str, Any])
    SecretFolder(options.folder.secrets).save(name, values)
    shown = ", ".join(sorted(values))
    options.output.document(
        {"name": name, "fields": sorted(values)}, lambda: Text(f"secret {name} is stored, with {shown}")
    )


@click.command()
@common
@pass_options
def ls(options: Options) -> None:
    """List the secrets by name, with the names of their fields."""
    found = list(SecretFolder(options.folder.secrets).all())
    options.output.document({"secrets": found}, lambda: _table(found))


@click.command()
@click.argument("name")
@common
@pass_options
def rm(options: Options, *, name: str) -> None:
    """Delete the secret NAME. Engines that run have read theirs already."""
    SecretFolder(options.folder.secrets).remove(name)
    options.output.document({"name": name}, lambda: Text(f"secret {name} is deleted"))


def _asked() -> dict[str, Any]:
    values: dict[str, Any] = {}
    while field := click.prompt(
        "field, such as api_key (empty ends)", default="", show_default=False, err=True
    ):
        values[field] = click.prompt(f"value of {field}", hide_input=True, err=True)
    return values


def _table(secrets: list[StoredSecret]) -> RenderableType:
    if not secrets:
        return Text("no secrets; store one: flotilla secret set NAME < keys.json")
    made = table("SECRET", "FIELDS", "")
    for secret in secrets:
        made.add_row(secret.name, ", ".join(secret.fields), Text(secret.problem, style="red"))
    return made
