"""Where wheels are unpacked, each in a folder named by its digest, before a process is forked that imports from them."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.tags import sys_tags

from flotilla.schemas.package import MOST_UNPACKED_BYTES, Wheel
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.wheel_archive import OpenWheel, WheelError

_READ_ONLY: Final = 0o444


class NoRoomError(Exception):
    """Wheels of others that are in use leave too little room; the text says how much there is."""


@dataclass
class _Unpacked:
    size_bytes: int
    users: int = 0


class WheelFolders:
    """Unpacks wheels below a folder of this process: 512 MiB of files at once. In a container nothing that is forked can write there."""

    def __init__(self, within: Path | None = None) -> None:
        """It is made in `within`, else in the system's temporary folder."""
        self._within = within
        self._folder: Path | None = None
        self._there: dict[str, _Unpacked] = {}
        """By digest: two packages may call the same content by two file names. The one that was asked for last is at the end."""

    @property
    def path(self) -> str:
        """The folder that has one of each, named by its digest; empty while there is none."""
        return str(self._folder or "")

    def hold(self, wheel: Wheel) -> bool:
        """Keeps a wheel that is there from going, until `let_go`. False for one that is not there."""
        if (there := self._there.pop(wheel.digest, None)) is None:
            return False
        there.users += 1
        self._there[wheel.digest] = there
        return True

    def let_go(self, wheel: Wheel) -> None:
        """Ends one `hold`. It stays for whoever needs it next, as long as there is room."""
        if (there := self._there.get(wheel.digest)) is not None:
            there.users -= 1

    def unpack(self, wheel: Wheel, data: bytes) -> None:
        """Makes `path/digest` of it, where there is none. Raises ArchiveError for what is not the wheel, or does not run here; NoRoomError;
        OSError. Then nothing is left of what it made.
        """
        opened = OpenWheel(data, wheel.file)
        if opened.as_listed != wheel:
            raise WheelError(
                f"{wheel.file}: it is not what the package says it is: {wheel.label}, {wheel.digest[:12]}"
            )
        require_runnable(opened)
        if wheel.digest in self._there:
            return
        self._make_room(wheel.unpacked_bytes)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flotilla-wheels-", dir=self._within))
        home = self._folder / wheel.digest
        home.mkdir()
        try:
            _write(opened, home)
        except (OSError, ArchiveError):
            shutil.rmtree(home, ignore_errors=True)
            raise
        self._there[wheel.digest] = _Unpacked(wheel.unpacked_bytes)

    def close(self) -> None:
        """Removes them all."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        for digest, there in list(self._there.items()):
            if self._bytes + size > MOST_UNPACKED_BYTES and not there.users:
                del self._there[digest]
                shutil.rmtree(Path(self.path) / digest, ignore_errors=True)
        if self._bytes + size > MOST_UNPACKED_BYTES:
            raise NoRoomError(
                f"the wheels in use here have {self._bytes >> 20} MiB unpacked, and there is room for {MOST_UNPACKED_BYTES >> 20} MiB"
            )

    @property
    def _bytes(self) -> int:
        return sum(each.size_bytes for each in self._there.values())


def require_runnable(wheel: OpenWheel) -> None:
    """Raises WheelError for a wheel of another Python or platform."""
    here = set(sys_tags())
    if not here & wheel.tags:
        ours = next(iter(sys_tags()))
        raise WheelError(
            f"{wheel.file}: it is not for what engines run on here, {ours.interpreter} on {ours.platform}"
        )


def _write(wheel: OpenWheel, home: Path) -> None:
    for name, content in wheel.files():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(_READ_ONLY)
