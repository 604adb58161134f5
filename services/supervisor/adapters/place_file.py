"""`host.json` in the state folder: which host its supervisor owns and how, for whoever must act without that supervisor."""

from pathlib import Path

import msgspec

from flotilla.schemas.session import OwnPlace
from flotilla.services.supervisor.adapters.durable_file import write_durably


class PlaceFile:
    """Written by every supervisor at its start."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "host.json"

    def save(self, place: OwnPlace) -> None:
        """Raises OSError."""
        write_durably(self._path, msgspec.json.encode(place))

    def load(self) -> OwnPlace:
        """Raises OSError or ValueError where no supervisor left one."""
        return msgspec.json.decode(self._path.read_bytes(), type=OwnPlace)
