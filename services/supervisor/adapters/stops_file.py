"""The stops under way on a host in a file that survives a loss of power."""

from pathlib import Path

import msgspec

from flotilla.services.supervisor.adapters import process_table
from flotilla.services.supervisor.adapters.durable_file import write_durably
from flotilla.services.supervisor.core.stops import StopUnderWay


class _Kept(msgspec.Struct, frozen=True):
    boot_id: str
    stops: tuple[StopUnderWay, ...]


class StopsFile:
    """`stops.json` in the state folder. Its times are good for one boot, and so are the sessions."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "stops.json"

    def load(self) -> tuple[StopUnderWay, ...]:
        """Those of this boot; none when there never was a file. Raises OSError or ValueError when it cannot be told."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return ()
        return kept.stops if kept.boot_id == process_table.boot_id() else ()

    def save(self, stops: tuple[StopUnderWay, ...]) -> None:
        """Returns when they are on disk. Raises OSError."""
        write_durably(self._path, msgspec.json.encode(_Kept(process_table.boot_id(), stops)))
