"""The identities of a host's sessions in a file that survives a loss of power."""

from pathlib import Path

import msgspec

from flotilla.services.supervisor.adapters.durable_file import write_durably
from flotilla.services.supervisor.core.identity import SessionIdentity


class IdentityFile:
    """`identities.json` in the state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "identities.json"

    def load(self) -> tuple[SessionIdentity, ...]:
        """As last saved; none when there never was a file. Raises OSError or ValueError when it cannot be told."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[SessionIdentity, ...])
        except FileNotFoundError:
            return ()

    def save(self, identities: tuple[SessionIdentity, ...]) -> None:
        """Returns when they are on disk. Raises OSError."""
        write_durably(self._path, msgspec.json.encode(identities))
