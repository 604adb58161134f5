"""`flotilla data attach` and `detach`: NautilusTrader catalogs that are used where they lie."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from flotilla.cli.commands.data import PROGRAM
from flotilla.cli.options import Options, common, pass_options
from flotilla.schemas.fault import FaultCode, fault
from flotilla.stack.checks import require_engine_package
from flotilla.state.errors import ProgramFailedError
from flotilla.state.programs import output_lines, python

_SHOWN: Final = 20


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Of letters, digits and '-'.  [default: the folder's]")
@common
@pass_options
def attach(options: Options, /, folder: Path, name: str | None) -> None:
    """Use the NautilusTrader catalog in FOLDER where it lies; nothing is ever written there.

    The same again takes up what was added or removed in the meantime.
    """
    report = _told(options, ["attach", str(folder), *(["--name", name] if name else [])])
    if options.is_json:
        options.output.json_line(report)
        return
    options.output.show(
        f"{report['name']}: {report['data_sets']:,} data sets of {report['instruments']:,} instruments "
        f"in {report['files']:,} files of {report['path']}, attached"
    )
    for note in report["notes"]:
        options.output.show(f"  {note}")
    for one in report["unusable"][:_SHOWN]:
        options.output.show(f"  not usable: {one['path']}: {one['why']}")
    if len(report["unusable"]) > _SHOWN:
        options.output.show(f"  and {len(report['unusable']) - _SHOWN} more, which `--json` names")


@click.command()
@click.argument("name")
@common
@pass_options
def detach(options: Options, /, name: str) -> None:
    """Let go of the catalog attached as NAME; its own files stay as they are."""
    report = _told(options, ["detach", name])
    if options.is_json:
        options.output.json_line(report)
        return
    options.output.show(f"{report['name']}: detached, {report['path']} is as it was")
    if report["kept"]:
        options.output.show(f"  kept, because imported data are of them: {', '.join(report['kept'])}")


def _told(options: Options, arguments: list[str]) -> dict[str, Any]:
    require_engine_package()
    options.folder.create()
    return asyncio.run(_last_report(options, arguments))


async def _last_report(options: Options, arguments: list[str]) -> dict[str, Any]:
    """What the catalog's program said last. Raises FaultError with its words when it refused."""
    command, *given = arguments
    argv = python(*PROGRAM, command, "--json", "--catalog", str(options.folder.catalog), *given)
    report: dict[str, Any] = {}
    try:
        async with aclosing(output_lines(argv)) as lines:
            async for line in lines:
                report = msgspec.json.decode(line)
    except ProgramFailedError:
        if report.get("event") != "error":
            raise
        raise fault(FaultCode.INVALID, report["message"]) from None
    return report
