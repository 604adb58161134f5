"""The archive of a package: a zip that follows from names and contents alone, so that equal content has an equal digest. Pure.

Nothing is compressed: another release of zlib could do that differently, and nothing can grow when it is unpacked.
"""

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from flotilla.schemas.package import MOST_BYTES

MOST_FILES: Final = 2_000
_LONGEST_NAME: Final = 240
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_PLAIN_FILE: Final = 0o100644 << 16
_NEVER_PACKED: Final = frozenset({"__pycache__", "node_modules", "venv"})
_OURS: Final = frozenset({"flotilla", "engine_sidecar", "nautilus_trader"})
_TESTS: Final = frozenset({"tests", "test", "conftest"})
_NEVER_RUN: Final = _TESTS | {"setup", "__main__", "__init__"}
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    UnicodeDecodeError,
)
SOURCES: Final = "src"
"""A folder at the top that holds the modules, where a project has one."""


class ArchiveError(ValueError):
    """What is no package, or none that is taken; the text names the file."""


def digest_of(archive: bytes | bytearray) -> str:
    """The SHA-256 that names the archive."""
    return hashlib.sha256(archive).hexdigest()


def is_left_out(path: str) -> bool:
    """True for what is no part of a package: hidden files, caches and environments."""
    parts = PurePosixPath(path).parts
    return any(part.startswith(".") or part in _NEVER_PACKED for part in parts) or path.endswith(
        (".pyc", ".pyo")
    )


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files, contents by relative POSIX path. Raises ArchiveError for what no package may hold."""
    _check(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = _UNIX, _PLAIN_FILE
            archive.writestr(info, files[name])
    packed = buffer.getvalue()
    if len(packed) > MOST_BYTES:
        raise ArchiveError(_too_large(len(packed)))
    return packed


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files of an archive. Raises ArchiveError for one that `pack` would not have made of them."""
    if len(archive) > MOST_BYTES:
        raise ArchiveError(_too_large(len(archive)))
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = opened.infolist()
            _check_entries(entries)
            files = {each.filename: opened.read(each) for each in entries}
    except _UNREADABLE as error:
        raise ArchiveError(f"the archive cannot be read: {error}") from None
    # Whatever else a zip can say - links, modes, two files of one name, bytes between them - is not said by ours.
    if pack(files) != archive:
        raise ArchiveError("the archive is not as `flotilla package push` makes it")
    return files


def contents(archive: bytes) -> dict[str, bytes]:
    """The files of an archive that was unpacked before, by whatever rules there were for names then. Raises ArchiveError for what cannot be
    read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries, left = opened.infolist(), len(archive)
            for each in entries:
                _require_plain(each, left)
                left -= each.file_size
            return {each.filename: opened.read(each) for each in entries}
    except _UNREADABLE as error:
        raise ArchiveError(f"the archive cannot be read: {error}") from None


def archive_file(archive: bytes, name: str) -> bytes | None:
    """One file of an archive, None where there is none of this name. Raises ArchiveError for what is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if name not in opened.namelist():
                return None
            _require_plain(opened.getinfo(name), len(archive))
            return opened.read(name)
    except _UNREADABLE as error:
        raise ArchiveError(f"the archive cannot be read: {error}") from None


def module_root(files: Iterable[str]) -> str:
    """The folder of the archive that modules are imported from: `src` where there is one that is no package itself, else the top."""
    names = set(files)
    has_sources = any(name.startswith(f"{SOURCES}/") and name.endswith(".py") for name in names)
    return SOURCES if has_sources and f"{SOURCES}/__init__.py" not in names else ""


def modules_of(files: Iterable[str]) -> list[str]:
    """The modules to look for strategies in, sorted: all but tests, and what starts or installs a program."""
    names = set(files)
    root = module_root(names)
    found = []
    for name in names:
        path = PurePosixPath(name)
        if path.suffix != ".py" or not _is_below(path, root):
            continue
        parts = list(path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts and all(part.isidentifier() for part in parts) and not _is_no_strategy(parts):
            found.append(".".join(parts))
    return sorted(found)


def top_names(files: Iterable[str]) -> set[str]:
    """The names that an `import` finds in the package first, tests left out."""
    return {module.partition(".")[0] for module in modules_of(files)}


def importable_names(files: Iterable[str]) -> set[str]:
    """All names at the top that an `import` can find where the package runs, modules that look like tests among them."""
    return {top for top in _tops(files).values() if top.isidentifier() and top not in _NEVER_RUN}


def never_run(files: Iterable[str]) -> set[str]:
    """The modules at the top that most projects have and no strategy is of, such as `tests`: two packages may have them, so they are
    left behind where packages run.
    """
    return {name for name, top in _tops(files).items() if top in _NEVER_RUN}


def _tops(files: Iterable[str]) -> dict[str, str]:
    """Of each module by its path: what an `import` of it begins with. A folder needs no `__init__.py` for that."""
    names = set(files)
    root = module_root(names)
    paths = [path for path in map(PurePosixPath, names) if path.suffix == ".py" and _is_below(path, root)]
    return {str(path): path.relative_to(root).parts[0].removesuffix(".py") for path in paths}


def _check(files: Mapping[str, bytes]) -> None:
    if len(files) > MOST_FILES:
        raise ArchiveError(f"it has {len(files)} files, and a package at most {MOST_FILES}")
    total = 0
    for name in sorted(files):
        _check_name(name)
        total += len(files[name])
        if total > MOST_BYTES:
            raise ArchiveError(f"{name}: with it the package is too large: {_too_large(total)}")
    _check_folders(files)
    if not modules_of(files):
        raise ArchiveError("there is no Python module in it; tests, setup.py and __main__.py do not count")
    for name in sorted(top_names(files)):
        if name in _OURS or name in sys.stdlib_module_names:
            whose = "one of Python's own" if name in sys.stdlib_module_names else "in use by every engine"
            raise ArchiveError(f"{name}: a module of this name is {whose}; rename it")


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or str(path) != name or "\\" in name:
        raise ArchiveError(f"{name!r} is no plain path within the package")
    if len(name) > _LONGEST_NAME:
        raise ArchiveError(f"{name[:60]}…: the path is longer than {_LONGEST_NAME} characters")
    if not name.isprintable() or any("\ud800" <= char <= "\udfff" for char in name):
        raise ArchiveError(f"{name!r}: the name is not printable text in UTF-8")
    if is_left_out(name):
        raise ArchiveError(f"{name}: hidden files and caches are no part of a package")


def _check_folders(files: Iterable[str]) -> None:
    names = set(files)
    for name in sorted(names):
        for parent in PurePosixPath(name).parents:
            if str(parent) in names:
                raise ArchiveError(f"{parent} is a file, and a folder for {name}")


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_FILES:
        raise ArchiveError(f"it has {len(entries)} files, and a package at most {MOST_FILES}")
    total = 0
    for entry in entries:
        _check_name(entry.filename)
        total += entry.file_size
        if entry.compress_type != zipfile.ZIP_STORED or total > MOST_BYTES:
            raise ArchiveError(f"{entry.filename}: it is compressed, or larger than it may be")
        if entry.external_attr != _PLAIN_FILE:
            raise ArchiveError(f"{entry.filename}: it is a link, a folder, or no plain file")


def _require_plain(entry: zipfile.ZipInfo, most: int) -> None:
    """Nothing can grow when it is read."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most:
        raise ArchiveError(f"{entry.filename}: it is compressed, or says to be larger than the archive")


def _is_below(path: PurePosixPath, root: str) -> bool:
    return not root or path.parts[0] == root


def _is_no_strategy(parts: list[str]) -> bool:
    last = parts[-1]
    return (
        parts[0] in _TESTS
        or "tests" in parts
        or last in {"setup", "__main__"}
        or last.startswith("test_")
        or last.endswith("_test")
    )


def _too_large(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB, and a package may have {MOST_BYTES >> 20} MiB"
