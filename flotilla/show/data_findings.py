"""What a check of the catalog found, as the checking program says it, and as people read it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.catalog import Finding
from flotilla.show import formats
from flotilla.show.output import table


def findings_report(findings: Sequence[Finding]) -> RenderableType:
    """One row per data set, and below the first bad values and gaps."""
    if not findings:
        return Text("the catalog is empty; import the sample data: flotilla data import --sample")
    made = table("DATA", "OF", ">EVENTS", ">EVERY", ">GAPS", ">BAD")
    for one in findings:
        made.add_row(
            one.data_type,
            Text(one.identifier, overflow="fold"),
            f"{one.events:,}",
            formats.duration(one.usual_s) if one.usual_s else "",
            f"{one.gap_count:,}",
            Text(f"{one.bad_count:,}", style="" if one.is_sound else "bold red"),
        )
    lines: list[RenderableType] = [made]
    for one in findings:
        lines += [
            Text(f"{one.identifier}: {_moment(bad.at_ns)} {bad.why}", style="red") for bad in one.bad[:5]
        ]
        lines += [
            Text(f"{one.identifier}: nothing from {_moment(gap.first_ns)} to {_moment(gap.last_ns)}")
            for gap in one.gaps[:5]
        ]
    return Group(*lines)


def preview_table(report: Mapping[str, Any]) -> RenderableType:
    """The first rows of a file as an import would take them, with the columns that they come from."""
    fields = list(report["rows"][0]) if report["rows"] else []
    made = table(*(field.upper() for field in fields))
    for row in report["rows"]:
        made.add_row(*(Text(row[field], overflow="fold") for field in fields))
    taken = ", ".join(f"{field} from {title!r}" for field, title in report["columns"].items() if title)
    return Group(Text(f"{report['file']}, as it would be imported:"), made, Text(taken))


def _moment(ns: int) -> str:
    return formats.moment(datetime.fromtimestamp(ns // 1_000_000_000, UTC))
