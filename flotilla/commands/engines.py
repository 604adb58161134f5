"""`flotilla engine ls` and `flotilla engine inspect`."""

from datetime import UTC, datetime

import click

from flotilla.client import Flotilla
from flotilla.options import Options, common, pass_options
from flotilla.session import with_fleet
from flotilla.tables import engine_details, engines_table


@click.command()
@click.option("--active", is_flag=True, help="Only engines whose session has not ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, active: bool, limit: int) -> None:
    """List engines, most recent first."""
    found = await fleet.engines(active=active, limit=limit)
    options.output.document(found, lambda: engines_table(found.engines, datetime.now(UTC)))


@click.command()
@click.argument("name")
@common
@pass_options
@with_fleet
async def inspect(options: Options, fleet: Flotilla, name: str) -> None:
    """Everything that is known of the engine NAME, and its last sessions."""
    engine = await fleet.engine(name)
    sessions = (await fleet.sessions(name)).sessions
    options.output.document(
        {"engine": engine, "sessions": sessions},
        lambda: engine_details(engine, sessions, datetime.now(UTC)),
    )
