"""`flotilla data rm` and `consolidate`: changes to what was imported."""

import asyncio

import click
import msgspec

from flotilla.cli.commands.data_program import refuse_host, told
from flotilla.cli.options import Options, common, pass_options
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.data import DataRemoved


@click.command()
@click.argument("identifier")
@click.option(
    "--type",
    "data_type",
    type=click.Choice([str(kind) for kind in DataKind]),
    help="Where there are several.",
)
@click.option("--from", "first", metavar="TIME", help="A date, or a moment in UTC.")
@click.option("--to", "last", metavar="TIME", help="Included.")
@click.option("--host", help="Whose catalog, of a fleet elsewhere that has several.")
@common
@pass_options
def rm(options: Options, /, identifier: str, host: str | None, **asked: str | None) -> None:
    """Take the data of IDENTIFIER out of the catalog, an instrument or a bar type.

    The catalog is that of the state folder, or of the fleet that FLOTILLA_NATS_URL names.

    \b
    flotilla data rm EUR/USD.SIM --type quotes --from 2024-03-01 --to 2024-03-31
    """
    if options.is_of_environment:
        report = msgspec.to_builtins(asyncio.run(_removed(identifier, {**asked, "host": host})))
    else:
        refuse_host(host)
        given = {"--type": asked["data_type"], "--from": asked["first"], "--to": asked["last"]}
        arguments = [f"{name}={value}" for name, value in given.items() if value]
        report = told(options, ["rm", identifier, *arguments])
    if options.is_json:
        options.output.json_line(report)
        return
    left = "nothing of it is left" if report["is_whole"] else "the others stay"
    options.output.show(f"{report['identifier']}: {report['rows']:,} {report['data_type']} removed, {left}")


async def _removed(identifier: str, asked: dict[str, str | None]) -> DataRemoved:
    async with Flotilla.connect(via="cli") as fleet:
        return await fleet.remove_data(identifier, **asked)


@click.command()
@click.argument("identifier", required=False)
@common
@pass_options
def consolidate(options: Options, /, identifier: str | None) -> None:
    """Make few files of many, as daily imports leave them: of one IDENTIFIER or of all."""
    report = told(options, ["consolidate", *([identifier] if identifier else [])])
    if options.is_json:
        options.output.json_line(report)
        return
    changed = [one for one in report["data_sets"] if one["files"] < one["files_before"]]
    for one in changed:
        options.output.show(
            f"{one['identifier']}: {one['files_before']:,} files of {one['data_type']} are {one['files']:,} now"
        )
    if not changed:
        options.output.show("nothing to do: no data set has more files than it needs")
