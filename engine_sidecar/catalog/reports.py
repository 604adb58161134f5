"""What the catalog's program says of its work: to people, or one JSON object a line."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from flotilla.engine_sidecar.catalog.attaching import Attached, Detached
from flotilla.engine_sidecar.catalog.importing import Imported
from flotilla.engine_sidecar.catalog.mending import Consolidated, Removed
from flotilla.engine_sidecar.catalog.preview import Preview
from flotilla.schemas.catalog import CatalogView, Finding

type Print = Callable[[str], None]


class Reports:
    """Writes with `out`; `is_json` chooses the form."""

    def __init__(self, out: Print, *, is_json: bool) -> None:
        self._out, self._is_json = out, is_json

    def progress(self, step: str, file: Path, rows: int) -> None:
        """`rows` of `file` have been checked, or written."""
        self._say(
            f"{file.name}: {rows:,} rows {step}", event="progress", step=step, file=str(file), rows=rows
        )

    def imported(self, done: Imported) -> None:
        """An import ended well."""
        what = "imported" if done.is_new else "unchanged: the catalog has this data already"
        if 0 < done.new_rows + done.replaced_rows < done.rows:
            what = f"{done.new_rows:,} imported, {done.replaced_rows:,} replaced, the catalog had the others already"
        self._say(
            f"{done.data_type} {done.identifier}: {done.rows:,} rows, {_time(done.first)} to {_time(done.last)}, {what}",
            event="imported" if done.is_new else "unchanged",
            **msgspec.to_builtins(done),
        )
        if not self._is_json:
            for note in done.assumed:
                self._out(f"  {note}")
            self._tell_notes(done)

    def previewed(self, one: Preview) -> None:
        """How a file's first rows are understood."""
        self._say(f"{one.file}:", event="preview", **msgspec.to_builtins(one))
        if not self._is_json:
            for row in one.rows:
                self._out("  " + " ".join(f"{name} {value}" for name, value in row.items()))
            self._tell_notes(one)

    def _tell_notes(self, done: Imported | Preview) -> None:
        for note in (
            *(f"layout: {name}" for name in done.layouts),
            *done.notes,
            *([f"columns not read: {', '.join(done.ignored)}"] if done.ignored else []),
        ):
            self._out(f"  {note}")

    def removed(self, done: Removed) -> None:
        """Data were taken out."""
        left = "nothing is left" if done.is_whole else "the others stay"
        self._say(
            f"{done.data_type} {done.identifier}: {done.rows:,} rows removed, {left}",
            event="removed",
            **msgspec.to_builtins(done),
        )

    def consolidated(self, done: list[Consolidated]) -> None:
        """Data sets have fewer files."""
        if self._is_json:
            self._say("", event="consolidated", data_sets=msgspec.to_builtins(done))
        for one in () if self._is_json else done:
            self._out(f"{one.data_type} {one.identifier}: {one.files_before} files are {one.files} now")

    def attached(self, done: Attached) -> None:
        """A catalog was attached."""
        self._say(
            f"{done.name}: {done.data_sets} data sets of {done.instruments} instruments in {done.path}",
            event="attached",
            **msgspec.to_builtins(done),
        )
        if not self._is_json:
            for note in (*done.notes, *(f"not usable: {one.path} {one.why}" for one in done.unusable)):
                self._out(f"  {note}")

    def detached(self, done: Detached) -> None:
        """One was let go of."""
        self._say(f"{done.name}: detached from {done.path}", event="detached", **msgspec.to_builtins(done))

    def refused(self, why: str) -> None:
        """An import was refused and changed nothing."""
        self._say(f"error: {why}", event="error", message=why)

    def listed(self, view: CatalogView) -> None:
        """The data sets of a catalog."""
        if self._is_json:
            self._out(msgspec.json.encode(view).decode())
        for entry in () if self._is_json else view.entries:
            self._out(
                f"{entry.data_type:18}{entry.identifier:45}{entry.start:%Y-%m-%d} {entry.end:%Y-%m-%d}{entry.files:6}"
            )

    def inspected(self, found: Finding) -> None:
        """One data set was looked through."""
        if self._is_json:
            self._out(msgspec.json.encode(found).decode())
            return
        verdict = "sound" if found.is_sound else f"{found.bad_count:,} bad values"
        self._out(
            f"{found.data_type} {found.identifier}: {found.events:,} events, {verdict}, {found.gap_count} gaps"
        )
        for bad in found.bad:
            self._out(f"  {_time(bad.at_ns)} {bad.why}")
        for gap in found.gaps:
            self._out(f"  nothing from {_time(gap.first_ns)} to {_time(gap.last_ns)}")

    def _say(self, text: str, **fields: Any) -> None:
        self._out(msgspec.json.encode(fields).decode() if self._is_json else text)


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")
