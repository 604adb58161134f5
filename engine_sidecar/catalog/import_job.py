"""One import that somebody else waits for: what becomes of it is written into its own folder, where it outlives whoever asked."""

import fcntl
import shutil
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from pyarrow import ArrowException

from flotilla.bus.files import write_whole
from flotilla.engine_sidecar.catalog.arguments import event_order, import_order, is_of_events
from flotilla.engine_sidecar.catalog.event_import import import_events
from flotilla.engine_sidecar.catalog.importing import import_data
from flotilla.engine_sidecar.catalog.preview import preview
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.reports import Reports
from flotilla.schemas.data import (
    DATA_FOLDER,
    END_FILE,
    LOCK_FILE,
    PROGRESS_FILE,
    ImportData,
    ImportEnd,
    ImportOptions,
    ImportProgress,
    ImportState,
)

_OF_FILE: Final = 0o644
_EVERY_S: Final = 0.5
_DEFAULTS: Final = {
    one.name: one.default
    for one in msgspec.structs.fields(ImportOptions)
    if one.default is not msgspec.NODEFAULT
}


def run_import(catalog: Path, folder: Path, asked: ImportData) -> None:
    """Imports the file in the folder, and leaves there how it ended. Who holds its lock is at it, once. Raises OSError."""
    with (folder / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / END_FILE).exists():
            return
        end = _ended(catalog, folder, asked)
        write_whole(folder / END_FILE, msgspec.json.encode(end), mode=_OF_FILE)
        shutil.rmtree(folder / DATA_FOLDER, ignore_errors=True)  # it counts as long as it is there


def _ended(catalog: Path, folder: Path, asked: ImportData) -> ImportEnd:
    said: list[dict[str, Any]] = []
    reports = Reports(lambda line: said.append(msgspec.json.decode(line)), is_json=True)
    error = ""
    try:
        _run(catalog, _asked(folder, asked), reports, _progress(folder))
    except ImportRefusedError as refused:
        error = str(refused)
    except (OSError, ArrowException) as failed:
        error = f"{getattr(failed, 'filename', None) or asked.file}: {getattr(failed, 'strerror', None) or failed}"
    return ImportEnd(
        state=ImportState.REFUSED if error else ImportState.COMPLETED,
        at=datetime.now(UTC),
        reports=tuple(_without(folder, said)),
        error=error.replace(f"{folder / DATA_FOLDER}/", "").replace(f"{catalog}/", ""),
    )


def _asked(folder: Path, asked: ImportData) -> Namespace:
    """As the command line says it."""
    options = {name: getattr(asked, name) for name in ImportOptions.__struct_fields__}
    return Namespace(files=[str(folder / DATA_FOLDER / asked.file)], sample=False, **options)


def _run(
    catalog: Path, chosen: Namespace, reports: Reports, progress: Callable[[str, Path, int], None]
) -> None:
    """As the command line does it, but that it waits for others who change the catalog: whoever asked is not there any more."""
    if is_of_events(chosen):
        defaults = Namespace(**_DEFAULTS, files=[], sample=False)
        reports.imported(import_events(catalog, event_order(chosen, defaults), progress, waits=True))
    elif chosen.dry_run:
        for one in preview(catalog, import_order(chosen)):
            reports.previewed(one)
    else:
        reports.imported(import_data(catalog, import_order(chosen), progress, waits=True))


def _progress(folder: Path) -> Callable[[str, Path, int], None]:
    told = 0.0

    def tell(step: str, _: Path, rows: int) -> None:
        nonlocal told
        if time.monotonic() - told < _EVERY_S:
            return
        told = time.monotonic()
        made = msgspec.json.encode(ImportProgress(step=step, rows=rows))
        write_whole(folder / PROGRESS_FILE, made, mode=_OF_FILE, is_durable=False)

    return tell


def _without(folder: Path, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was said, without where the folder is on the host."""
    text = msgspec.json.encode(said).decode().replace(f"{folder / DATA_FOLDER}/", "")
    cleaned: list[dict[str, Any]] = msgspec.json.decode(text)
    return cleaned
