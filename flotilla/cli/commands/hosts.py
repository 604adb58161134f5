"""`flotilla host ls`."""

import click

from flotilla.cli.options import Options, common, labels, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.show.tables import hosts_table


@click.command()
@labels("Only hosts that carry this label; may be repeated: then all of them.")
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, labels: dict[str, str]) -> None:
    """List the hosts that the orchestrator has heard since it started, by name."""
    found = await fleet.hosts(labels=labels)
    options.output.document(found, lambda: hosts_table(found.hosts, is_choice=bool(labels)))
