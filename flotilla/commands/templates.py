"""`flotilla template ls` and `flotilla template show`."""

import click
from rich.console import Group
from rich.text import Text

from flotilla.client import Flotilla
from flotilla.options import Options, common, pass_options
from flotilla.session import with_fleet
from flotilla.tables import template_details, templates_table
from schemas.fault import FaultCode, fault

KINDS = ("engine", "strategy")


@click.command()
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, kind: str | None) -> None:
    """List the templates of engines and strategies."""
    found = {one: (await fleet.templates(one)).templates for one in KINDS if kind in (None, one)}
    parts = [
        part
        for one, templates in found.items()
        for part in (Text(f"{one} templates", style="bold"), templates_table(templates), Text(""))
    ]
    options.output.document(
        {"templates": [template for templates in found.values() for template in templates]},
        lambda: Group(*parts[:-1]),
    )


@click.command()
@click.argument("name")
@common
@pass_options
@with_fleet
async def show(options: Options, fleet: Flotilla, name: str) -> None:
    """Show what the template NAME is for, and its parameters."""
    known = [template for kind in KINDS for template in (await fleet.templates(kind)).templates]
    found = next((template for template in known if template.name == name), None)
    if found is None:
        raise fault(FaultCode.NOT_FOUND, f"no template {name}")
    options.output.document(found, lambda: template_details(found))
