"""The one way an import says no: what is wrong, and in which file, line and column."""

from pathlib import Path
from typing import Final

from flotilla.schemas.fault import FaultCode

_MAX_SHOWN: Final = 40


class ImportRefusedError(Exception):
    """The data cannot be imported as asked; nothing was written."""

    code = FaultCode.INVALID
    """What it is to whoever asked over the bus."""

    def __init__(
        self, what: str, file: Path | None = None, line: int | None = None, column: str | None = None
    ) -> None:
        where = [str(file)] if file else []
        where += [f"line {line}"] if line is not None else []
        where += [f"column {column!r}"] if column else []
        super().__init__(f"{', '.join(where)}: {what}" if where else what)


class NotThereError(ImportRefusedError):
    """The catalog has no such data."""

    code = FaultCode.NOT_FOUND


class InUseError(ImportRefusedError):
    """Somebody else changes the catalog now, or it is not ours to change."""

    code = FaultCode.CONFLICT


def shown(text: str) -> str:
    """A cell as an error shows it: enough to find it by, and no more of a file that may be anything."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")
