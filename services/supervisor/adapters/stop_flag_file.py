"""The stop flags of a host in a file that survives a loss of power, and beside it the stops that were left for its supervisor."""

import time
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.session import EmergencyStop
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.supervisor.adapters.durable_file import give_as_above, make_folder, write_durably
from flotilla.services.supervisor.ports import LeftOrder

log = get_logger(__name__)

_WHOLE_FOLDER: Final = "stop_requests"
_UNREADABLE: Final = EmergencyStop(reason="a stop was left here that cannot be read")


class StopFlagFile:
    """`stop_flags.json` in the state folder is the supervisor's own; its account and root may leave a file in `stop_requests`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "stop_flags.json"
        self._inbox = folder / "stop_requests"
        self._told: set[str] = set()

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

    def leave(self, request: EmergencyStop) -> None:
        """Leaves a stop for the supervisor, which takes it within a second, or at its start. Raises OSError."""
        make_folder(self._inbox)
        # One that root made before it gave folders away; the supervisor of another account could not look into it.
        give_as_above(self._inbox)
        name = f"{time.time_ns():020}-{request.request_id or 'stop'}.json"
        write_durably(self._inbox / name, msgspec.json.encode(request))

    def left(self) -> tuple[LeftOrder, ...]:
        """What was left, oldest first; what cannot be read is a stop of all engines, and so is a folder that cannot be."""
        try:
            names = sorted(path.name for path in self._inbox.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return ()
        except OSError as error:
            problem = str(error)
        else:
            return tuple(LeftOrder(name, self._read(self._inbox / name)) for name in names)
        self._tell_once(
            "stops that were left cannot be looked for: all engines are meant", _WHOLE_FOLDER, problem
        )
        return (LeftOrder(_WHOLE_FOLDER, _UNREADABLE),)

    def settle(self, order: LeftOrder) -> None:
        """Takes it away; a folder that cannot be read stays, and is such an order again at the next start."""
        if order.name == _WHOLE_FOLDER:
            return
        problem = ""
        try:
            (self._inbox / order.name).unlink(missing_ok=True)
        except OSError as error:
            problem = str(error)
        if problem:
            self._tell_once("a stop that was carried out stays in the folder", order.name, problem)

    def _read(self, path: Path) -> EmergencyStop:
        try:
            return msgspec.json.decode(path.read_bytes(), type=EmergencyStop)
        except (OSError, msgspec.DecodeError) as error:
            problem = str(error)
        self._tell_once("a stop that was left cannot be read: all engines are meant", path.name, problem)
        return _UNREADABLE

    def _tell_once(self, event: str, name: str, problem: str) -> None:
        """Whoever follows the folder meets the same file in every look."""
        if f"{event} {name} {problem}" not in self._told:
            self._told.add(f"{event} {name} {problem}")
            log.error(event, name=name, error=problem)
