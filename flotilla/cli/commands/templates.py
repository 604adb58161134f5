"""`flotilla template ls`, `show` and `validate`."""

import click

from flotilla.cli.engine_options import pairs
from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.ids import StrategyName
from flotilla.show.template_tables import template_details, templates_report, verdict_report
from flotilla.state.exits import Exit

KINDS = ("engine", "strategy")


@click.command()
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, kind: str | None) -> None:
    """List the templates of engines and strategies."""
    found = {one: await fleet.templates(one) for one in KINDS if kind in (None, one)}
    options.output.document(
        {
            "templates": [template for listed in found.values() for template in listed.templates],
            "faults": [fault for listed in found.values() for fault in listed.faults],
        },
        lambda: templates_report(found),
    )


@click.command()
@click.argument("name")
@common
@pass_options
@with_fleet
async def show(options: Options, fleet: Flotilla, name: str) -> None:
    """Show what the template NAME is for, and its parameters."""
    wanted: str = convert(name, StrategyName, "name")
    known = [template for kind in KINDS for template in (await fleet.templates(kind, wanted)).templates]
    found = known[0] if known else None
    if found is None:
        raise fault(FaultCode.NOT_FOUND, f"no template {name}")
    options.output.document(found, lambda: template_details(found))


@click.command()
@click.argument("name")
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy template.")
@common
@pass_options
@with_fleet
async def validate(options: Options, fleet: Flotilla, name: str, param: tuple[str, ...]) -> int:
    """Check whether the strategy template NAME takes these parameters; nothing is started. Exits with 3 when it does not.

    \b
    flotilla template validate ema_cross --param trade_size=10
    """
    verdict = await fleet.validate_strategy(name, pairs(param, "--param"))
    options.output.document(verdict, lambda: verdict_report(verdict))
    return Exit.OK if verdict.is_valid else Exit.REFUSED
