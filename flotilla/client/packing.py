"""From a folder, or one file, to the archive of a package. Reads only; whatever cannot be packed is refused by its name."""

import keyword
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.ids import NAME_PATTERN
from flotilla.schemas.package import MOST_BYTES, Wheel
from flotilla.schemas.package_archive import MOST_FILES, ArchiveError, digest_of, is_left_out, pack
from flotilla.schemas.wheel import WHEELS_FILE, wheels_text

_AT_TOP: Final = frozenset({"pyproject.toml", "requirements.txt"})
_NAME: Final = re.compile(NAME_PATTERN)


class Packed(NamedTuple):
    """A package that is ready to be uploaded."""

    name: str
    archive: bytes
    digest: str


def packed(
    path: Path, name: str | None = None, files: dict[str, bytes] | None = None, wheels: Sequence[Wheel] = ()
) -> Packed:
    """The package in a folder, or a .py file; its name is the one given, else that of its pyproject.toml, else that of folder or file.

    `files` are what `source_files` read of it, `wheels` those that it needs. Raises FaultError `invalid` that names the file at fault.
    """
    found = source_files(path) if files is None else files
    try:
        archive = pack({**found, WHEELS_FILE: wheels_text(wheels)} if wheels else found)
    except ArchiveError as error:
        raise invalid(FieldError("path", f"{path}: {error}")) from None
    chosen = name or _name(found, path)
    require_name(chosen)
    return Packed(chosen, archive, digest_of(archive))


def source_files(path: Path) -> dict[str, bytes]:
    """What belongs to the package, contents by relative path. Raises FaultError likewise."""
    try:
        files = _files(path)
    except ArchiveError as error:
        raise invalid(FieldError("path", f"{path}: {error}")) from None
    except OSError as error:
        raise invalid(FieldError("path", f"{error.filename or path}: {error.strerror}")) from None
    if WHEELS_FILE in files:
        text = f"{path}: {WHEELS_FILE}: a push writes a file of this name: take yours away, or rename it"
        raise invalid(FieldError("path", text))
    return files


def require_name(name: str) -> None:
    """Raises FaultError `invalid` for what cannot be the name of a package."""
    if not _NAME.match(name) or keyword.iskeyword(name):
        text = "cannot name a package: lower case letters, digits and '_', beginning with a letter, at most 63, and no word of Python's"
        raise invalid(FieldError("name", f"{name!r} {text}"))


def _files(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        # A folder that is a Python package itself is packed with its name; what it requires is said at the top of an archive.
        top = f"{path.resolve().name}/" if (path / "__init__.py").exists() else ""
        return _read(top, path)
    if path.suffix != ".py" and path.exists():
        raise ArchiveError("a package is a folder, or one file whose name ends in .py")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ArchiveError("it is no plain file")
    _refuse_large(path.name, path.stat().st_size)
    return {path.name: path.read_bytes()}


def _read(top: str, folder: Path) -> dict[str, bytes]:
    found: dict[str, Path] = {}
    total = 0
    for name, file in _walk(folder):
        found[name] = file
        total += file.stat().st_size
        _refuse_large(name, total)
        if len(found) > MOST_FILES:
            raise ArchiveError(f"{name}: with it the package has more than {MOST_FILES} files")
    return {name if name in _AT_TOP else f"{top}{name}": file.read_bytes() for name, file in found.items()}


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is part of the package, by its relative path. A link could lead anywhere, now or later: none is followed."""
    for where, folders, names in os.walk(folder):
        here = Path(where)
        relative = here.relative_to(folder)
        folders[:] = sorted(each for each in folders if not is_left_out(each))
        for each in folders:
            _refuse_link(relative / each, here / each)
        for each in sorted(names):
            if is_left_out(each):
                continue
            _refuse_link(relative / each, here / each)
            if not stat.S_ISREG((here / each).stat().st_mode):
                raise ArchiveError(f"{relative / each} is no plain file")
            yield (relative / each).as_posix(), here / each


def _refuse_link(relative: Path, path: Path) -> None:
    if path.is_symlink():
        raise ArchiveError(f"{relative} is a link: put what it leads to in its place")


def _refuse_large(name: str, total: int) -> None:
    if total > MOST_BYTES:
        raise ArchiveError(f"{name}: with it the package has more than {MOST_BYTES >> 20} MiB")


def _name(files: dict[str, bytes], path: Path) -> str:
    said = ""
    if (project := files.get("pyproject.toml")) is not None:
        try:
            table = tomllib.loads(project.decode()).get("project", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise invalid(FieldError("path", f"pyproject.toml: it cannot be read: {error}")) from None
        if not isinstance(table, dict):
            raise invalid(FieldError("path", "pyproject.toml: `project` is no table: write [project]"))
        said = str(table.get("name", ""))
    stem = path.resolve().stem if path.suffix == ".py" else path.resolve().name
    if not (name := said or stem).isascii():
        require_name(name)
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
