"""`python -m flotilla.engine_sidecar.catalog`: exit 0 when done, 2 when data or arguments are refused, 1 when unsound."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from flotilla.engine_sidecar.catalog.arguments import (
    event_order,
    import_order,
    is_of_events,
    removal,
    sample_orders,
)
from flotilla.engine_sidecar.catalog.attaching import attach, detach
from flotilla.engine_sidecar.catalog.command_line import parser
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.catalog.event_import import import_events
from flotilla.engine_sidecar.catalog.importing import import_data
from flotilla.engine_sidecar.catalog.inspection import inspect
from flotilla.engine_sidecar.catalog.instrument_program import instrument_main
from flotilla.engine_sidecar.catalog.mending import consolidate, remove
from flotilla.engine_sidecar.catalog.preview import preview
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.reports import Reports

_UMASK: Final = 0o022
"""What a catalog holds is read by engines in containers, as another account."""


def main(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    os.umask(_UMASK)
    if arguments[:1] == ["instrument"]:
        return instrument_main(arguments[1:], lambda line: print(line, flush=True))
    chosen = parser().parse_args(arguments)
    reports = Reports(lambda line: print(line, flush=True), is_json=chosen.json)
    try:
        return _run(chosen, chosen.catalog.resolve(), reports)
    except ImportRefusedError as error:
        reports.refused(str(error))
        return 2
    except OSError as error:
        reports.refused(f"{error.filename or chosen.catalog}: {error.strerror or error}")
        return 2


def _run(chosen: argparse.Namespace, catalog: Path, reports: Reports) -> int:
    match chosen.command:
        case "ls":
            reports.listed(catalog_view(chosen.catalog))
        case "check":
            return _check(chosen.catalog, reports)
        case "attach":
            reports.attached(attach(catalog, chosen.folder, chosen.name))
        case "detach":
            reports.detached(detach(catalog, chosen.name))
        case "rm":
            reports.removed(remove(catalog, **removal(chosen)))
        case "consolidate":
            reports.consolidated(consolidate(catalog, chosen.identifier))
        case _ if is_of_events(chosen):
            defaults = parser().parse_args(["import", "--catalog", str(chosen.catalog)])
            reports.imported(import_events(catalog, event_order(chosen, defaults), reports.progress))
        case _ if chosen.dry_run and not chosen.sample:
            for one in preview(catalog, import_order(chosen)):
                reports.previewed(one)
        case _:
            for order in sample_orders() if chosen.sample else (import_order(chosen),):
                reports.imported(import_data(catalog, order, reports.progress))
    return 0


def _check(catalog: Path, reports: Reports) -> int:
    is_sound = True
    for found in inspect(catalog):
        reports.inspected(found)
        is_sound = is_sound and found.is_sound
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
