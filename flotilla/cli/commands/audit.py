"""`flotilla audit`."""

import click
from rich.console import RenderableType
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.audit import AuditEntry, Caller
from flotilla.show import formats
from flotilla.show.output import table


@click.command("audit")
@click.argument("about", metavar="[NAME]", required=False)
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option(
    "--before", type=click.IntRange(1), metavar="NUMBER", help="Only what stands before this entry."
)
@common
@pass_options
@with_fleet
async def audit(
    options: Options, fleet: Flotilla, *, about: str | None, limit: int, before: int | None
) -> None:
    """Every change that was asked for, newest first: when, by whom, from where, and what was answered: of an emergency stop, what it came to.

    NAME is an engine, a backtest, a study, or `all` for what was about every engine. A name with a question mark is what the
    caller said of itself; one without is that of a token that the gateway checked. --json shows bodies and request ids.
    """
    found = await fleet.audit(about, limit=limit, before=before)
    options.output.document(found, lambda: audit_table(found.entries))


def audit_table(entries: tuple[AuditEntry, ...]) -> RenderableType:
    """A row per entry."""
    if not entries:
        return Text("nothing was asked for")
    made = table(">NO", "AT", "WHO", "FROM", "CALL", "ABOUT", "OUTCOME")
    for one in entries:
        made.add_row(
            str(one.number),
            formats.moment(one.at),
            Text(_who(one.caller), overflow="fold"),
            Text(one.caller.origin, overflow="fold"),
            Text(_call(one), overflow="fold"),
            Text(one.about, overflow="fold"),
            _outcome(one),
        )
    return made


def _outcome(entry: AuditEntry) -> Text:
    """An answer accepts; what came of it after that it does not know, but for an emergency stop, which tells."""
    if entry.code is not None:
        return Text(str(entry.code), style="red")
    return Text(entry.message or "accepted", overflow="fold")


def _who(caller: Caller) -> str:
    if caller.is_vouched_for:
        return caller.name
    return f"{caller.name or caller.credential or 'unknown'}?"


def _call(entry: AuditEntry) -> str:
    verb = entry.subject.removeprefix("fleet.")
    return f"{verb} on {entry.host}" if entry.host else verb
