"""What is in a wheel, read without believing it: names, sizes, its RECORD, its metadata. Pure; nothing of it is run or imported."""

import base64
import binascii
import csv
import hashlib
import io
import stat
import sys
import zipfile
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import Final
from zlib import error as zlib_error

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from flotilla.schemas.package import MOST_UNPACKED_BYTES, Wheel
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.wheel import MOST_WHEEL_FILES

_OURS: Final = frozenset({"flotilla", "engine_sidecar", "nautilus_trader"})
_LEFT_OUT: Final = frozenset({"tests", "test", "conftest", "setup", "__main__", "__init__"})
"""At the top: what wheels bring by mistake, several of one name."""
_UNSIGNED: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")
_LONGEST_NAME: Final = 400
_MOST_METADATA: Final = 4 << 20
_MOST_OF_A_FILE: Final = 128 << 20
"""Each is held in memory as a whole."""
_MODULES: Final = (".py", ".so", ".pyd")
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SITE: Final = ("purelib", "platlib")


class WheelError(ArchiveError):
    """A wheel that is none, or none that is taken; the text names it, and the file in it that is at fault."""


class OpenWheel:
    """A wheel by its content. Raises WheelError for whatever is wrong with it but contents, which `files` compares as it hands them out."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data = data
        self.file = file
        self._parse_name()
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self._entries = self._checked_entries()
            self._hashes = self._record()
            self._read_metadata()
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            EOFError,
            UnicodeDecodeError,
            csv.Error,
            zlib_error,
        ) as error:
            raise self._wrong(f"it cannot be read: {error}") from None
        self._check_names()

    @property
    def as_listed(self) -> Wheel:
        """As a package names it."""
        return Wheel(
            name=self.name,
            version=str(self.version),
            file=self.file,
            digest=hashlib.sha256(self.data).hexdigest(),
            size_bytes=len(self.data),
            unpacked_bytes=sum(entry.file_size for entry in self._entries.values()),
        )

    @property
    def count(self) -> int:
        """How many files it has."""
        return len(self._entries)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The files that are imported and read where it is unpacked, by their paths there. Raises WheelError for one that differs from the
        wheel's RECORD.
        """
        for path, entry in self._paths.items():
            yield path, self._content(entry)

    def require_whole(self) -> None:
        """Raises WheelError where the content of a file is not what its RECORD says."""
        for entry in self._entries.values():
            self._content(entry)

    def _parse_name(self) -> None:
        try:
            self.name, self.version, _, self.tags = parse_wheel_filename(self.file)
        except (InvalidWheelFilename, InvalidVersion) as error:
            raise self._wrong(f"its name is not that of a wheel: {error}") from None

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        total = 0
        for entry in self._zip.infolist():
            self._check_entry(entry)
            if entry.is_dir():
                continue
            if entry.filename in found:
                raise self._wrong(f"{entry.filename} is there twice")
            found[entry.filename] = entry
            total += entry.file_size
            if len(found) > MOST_WHEEL_FILES:
                raise self._wrong(f"it has more than {MOST_WHEEL_FILES} files")
            if entry.file_size > _MOST_OF_A_FILE:
                raise self._wrong(f"{entry.filename}: it has more than {_MOST_OF_A_FILE >> 20} MiB")
            if total > MOST_UNPACKED_BYTES:
                raise self._wrong(
                    f"{entry.filename}: with it there are more than {MOST_UNPACKED_BYTES >> 20} MiB in it"
                )
        return found

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        name = entry.filename.removesuffix("/")
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or str(path) != name or "\\" in name:
            raise self._wrong(f"{entry.filename!r} is no plain path within it")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise self._wrong(
                f"{name[:60]!r}…: the name is not printable, or longer than {_LONGEST_NAME} characters"
            )
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise self._wrong(f"{name} is a link, or no plain file")
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            raise self._wrong(f"{name} is encrypted, or compressed in a way that wheels are not")

    def _record(self) -> dict[str, str]:
        """Of each file, its SHA-256 in the wheel's own writing."""
        self._info = self._info_folder()
        text = self._small(f"{self._info}/RECORD")
        found: dict[str, str] = {}
        for row in csv.reader(io.StringIO(text)):
            if len(row) != 3:
                raise self._wrong(f"{self._info}/RECORD has a line that is none: {','.join(row)[:80]!r}")
            method, _, value = row[1].partition("=")
            if method == "sha256":
                found[row[0]] = value
        unsigned = {f"{self._info}/{each}" for each in _UNSIGNED}
        for name in sorted(self._entries.keys() - unsigned):
            if name not in found:
                raise self._wrong(f"{name}: {self._info}/RECORD has no SHA-256 of it")
        if gone := sorted(found.keys() - self._entries.keys()):
            raise self._wrong(f"{gone[0]}: {self._info}/RECORD names it, and it is not there")
        return found

    def _info_folder(self) -> str:
        folders = {
            path.parts[0]
            for path in map(PurePosixPath, self._entries)
            if len(path.parts) > 1 and path.parts[0].endswith(".dist-info")
        }
        if len(folders) != 1:
            raise self._wrong(f"it has {len(folders)} folders .dist-info, and a wheel has one")
        (folder,) = folders
        named = folder.removesuffix(".dist-info").rpartition("-")
        if canonicalize_name(named[0]) != self.name or not _is_version(named[2], self.version):
            raise self._wrong(f"{folder} is of something else than {self.name} {self.version}")
        return folder

    def _read_metadata(self) -> None:
        headers = dict(
            line.partition(": ")[::2]
            for line in self._small(f"{self._info}/WHEEL").splitlines()
            if ": " in line
        )
        if not headers.get("Wheel-Version", "").startswith("1."):
            raise self._wrong(f"{self._info}/WHEEL: Wheel-Version is {headers.get('Wheel-Version')!r}, not 1")
        raw, _ = parse_email(self._small(f"{self._info}/METADATA"))
        name, version = raw.get("name", ""), raw.get("version", "")
        if canonicalize_name(name) != self.name or not _is_version(version, self.version):
            raise self._wrong(f"{self._info}/METADATA says to be of {name or 'nothing'} {version}".rstrip())
        try:
            self.requires = tuple(Requirement(each) for each in raw.get("requires_dist", []))
            self.python = SpecifierSet(raw.get("requires_python", ""))
        except (InvalidRequirement, InvalidSpecifier) as error:
            raise self._wrong(f"{self._info}/METADATA: {error}") from None
        self.extras: frozenset[str] = frozenset(
            canonicalize_name(each) for each in raw.get("provides_extra", [])
        )

    def _check_names(self) -> None:
        self._paths: dict[str, zipfile.ZipInfo] = {}
        for path, entry in self._imported():
            if path in self._paths:
                raise self._wrong(f"{entry.filename}: {path} is there twice")
            self._paths[path] = entry
        for path, entry in self._paths.items():
            for parent in map(str, PurePosixPath(path).parents):
                if parent in self._paths:
                    raise self._wrong(f"{entry.filename}: {parent} is a file, and a folder for {path}")
        tops = {
            path.parts[0].partition(".")[0]
            for path in map(PurePosixPath, self._paths)
            if path.suffix in _MODULES
        }
        for name in sorted(tops):
            if name in _OURS or name in sys.stdlib_module_names:
                whose = "one of Python's own" if name in sys.stdlib_module_names else "in use by every engine"
                raise self._wrong(f"{name}: a module of this name is {whose}, and a wheel replaces nothing")

    def _imported(self) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        """What belongs onto the import path: scripts, headers and data of the whole environment do not."""
        for name, entry in self._entries.items():
            parts = PurePosixPath(name).parts
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in _SITE:
                    continue
                parts = parts[2:]
            if len(parts) == 1 and parts[0].endswith(".pth"):
                raise self._wrong(
                    f"{name}: files .pth run or add to the path whatever they name, and are not taken"
                )
            if parts[0].partition(".")[0] not in _LEFT_OUT and not parts[-1].endswith((".pyc", ".pyo")):
                yield "/".join(parts), entry

    def _small(self, name: str) -> str:
        entry = self._entries.get(name)
        if entry is None:
            raise self._wrong(f"{name} is not there")
        if entry.file_size > _MOST_METADATA:
            raise self._wrong(f"{name} has more than {_MOST_METADATA >> 20} MiB")
        return self._read(entry).decode()

    def _content(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            content = self._read(entry)
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, zlib_error) as error:
            raise self._wrong(f"{entry.filename} cannot be read: {error}") from None
        said = self._hashes.get(entry.filename)
        if said is not None and _digest(said) != hashlib.sha256(content).digest():
            raise self._wrong(f"{entry.filename}: {self._info}/RECORD has another SHA-256 of it")
        return content

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        """All of it, and never more than it says to have: read as a whole, it would be inflated first and measured then."""
        with self._zip.open(entry) as file:
            content = file.read(entry.file_size)
            if file.read(1) or len(content) != entry.file_size:
                raise zipfile.BadZipFile(f"{entry.filename} has another size than it says")
        return content

    def _wrong(self, text: str) -> WheelError:
        return WheelError(f"{self.file}: {text}")


def too_many_files(wheels: Collection[OpenWheel]) -> str | None:
    """What is wrong with these, all of one package, for the number of their files; None when nothing is."""
    count = sum(wheel.count for wheel in wheels)
    if count <= MOST_WHEEL_FILES:
        return None
    return f"its wheels have {count} files, and those of a package {MOST_WHEEL_FILES} at most"


def _is_version(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except InvalidVersion:
        return False


def _digest(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
