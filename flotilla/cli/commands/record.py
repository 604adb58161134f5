"""`flotilla record`."""

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.record import KeptKind, RecordKept
from flotilla.show import formats
from flotilla.show.output import table


@click.command()
@common
@pass_options
@with_fleet
async def record(options: Options, fleet: Flotilla) -> None:
    """What is on record: how much of each kind, how old it grows, and what was deleted when."""
    found = await fleet.record()
    options.output.document(found, lambda: _shown(found))


def _shown(found: RecordKept) -> RenderableType:
    kinds = table("KIND", ">SIZE", ">ROWS", "OLDEST", "KEPT")
    for one in found.kinds:
        size = formats.size(one.bytes) if one.bytes is not None else ""
        rows = f"{one.rows:,}" if one.rows is not None else ""
        kinds.add_row(str(one.kind), size, rows, formats.moment(one.oldest), _kept(one))
    total = Text(f"{formats.size(found.bytes)} of {formats.size(found.budget_bytes)}")
    parts: list[RenderableType] = [kinds, total]
    if found.problem:
        parts.append(Text(found.problem, style="red"))
    if found.deletions:
        gone = table("DELETED", "KIND", ">ROWS", "WHY")
        for each in found.deletions:
            gone.add_row(formats.moment(each.at), str(each.kind), f"{each.rows:,}", each.rule)
        parts.append(gone)
    return Group(*parts)


def _kept(one: KeptKind) -> str:
    return "" if one.keep_days is None else f"{one.keep_days:g} days"
