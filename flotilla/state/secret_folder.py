"""The file-based secret store of a host: one JSON object per name, which only its owner can read. Supervisors read it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.files import write_whole
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.ids import Name

_SUFFIX: Final = ".json"


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown of a secret: its name and the names of its fields. `fields` is empty for a file that is no secret."""

    name: str
    fields: tuple[str, ...]
    problem: str = ""


class SecretFolder:
    """The secrets below one state folder. Values are written, and never read back to anybody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, name: str, values: dict[str, Any]) -> None:
        """Writes a secret, over the one of that name if there is one. Raises FaultError `invalid`."""
        path = self._path(name)
        if not values or not all(values):
            raise invalid(FieldError("values", "must be a JSON object of config fields to values"))
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, msgspec.json.encode(values))

    def remove(self, name: str) -> None:
        """Deletes a secret. Raises FaultError `not_found`."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise fault(FaultCode.NOT_FOUND, f"no secret {name}") from None

    def all(self) -> Iterator[StoredSecret]:
        """Every secret, sorted by name."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            yield _shown(path)

    def _path(self, name: str) -> Path:
        return self._folder / (convert(name, Name, "name") + _SUFFIX)


def _shown(path: Path) -> StoredSecret:
    problem = "others can read it" if path.stat().st_mode & 0o077 else ""
    try:
        fields = tuple(sorted(msgspec.json.decode(path.read_bytes(), type=dict[str, Any])))
    except (OSError, msgspec.DecodeError):
        # Not why: a decoder's message may quote what stands there.
        return StoredSecret(name=path.stem, fields=(), problem="it is no JSON object")
    return StoredSecret(name=path.stem, fields=fields, problem=problem)
