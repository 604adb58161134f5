"""`flotilla engine logs`."""

import re
from datetime import UTC, datetime, timedelta

import click
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla

_AGO = re.compile(r"\A(\d{1,6})([smhd])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.command()
@click.argument("name", required=False)
@click.option("-n", "--lines", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="This level and above.",
)
@click.option("--since", metavar="TIME", help="Such as 90s, 10m, 2h or 2026-01-31T14:25:01Z.")
@common
@pass_options
@with_fleet
async def logs(
    options: Options,
    fleet: Flotilla,
    *,
    name: str | None,
    lines: int,
    follow: bool,
    level: str | None,
    since: str | None,
) -> None:
    """Show what the engine NAME printed, also after it ended.

    With --json one document; with --follow one JSON object per chunk of lines.
    """
    if not follow:
        at = moment_of(since, datetime.now(UTC), "--since") if since else None
        found = await fleet.logs(name, lines=lines, level=level, since=at)
        options.output.document(found, lambda: Text("\n".join(found.lines)))
        return
    if name is None or level or since:
        raise click.UsageError("--follow needs NAME, and goes with neither --level nor --since")
    await fleet.engine(name)
    async for chunk in fleet.follow_logs(name, lines=lines):
        if options.is_json:
            options.output.json_line(chunk)
        for line in chunk.lines:
            options.output.show(Text(line))


def moment_of(text: str, now: datetime, option: str) -> datetime:
    """A moment: so long ago, or in ISO 8601 (UTC where it names no zone). Raises UsageError that names the option."""
    if ago := _AGO.match(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{option} {text!r}: write it as 10m, or as 2026-01-31T14:25:01Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
