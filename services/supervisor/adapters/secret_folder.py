"""The secret store of a host: a folder of `<name>.json` files, read when an engine starts and kept nowhere else."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.schemas.fault import FaultError, FieldError, invalid
from flotilla.schemas.ids import Name

MAX_BYTES: Final = 64 << 10
_FIELD: Final = "spec.plan.secrets"


class SecretFolder:
    """Each file is a JSON object of config fields and their values, for its owner's eyes only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, names: Iterable[Name]) -> dict[str, dict[str, Any]]:
        """The entries of these names. Raises FaultError `invalid` that says what is wrong with a file, never what is in it."""
        return {name: self._entry(name) for name in sorted(set(names))}

    def _entry(self, name: Name) -> dict[str, Any]:
        # A Name cannot leave the folder: it has neither dots nor slashes.
        try:
            found = msgspec.json.decode(_read_private(self._folder / f"{name}.json"))
        except FileNotFoundError:
            raise _fault(name, "is not in the secret store of this host") from None
        except OSError as error:
            raise _fault(name, f"cannot be read: {error.strerror}") from None
        except _UnfitError as error:
            raise _fault(name, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Without its cause, which may show a piece of the file.
            raise _fault(name, "is not valid JSON") from None
        if not isinstance(found, dict):
            raise _fault(name, "is not a JSON object")
        if not found or any(value in ("", None) for value in found.values()):
            raise _fault(name, "is empty, or has an empty value")
        return found


class _UnfitError(Exception):
    """The file must not be used."""


def _read_private(path: Path) -> bytes:
    # Not blocking: what is there may be a pipe.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise _UnfitError("is not a file")
        if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise _UnfitError("may be read by others than its owner: chmod 600")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _UnfitError(f"is over {MAX_BYTES >> 10} KiB")
    return content


def _fault(name: str, problem: str) -> FaultError:
    return invalid(FieldError(_FIELD, f"secret {name!r} {problem}"))
