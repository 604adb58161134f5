"""The stop flags of a host in a file that survives a loss of power."""

from pathlib import Path

import msgspec

from schemas.telemetry import StopFlag
from services.supervisor.adapters.durable_file import write_durably


class StopFlagFile:
    """`stop_flags.json` in the state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "stop_flags.json"

    def load(self) -> tuple[StopFlag, ...]:
        """The flags; none when there never was a file. Raises OSError or ValueError when it cannot be told."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        return msgspec.json.decode(text, type=tuple[StopFlag, ...])

    def save(self, flags: tuple[StopFlag, ...]) -> None:
        """Returns when the flags are on disk. Raises OSError."""
        write_durably(self._path, msgspec.json.encode(flags))
