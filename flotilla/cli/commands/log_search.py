"""`flotilla logs`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec
from rich.text import Text

from flotilla.cli.commands.logs import moment_of
from flotilla.cli.options import Options, common, labels, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.logs import FoundLogs, LogLine, SearchLogs
from flotilla.show.output import console

_POLL_S: Final = 1.0
_PAGE: Final = 1000
_STYLES: Final = {"error": "red", "warning": "yellow", "debug": "dim", "info": ""}


@click.command()
@click.argument("text", default="")
@click.option("--engine", "instance_id", metavar="NAME", help="Only of this engine.")
@click.option("--session", "session_id", metavar="ID", help="Only of this session.")
@labels("Only of engines that carry this label; may be repeated: then all of them.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="This level and above.",
)
@click.option("--since", metavar="TIME", help="Such as 90s, 10m, 2h or 2026-01-31T14:25:01Z.")
@click.option("--until", metavar="TIME", help="Only before this time, written alike.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@common
@pass_options
@with_fleet
async def logs(
    options: Options, fleet: Flotilla, /, *, limit: int, follow: bool, **chosen: Any
) -> int | None:
    """Search what all engines printed for lines with TEXT in them; without it, show the last lines.

    Oldest first. All that is kept is looked through until --limit lines are found; stderr says how far that was, and what is left.
    With --json one document; with --follow one JSON object per line.
    """
    if follow and chosen["until"]:
        raise click.UsageError("--follow does not go with --until")
    question = _question(chosen)
    found, last = await _search(fleet, question, limit)
    if not follow:
        whole = msgspec.structs.replace(last, lines=tuple(found))
        options.output.document(whole, lambda: Text("\n").join(map(_shown, found)))
        _tell(options, last, len(found))
        return None
    for line in found:
        _print(options, line)
    async for line in _new(fleet, question, last.end):
        _print(options, line)
    return None


def _question(chosen: dict[str, Any]) -> SearchLogs:
    now = datetime.now(UTC)
    for name in ("since", "until"):
        text = chosen.pop(name)
        chosen[name] = moment_of(text, now, f"--{name}") if text else None
    try:
        return msgspec.convert(chosen, SearchLogs)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None


async def _search(fleet: Flotilla, question: SearchLogs, limit: int) -> tuple[list[LogLine], FoundLogs]:
    """At most `limit` lines, oldest first, and the last answer with the `end` of the first: what came after that was not looked at."""
    found: list[LogLine] = []
    first = page = await _page(fleet, question, limit)
    while True:
        found += page.lines
        if len(found) >= limit or page.next is None:
            return found[::-1], msgspec.structs.replace(page, end=first.end)
        page = await _page(fleet, msgspec.structs.replace(question, cursor=page.next), limit - len(found))


async def _page(fleet: Flotilla, question: SearchLogs, limit: int) -> FoundLogs:
    asked = msgspec.structs.replace(question, limit=min(limit, _PAGE))
    return await fleet.search_logs(**msgspec.structs.asdict(asked))


async def _new(fleet: Flotilla, question: SearchLogs, end: str) -> AsyncIterator[LogLine]:
    """What comes, oldest first; never ends."""
    while True:
        await asyncio.sleep(_POLL_S)
        found, last = await _search(fleet, msgspec.structs.replace(question, after=end), sys.maxsize)
        end = last.end
        for line in found:
            yield line


def _print(options: Options, line: LogLine) -> None:
    if options.is_json:
        options.output.json_line(line)
    else:
        options.output.show(_shown(line))


def _shown(line: LogLine) -> Text:
    return Text.assemble((f"{line.instance_id}  ", "bold"), (line.text, _STYLES[line.level]))


def _tell(options: Options, last: FoundLogs, count: int) -> None:
    if options.is_json:
        return
    back_to = f"{last.looked_back_to.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if last.looked_back_to else None
    if last.next is None:
        looked = (
            f"all that is kept was looked through, back to {back_to}"
            if back_to
            else "no logs are kept of that"
        )
    else:
        looked = f"looked back to {back_to}; --limit, or --until with that time, goes on"
    console(stderr=True).print(Text(f"{count} lines; {looked}", style="dim"))
