"""`flotilla access ls`, `rm` and `code`: who may use the REST API; no stack has to run, and one that runs takes it at once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from flotilla.bus.tokens import TokenLine, add_code, read_lines, remove_token
from flotilla.cli.options import Options, common, pass_options
from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.environment import TOKENS_FILE
from flotilla.schemas.labels import text_of
from flotilla.show import formats
from flotilla.show.output import table


class ShownToken(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown of a token: everything but its digest."""

    name: str
    role: Role
    labels: dict[str, str]
    created_at: datetime | None
    expires_at: datetime | None
    is_expired: bool
    is_on_bus: bool


class UnreadLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the file that admits nobody, and why."""

    line: int
    problem: str


@click.command()
@common
@pass_options
def ls(options: Options) -> None:
    """List the tokens by name: what each may do and when it ends. Tokens themselves are never shown."""
    lines = read_lines(tokens_file(options))
    tokens = [_shown(line.record) for line in lines if line.record is not None]
    unread = [UnreadLine(line=line.number, problem=line.problem) for line in lines if line.record is None]
    options.output.document({"tokens": tokens, "unreadable": unread}, lambda: _table(lines))


@click.command()
@click.argument("name")
@common
@pass_options
def rm(options: Options, *, name: str) -> None:
    """Take NAME's token away: it stops working at once, and its open streams end.

    Its credentials for the bus end with it: the supervisor has the server cut its connections, within a second while both run.
    """
    removed = remove_token(tokens_file(options), name)
    of_bus = "; the supervisor puts it off the bus" if removed.bus else ""
    options.output.document(_shown(removed), lambda: Text(f"the token of {name} no longer works{of_bus}"))


@click.command()
@click.argument("name")
@common
@pass_options
def code(options: Options, *, name: str) -> None:
    """Print a code with which a browser signs in once, within a minute, with the rights of NAME's token."""
    text, made = add_code(tokens_file(options), name, now=datetime.now(UTC))
    options.output.document(
        {"name": name, "code": text, "expires_at": made.expires_at}, lambda: Text(text, no_wrap=True)
    )


def tokens_file(options: Options) -> Path:
    """The file of the gateway meant: --state counts more than the environment, as it does for the bus."""
    if options.state is None and (given := TOKENS_FILE.given()):
        return given
    options.folder.create()
    return options.folder.digests_file


def shown_fields(record: TokenRecord) -> dict[str, Any]:
    """What may be shown of it."""
    return {
        "name": record.name,
        "role": record.role,
        "labels": dict(sorted(record.labels.items())),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "is_expired": record.is_expired(datetime.now(UTC)),
        "is_on_bus": record.bus is not None,
    }


def _shown(record: TokenRecord) -> ShownToken:
    return ShownToken(**shown_fields(record))


def told(record: TokenRecord) -> str:
    """Who it is for, in a sentence."""
    scope = f" for engines labelled {text_of(record.labels)}" if record.labels else ""
    until = f" until {formats.moment(record.expires_at)}" if record.expires_at else ""
    return f"{record.name} is {record.role}{scope}{until}"


def _table(lines: tuple[TokenLine, ...]) -> RenderableType:
    if not lines:
        return Text("no tokens; make one: flotilla access add NAME --role viewer")
    made = table("NAME", "ROLE", "LABELS", "BUS", "CREATED", "EXPIRES", "")
    for line in sorted(lines, key=lambda one: (one.record is None, one.record.name if one.record else "")):
        if (record := line.record) is None:
            made.add_row(
                "", "", "", "", "", "", Text(f"line {line.number} admits nobody: {line.problem}", style="red")
            )
            continue
        is_expired = record.is_expired(datetime.now(UTC))
        made.add_row(
            record.name,
            record.role,
            Text(text_of(record.labels), overflow="fold"),
            "yes" if record.bus else "",
            formats.moment(record.created_at),
            formats.moment(record.expires_at) or "never",
            Text("expired", style="red") if is_expired else "",
        )
    return made
