"""The called-off starts of a host in a file that survives a loss of power."""

from pathlib import Path

import msgspec

from flotilla.services.supervisor.adapters.durable_file import write_durably


class CalledOffFile:
    """`called_off.json` in the state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "called_off.json"

    def load(self) -> tuple[str, ...]:
        """The sessions, oldest first; none when there never was a file. Raises OSError or ValueError when it cannot be told."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        return msgspec.json.decode(text, type=tuple[str, ...])

    def save(self, sessions: tuple[str, ...]) -> None:
        """Returns when they are on disk. Raises OSError."""
        write_durably(self._path, msgspec.json.encode(sessions))
