"""What an import did, or would, as people are told."""

from typing import Any

from flotilla.cli.options import Options
from flotilla.show import formats
from flotilla.show.data_findings import preview_table


def tell(options: Options, report: dict[str, Any]) -> None:
    """One report of an import or a dry run, as JSON or for people."""
    if options.is_json:
        options.output.json_line(report)
        return
    if report["event"] == "preview":
        options.output.show(preview_table(report))
        _tell_notes(options, report)
        return
    what = "imported" if report["event"] == "imported" else "unchanged, the catalog has it already"
    if report["replaced_rows"]:
        what += f", {report['replaced_rows']:,} in the place of others"
    span = f"{formats.day(report['first'])} to {formats.day(report['last'])}"
    options.output.show(f"{report['identifier']}: {report['rows']:,} {report['data_type']}, {span}, {what}")
    _tell_notes(options, report)


def _tell_notes(options: Options, report: dict[str, Any]) -> None:
    for layout in report["layouts"]:
        options.output.show(f"  layout: {layout}")
    for note in (*report.get("assumed", ()), *report["notes"]):
        options.output.show(f"  {note}")
    if report["ignored"]:
        options.output.show(f"  columns not read: {', '.join(report['ignored'])}")
