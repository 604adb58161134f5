"""`flotilla engine history`."""

from datetime import UTC, datetime
from typing import Final

import click

from flotilla.cli.completing import engine_names
from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.show.history_tables import history_table

_FORMS: Final = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


@click.command()
@click.argument("name", shell_complete=engine_names)
@click.option(
    "--since", type=click.DateTime(_FORMS), help="From this time on, in UTC.  [default: a day before]"
)
@click.option("--until", type=click.DateTime(_FORMS), help="Before this time, in UTC.  [default: now]")
@click.option("-n", "--points", type=click.IntRange(1, 2000), default=24, show_default=True)
@common
@pass_options
@with_fleet
async def history(
    options: Options,
    fleet: Flotilla,
    *,
    name: str,
    since: datetime | None,
    until: datetime | None,
    points: int,
) -> None:
    """Show what the engine NAME measured over time: equity, profit and loss, orders, positions and what it used.

    Of each point the equity is shown as it was last, with the least and the most that it came through.
    """
    found = await fleet.history(name, since=_in_utc(since), until=_in_utc(until), points=points)
    options.output.document(found, lambda: history_table(found))


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
