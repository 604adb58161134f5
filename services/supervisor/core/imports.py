"""What is known of an import, and what that makes of it. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.data import (
    ImportData,
    ImportEnd,
    ImportOptions,
    ImportProgress,
    ImportState,
    ImportView,
)

INTERRUPTED: Final = (
    "its process ended before it was through; the catalog has all of it or nothing. The same file again is safe: "
    "what is there already is not imported twice"
)


class AskedImport(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, and when."""

    order: ImportData
    at: datetime


class KeptImport(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of an import on disk. `is_begun`: a process took its lock; `is_held`: one had it just before `end` was looked for."""

    asked: AskedImport
    is_begun: bool
    is_held: bool
    end: ImportEnd | None = None
    progress: ImportProgress | None = None


def state_of(kept: KeptImport, mine: Collection[str]) -> ImportState:
    """Where it is. `mine` are those that wait here, or whose process was just begun, or has just ended."""
    if kept.end is not None:
        return kept.end.state
    if kept.is_held:
        return ImportState.RUNNING
    is_lost = kept.is_begun and kept.asked.order.import_id not in mine
    return ImportState.INTERRUPTED if is_lost else ImportState.WAITING


def view_of(kept: KeptImport, mine: Collection[str], host: str) -> ImportView:
    """As people see it."""
    order, end, state = kept.asked.order, kept.end, state_of(kept, mine)
    options = {name: getattr(order, name) for name in ImportOptions.__struct_fields__}
    return ImportView(
        import_id=order.import_id,
        host=host,
        file=order.file,
        state=state,
        asked_at=kept.asked.at,
        options=ImportOptions(**options),
        progress=kept.progress if state is ImportState.RUNNING else None,
        ended_at=end.at if end else None,
        reports=end.reports if end else (),
        error=end.error if end else INTERRUPTED if state is ImportState.INTERRUPTED else "",
    )


class Unsettled(msgspec.Struct, frozen=True):
    """Imports without an end: those whose process is gone, those that were never begun, and whether others are at some."""

    lost: tuple[str, ...]
    to_begin: tuple[ImportData, ...]
    is_any_running: bool


def unsettled(kept: Collection[KeptImport], mine: Collection[str]) -> Unsettled:
    """What a supervisor that died left to the next one; `kept` has the newest first."""
    open_ones = [one for one in kept if one.end is None and one.asked.order.import_id not in mine]
    states = [(one.asked.order, state_of(one, mine)) for one in reversed(open_ones)]
    return Unsettled(
        lost=tuple(order.import_id for order, state in states if state is ImportState.INTERRUPTED),
        to_begin=tuple(order for order, state in states if state is ImportState.WAITING),
        is_any_running=any(state is ImportState.RUNNING for _, state in states),
    )
