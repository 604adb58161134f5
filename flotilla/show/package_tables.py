"""What packages look like to people."""

import json
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.catalog import Parameter
from flotilla.schemas.package import (
    DRAFT_SHOWN,
    ComponentKind,
    PackageRef,
    PackageRemoved,
    PackageView,
    draft_version,
)
from flotilla.show.output import table

_KINDS: Final = {kind: str(kind).replace("_", " ") for kind in ComponentKind} | {
    ComponentKind.EXEC_ALGORITHM: "algorithm",
    ComponentKind.SIMULATION_MODULE: "module",
}


def packages_table(packages: Sequence[PackageView]) -> RenderableType:
    """One line for each version."""
    if not packages:
        return Text("there are none")
    made = table("PACKAGE", "VERSION", "DIGEST", ">KIB", "PUSHED", "WHAT IS IN IT")
    for one in packages:
        made.add_row(
            Text(one.name, style="bold"),
            _version(one),
            one.digest[:12],
            f"{one.size_bytes / 1024:.0f}",
            f"{one.pushed_at:%Y-%m-%d %H:%M}",
            ", ".join(_names(one)),
        )
    return made


def package_details(one: PackageView, program: str) -> RenderableType:
    """One version with its files, and how what is in it is used."""
    note = "  (a draft)" if one.is_draft else "" if one.is_newest else "  (there is a newer one)"
    head = Text.assemble((f"{one.name}@{_version(one)}", "bold"), note)
    facts = table("", "")
    facts.show_header = False
    facts.add_row("digest", one.digest)
    facts.add_row("pushed", f"{one.pushed_at:%Y-%m-%d %H:%M:%S} UTC by {one.pushed_by or 'somebody'}")
    for each in one.strategies:
        facts.add_row("strategy", f"{each.template}  {each.description}".rstrip())
    for component in one.components:
        facts.add_row(_KINDS[component.kind], f"{component.path}  {component.description}".rstrip())
        for name, parameter in component.parameters.items():
            facts.add_row("", Text(f"  {_parameter(name, parameter)}", style="dim"))
    for wheel in one.wheels:
        facts.add_row("wheel", f"{wheel.file}  {wheel.size_bytes / 1024:.0f} KiB  sha256 {wheel.digest}")
    for note in one.notes:
        facts.add_row("note", Text(note, style="yellow"))
    facts.add_row("files", "\n".join(one.files))
    if not one.strategies:
        return Group(head, facts)
    first = one.strategies[0].template
    name = first if one.is_newest else f"{first}@{one.version}"
    return Group(head, facts, Text(f"  next  {program} backtest run --strategy {name}", style="dim"))


def pushed_report(view: PackageView, program: str) -> RenderableType:
    """That a version is there, how it is used, and whether its name alone means another."""
    names = ", ".join(_names(view))
    first = view.strategies[0].template if view.strategies else view.name
    chosen = f"{first}@{view.version}"
    older = f"  older   {first} alone means a later version: go back to this one as {chosen}"
    then = f"engine start my-engine --strategy {chosen}" if view.strategies else f"package show {chosen}"
    lines = [
        Text.assemble(("● ", "green"), f"{view.name}@{view.version} is there: {names}"),
        Text(f"  digest  {view.digest}"),
        *(Text(f"  wheel   {each.label}") for each in view.wheels),
        *(() if view.is_newest else (Text(older, style="yellow"),)),
        *(Text(f"  note    {note}", style="yellow") for note in view.notes),
        Text(f"  next    {program} {then}", style="dim"),
    ]
    return Group(*lines)


def _names(one: PackageView) -> list[str]:
    """What it is all called; components without the version that stands beside them."""
    beside = (each.path.rpartition(":")[2] for each in one.components)
    return [*(each.template for each in one.strategies), *(f"{one.name}:{name}" for name in beside)]


def _parameter(name: str, parameter: Parameter) -> str:
    default = "required" if parameter.required else json.dumps(parameter.default)
    return f"{name}  {parameter.type}, {default}  {parameter.help}".rstrip()


def _version(one: PackageView) -> str:
    """As it is shown: a draft by the beginning of its digest, which does to name it."""
    return draft_version(one.digest[:DRAFT_SHOWN]) if one.is_draft else one.version


def removed_report(done: PackageRemoved) -> RenderableType:
    """That a version is gone, and what goes on using its content."""
    ref = PackageRef(name=done.name, version=done.version, digest=done.digest)
    lines = [Text.assemble(("● ", "green"), f"{ref.label} has no name any more")]
    if done.used_by:
        lines.append(Text(f"  its content stays for {', '.join(done.used_by)}", style="yellow"))
    return Group(*lines)
