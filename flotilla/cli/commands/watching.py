"""`flotilla engine watch`."""

import asyncio

import click

from flotilla.cli.completing import engine_names
from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.client.watch import FEEDS, Update
from flotilla.show.event_lines import line_of

_DEFAULT = ("state", "order", "fill", "position", "alert", "metrics", "fleet_alert")


@click.command()
@click.argument("name", required=False, shell_complete=engine_names)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(FEEDS)),
    help=f"What to show, may be repeated.  [default: {', '.join(_DEFAULT)}]",
)
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--for", "seconds", type=click.FloatRange(0.1), metavar="S", help="End after so many seconds.")
@common
@pass_options
@with_fleet
async def watch(
    options: Options,
    fleet: Flotilla,
    *,
    name: str | None,
    kinds: tuple[str, ...],
    count: int | None,
    seconds: float | None,
) -> None:
    """Show what the engine NAME does, or all engines, until Ctrl-C.

    With --json one object per line: {"kind": …, "instance_id": …, "payload": …}.
    """
    if name is not None:
        await fleet.engine(name)
    try:
        async with asyncio.timeout(seconds), fleet.watch(name, kinds=kinds or _DEFAULT) as updates:
            shown = 0
            async for update in updates:
                _show(options, update, with_name=name is None)
                shown += 1
                if shown == count:
                    return
    except TimeoutError:
        return


def _show(options: Options, update: Update, *, with_name: bool) -> None:
    if options.is_json:
        options.output.json_line(update)
    else:
        options.output.show(line_of(update, with_name=with_name))
