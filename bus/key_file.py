"""The file of keys under which a host's secrets are encrypted: ours to write, or given by who runs the host."""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from flotilla.bus.files import give, opened_folder, write_whole
from flotilla.bus.sealed_secret import NO_KEYS, SecretError, SecretKeys
from flotilla.schemas.fault import FaultError, FieldError, invalid

_MAX_BYTES: Final = 64 << 10
_REMEDY: Final = (
    "where others write the key file, have a line with a new key put first in it and run"
    " `flotilla secret rotate-key --keep-keys`"
)


class KeyFile:
    """Reads and writes keys. Raises FaultError `invalid` that names the file, never with a piece of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> SecretKeys:
        """The keys; NO_KEYS where there is no such file."""
        try:
            return SecretKeys.parsed(read_private(self.path, _MAX_BYTES, may_be_given=True))
        except FileNotFoundError:
            return NO_KEYS
        except OSError as error:
            raise self._fault(f"cannot be read: {error.strerror}") from None
        except SecretError as error:
            raise self._fault(str(error)) from None

    def ensure(self, taken: Collection[int]) -> SecretKeys:
        """The keys, made where there are none yet; a new one gets none of the numbers that are `taken`."""
        keys = self.read()
        return self.add(keys, taken) if keys is NO_KEYS else keys

    def add(self, keys: SecretKeys, taken: Collection[int]) -> SecretKeys:
        """Writes these keys behind a new one, and returns them all."""
        try:
            fresh = keys.with_new(taken)
        except SecretError as error:
            raise self._fault(str(error)) from None
        self.write(fresh)
        return fresh

    def write(self, keys: SecretKeys) -> None:
        """Puts the keys into the file in one step."""
        try:
            make_private(self.path.parent)
            write_whole(self.path, keys.text, as_folder=True)
        except OSError as error:
            raise self._fault(f"cannot be written: {error.strerror}; {_REMEDY}") from None

    def _fault(self, problem: str) -> FaultError:
        return invalid(FieldError("key_file", f"{self.path} {problem}"))


def make_private(folder: Path) -> None:
    """Makes a folder for its owner only, who is that of the folder above it, unless it is there. Raises OSError."""
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        return
    with opened_folder(folder) as made:
        give(made, folder.parent.stat())


def read_private(path: Path, most: int, *, may_be_given: bool = False) -> bytes:
    """A file that nobody but its owner may read. Raises SecretError for another one, FileNotFoundError, OSError.

    One that `may_be_given` may be another account's that lets us read it as a group, as systemd does with credentials.
    """
    # Not blocking: what is there may be a pipe.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise SecretError("is not a file")
        is_given = may_be_given and about.st_uid != os.geteuid()
        if about.st_mode & (0o037 if is_given else 0o077):
            raise SecretError("may be read by others than its owner: chmod 600")
        content = file.read(most + 1)
    if len(content) > most:
        raise SecretError(f"is over {most >> 10} KiB")
    return content
