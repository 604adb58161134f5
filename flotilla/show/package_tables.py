"""What packages look like to people."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.package import DRAFT_SHOWN, PackageRef, PackageRemoved, PackageView, draft_version
from flotilla.show.output import table


def packages_table(packages: Sequence[PackageView]) -> RenderableType:
    """One line for each version."""
    if not packages:
        return Text("there are none")
    made = table("PACKAGE", "VERSION", "DIGEST", ">KIB", "PUSHED", "STRATEGIES")
    for one in packages:
        made.add_row(
            Text(one.name, style="bold"),
            _version(one),
            one.digest[:12],
            f"{one.size_bytes / 1024:.0f}",
            f"{one.pushed_at:%Y-%m-%d %H:%M}",
            ", ".join(each.template for each in one.strategies),
        )
    return made


def package_details(one: PackageView, program: str) -> RenderableType:
    """One version with its files, and how its strategies are used."""
    note = "  (a draft)" if one.is_draft else "" if one.is_newest else "  (there is a newer one)"
    head = Text.assemble((f"{one.name}@{_version(one)}", "bold"), note)
    facts = table("", "")
    facts.show_header = False
    facts.add_row("digest", one.digest)
    facts.add_row("pushed", f"{one.pushed_at:%Y-%m-%d %H:%M:%S} UTC by {one.pushed_by or 'somebody'}")
    for each in one.strategies:
        facts.add_row("strategy", f"{each.template}  {each.description}".rstrip())
    for wheel in one.wheels:
        facts.add_row("wheel", f"{wheel.file}  {wheel.size_bytes / 1024:.0f} KiB  sha256 {wheel.digest}")
    for note in one.notes:
        facts.add_row("note", Text(note, style="yellow"))
    facts.add_row("files", "\n".join(one.files))
    first = one.strategies[0].template
    name = first if one.is_newest else f"{first}@{one.version}"
    return Group(head, facts, Text(f"  next  {program} backtest run --strategy {name}", style="dim"))


def pushed_report(view: PackageView, program: str) -> RenderableType:
    """That a version is there, how it is used, and whether its name alone means another."""
    names = ", ".join(each.template for each in view.strategies)
    first = view.strategies[0].template
    chosen = f"{first}@{view.version}"
    older = f"  older   {first} alone means a later version: go back to this one as {chosen}"
    lines = [
        Text.assemble(("● ", "green"), f"{view.name}@{view.version} is there: {names}"),
        Text(f"  digest  {view.digest}"),
        *(Text(f"  wheel   {each.label}") for each in view.wheels),
        *(() if view.is_newest else (Text(older, style="yellow"),)),
        *(Text(f"  note    {note}", style="yellow") for note in view.notes),
        Text(f"  next    {program} engine start my-engine --strategy {chosen}", style="dim"),
    ]
    return Group(*lines)


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
