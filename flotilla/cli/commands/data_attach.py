"""`flotilla data attach` and `detach`: NautilusTrader catalogs that are used where they lie."""

from pathlib import Path
from typing import Final

import click

from flotilla.cli.commands.data_program import told
from flotilla.cli.options import Options, common, pass_options

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
    report = told(options, ["attach", str(folder), *(["--name", name] if name else [])])
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
    report = told(options, ["detach", name])
    if options.is_json:
        options.output.json_line(report)
        return
    options.output.show(f"{report['name']}: detached, {report['path']} is as it was")
    if report["kept"]:
        options.output.show(f"  kept, because imported data are of them: {', '.join(report['kept'])}")
