"""The file of a backup: a ZIP archive with a dump of the record and what is to be known of it."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import IO, Final

import msgspec

from flotilla.bus.places import Reader
from flotilla.state.errors import StackError

FORMAT: Final = 1
DUMP: Final = "record.dump"
_MANIFEST: Final = "manifest.json"
_LARGEST_MANIFEST: Final = 16 << 20
_PIECE: Final = 1 << 20
_PACKAGES: Final = {
    "public": "flotilla.services.orchestrator.adapters.migrations",
    "notifier": "flotilla.services.notifier.adapters.migrations",
}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. `steps` are the migrations that its schemas have had, `rows` the rows of each table.

    `readers` is where the streams' consumers stood just before: nothing up to there is missing from the record.
    """

    format: int
    flotilla: str
    at: datetime
    steps: dict[str, list[str]]
    rows: dict[str, int]
    readers: tuple[Reader, ...]
    bytes: int
    sha256: str

    @property
    def schema(self) -> str:
        """The last migration of each schema, for people."""
        return ", ".join(f"{name} {steps[-1]}" for name, steps in sorted(self.steps.items()) if steps)


def file_name(now: datetime) -> str:
    """The default name of a backup."""
    return f"flotilla-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.backup"


def this_version() -> str:
    """That of this program."""
    return version("flotilla")


def known_steps() -> dict[str, list[str]]:
    """The migrations that this version has, by schema."""
    return {
        schema: sorted(one.name for one in resources.files(package).iterdir() if one.name.endswith(".sql"))
        for schema, package in _PACKAGES.items()
    }


def refuse_newer(manifest: Manifest) -> None:
    """Raises StackError for a backup of a newer schema than this version knows."""
    known = known_steps()
    for schema, steps in manifest.steps.items():
        newer = sorted(set(steps) - set(known.get(schema, ())))
        if newer:
            last = (known.get(schema) or ["none"])[-1]
            raise StackError(
                f"the backup's schema is newer than this version of Flotilla: it has {newer[-1]}, and {this_version()}"
                f" knows {last} as its last; the backup is of {manifest.flotilla}",
                f"restore it with Flotilla {manifest.flotilla} or newer",
            )


def read_manifest(path: Path) -> Manifest:
    """What a file says of itself. Raises StackError for one that is no backup, or is cut."""
    with _opened(path) as archive:
        return _manifest(path, archive)


def verify(path: Path) -> Manifest:
    """The same, once every byte of the dump was held against it. Raises StackError."""
    with _opened(path) as archive:
        found = _manifest(path, archive)
        digest, size = hashlib.sha256(), 0
        try:
            with archive.open(DUMP) as dump:
                while piece := dump.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
        except (KeyError, zipfile.BadZipFile, EOFError) as error:
            raise _broken(path, str(error)) from None
        if (size, digest.hexdigest()) != (found.bytes, found.sha256):
            raise _broken(path, "its record is not the one that was written")
        return found


@contextmanager
def opened_dump(path: Path) -> Iterator[IO[bytes]]:
    """The dump within a backup."""
    with _opened(path) as archive, archive.open(DUMP) as dump:
        yield dump


class BackupWriter:
    """Writes the dump into a new file, piece by piece, and at the end what is to be known of it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._dump = archive.open(DUMP, "w", force_zip64=True)
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, piece: bytes) -> None:
        """Takes a piece of the dump."""
        self._dump.write(piece)
        self._digest.update(piece)
        self.bytes += len(piece)

    def close(self, manifest: Manifest) -> Manifest:
        """Completes it. The manifest gets size and digest."""
        self._dump.close()
        whole = msgspec.structs.replace(manifest, bytes=self.bytes, sha256=self._digest.hexdigest())
        self._archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(whole)))
        return whole


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except OSError as error:
        raise StackError(f"{path} cannot be read: {error.strerror}", "name the file of a backup") from None
    except zipfile.BadZipFile:
        raise _broken(path, "it is cut, or something else") from None


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        if archive.getinfo(_MANIFEST).file_size > _LARGEST_MANIFEST:
            raise _broken(path, "what it says of itself is too long")
        text = archive.read(_MANIFEST)
        known = msgspec.json.decode(text, type=_Format)
        if known.format != FORMAT:
            what = f"{path} is a backup of format {known.format}, and {this_version()} knows {FORMAT}"
            raise StackError(what, f"use Flotilla {known.flotilla}")
        return msgspec.json.decode(text, type=Manifest)
    except KeyError:
        raise _broken(path, "it does not say what it is") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise _broken(path, str(error)) from None


class _Format(msgspec.Struct):
    format: int
    flotilla: str = "another version"


def _broken(path: Path, why: str) -> StackError:
    return StackError(f"{path} is no whole backup of Flotilla: {why}", "take another one")
