"""Code as it is now, uploaded without a version: for `--file` and `--dev`."""

import sys
from pathlib import Path
from typing import Any

import click

from flotilla.cli.options import Options
from flotilla.client.client import Flotilla
from flotilla.schemas.package import PackageView

wheels_folder = click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Take the wheels that your code requires from this folder, and ask no package index.",
)
"""For commands that upload code."""


async def uploaded(
    options: Options,
    fleet: Flotilla,
    path: Path,
    chosen: str | None,
    option: str,
    *,
    wheels: Path | None = None,
) -> tuple[str, PackageView]:
    """The strategy of a folder or file as it is now, as it goes by from here on, and all else that is there; `chosen` is the strategy's
    name where there are several, `wheels` the folder that its wheels come from, where no index is to be asked.

    Says loudly on stderr that nobody else has this code by a name. Raises FaultError for code that is refused.
    """
    view = await fleet.push_package(path, draft=True, wheels=wheels)
    template = _template(view, chosen, option)
    said = (
        f"UNPUSHED CODE: {path} as it is now (digest {view.digest[:12]}). This run names the digest and no version.",
        f"Keep it by a name:  {options.program} package push {path}",
    )
    print("\n".join((*said, *(f"note: {note}" for note in view.notes))), file=sys.stderr)
    return f"{template}@{view.version}", view


def with_draft(given: Any, view: PackageView) -> Any:
    """What was chosen, with each `path` to a class of the package, such as `mine:MyActor`, meaning the code that was just uploaded."""
    own = {f"{view.name}:{each.path.rpartition(':')[2]}": each.path for each in view.components}
    if isinstance(given, dict):
        return {
            key: own.get(value, value)
            if key == "path" and isinstance(value, str)
            else with_draft(value, view)
            for key, value in given.items()
        }
    return [with_draft(each, view) for each in given] if isinstance(given, list | tuple) else given


def _template(view: PackageView, chosen: str | None, option: str) -> str:
    names = {each.template: each.template for each in view.strategies}
    names |= {each.strategy_class: each.template for each in view.strategies}
    if chosen is not None and chosen in names:
        return names[chosen]
    there = ", ".join(each.strategy_class for each in view.strategies)
    if chosen is not None:
        raise click.UsageError(f"{option} has no strategy {chosen}; there are {there}")
    if not view.strategies:
        raise click.UsageError(f"{option} has no strategy in it: push it, and name what it has beside yours")
    if len(view.strategies) > 1:
        raise click.UsageError(f"{option} has several strategies: name one by --strategy: {there}")
    return view.strategies[0].template
