"""What packages look like to people."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.package import PackageRemoved, PackageView
from flotilla.show.output import table


def packages_table(packages: Sequence[PackageView]) -> RenderableType:
    """One line for each version."""
    if not packages:
        return Text("there are no packages")
    made = table("PACKAGE", "VERSION", "DIGEST", ">KIB", "PUSHED", "STRATEGIES")
    for one in packages:
        made.add_row(
            Text(one.name, style="bold"),
            one.version,
            one.digest[:12],
            f"{one.size_bytes / 1024:.0f}",
            f"{one.pushed_at:%Y-%m-%d %H:%M}",
            ", ".join(each.template for each in one.strategies),
        )
    return made


def package_details(one: PackageView, program: str) -> RenderableType:
    """One version with its files, and how its strategies are used."""
    head = Text.assemble(
        (f"{one.name}@{one.version}", "bold"), "" if one.is_newest else "  (there is a newer one)"
    )
    facts = table("", "")
    facts.show_header = False
    facts.add_row("digest", one.digest)
    facts.add_row("pushed", f"{one.pushed_at:%Y-%m-%d %H:%M:%S} UTC by {one.pushed_by or 'somebody'}")
    for each in one.strategies:
        facts.add_row("strategy", f"{each.template}  {each.description}".rstrip())
    for note in one.notes:
        facts.add_row("note", Text(note, style="yellow"))
    facts.add_row("files", "\n".join(one.files))
    first = one.strategies[0].template
    name = first if one.is_newest else f"{first}@{one.version}"
    return Group(head, facts, Text(f"  next  {program} backtest run --strategy {name}", style="dim"))


def removed_report(done: PackageRemoved) -> RenderableType:
    """That a version is gone, and what goes on using its content."""
    lines = [Text.assemble(("● ", "green"), f"{done.name}@{done.version} has no name any more")]
    if done.used_by:
        lines.append(Text(f"  its content stays for {', '.join(done.used_by)}", style="yellow"))
    return Group(*lines)
