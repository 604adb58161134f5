"""The wheels of a process of NautilusTrader: put on the import path behind all else, where they replace nothing."""

import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import NamedTuple

from flotilla.schemas.package import Wheel
from flotilla.schemas.package_archive import ArchiveError


class Tops(NamedTuple):
    """What an `import` finds at the top of a wheel: modules and folders with `__init__.py`, and folders without, which Python merges."""

    regular: frozenset[str]
    spaces: frozenset[str]


class OpenWheels:
    """The wheels whose folders are on the path, each with the package that came with it first."""

    def __init__(self) -> None:
        self._there: dict[str, tuple[Wheel, str]] = {}
        self._owners: dict[str, str] = {}
        self._spaces: set[str] = set()

    @property
    def owners(self) -> dict[str, str]:
        """Who has each name at the top."""
        return self._owners

    def to_add(
        self, wheels: Sequence[Wheel], label: str, folder: Path, taken: dict[str, str]
    ) -> "list[Added]":
        """Those that are not there yet, each with its names. `taken` are the modules of packages, by who has them.

        Raises ArchiveError where another package has another wheel of a name, or something else is found by a name at its top.
        """
        found: list[Added] = []
        for wheel in wheels:
            there = self._there.get(wheel.name)
            if there is None:
                found.append(Added(wheel, label, folder / wheel.digest))
            elif there[0].digest != wheel.digest:
                raise ArchiveError(_two_versions(wheel, label, *there))
        owners = {**taken, **self._owners}
        spaces = set(self._spaces)
        for each in found:
            each.require_free(owners, spaces)
            owners |= dict.fromkeys(
                each.tops.regular | each.tops.spaces, f"{each.wheel.label}, a wheel of {label}"
            )
            spaces |= each.tops.spaces
        return found

    def add(self, wheels: "Sequence[Added]") -> None:
        """Has them be found."""
        for each in wheels:
            # At the end: nothing of Python's or ours is to be replaced by a file of theirs.
            sys.path.append(str(each.folder))
            self._there[each.wheel.name] = (each.wheel, each.label)
            owner = f"{each.wheel.label}, a wheel of {each.label}"
            self._owners |= dict.fromkeys(each.tops.regular | each.tops.spaces, owner)
            self._spaces |= each.tops.spaces


class Added:
    """A wheel that is to be on the path. Raises FileNotFoundError where it was not unpacked."""

    def __init__(self, wheel: Wheel, label: str, folder: Path) -> None:
        self.wheel, self.label, self.folder = wheel, label, folder
        self.tops = tops_in(folder)

    def require_free(self, owners: dict[str, str], spaces: set[str]) -> None:
        """Raises ArchiveError for a name at the top by which an `import` finds something else."""
        for name in sorted(self.tops.regular | self.tops.spaces):
            is_space = name in self.tops.spaces
            if (owner := owners.get(name)) is not None and not (is_space and name in spaces):
                raise ArchiveError(f"{name}: {self._said} has a module of this name, and so has {owner}")
            found = PathFinder.find_spec(name)
            if _is_hidden(found, is_space=is_space) or (name in sys.modules and not is_space):
                raise ArchiveError(
                    f"{name}: {self._said} has a module of this name, which is there already, of what is installed: a wheel "
                    "replaces nothing"
                )

    @property
    def _said(self) -> str:
        return f"{self.wheel.label}, which {self.label} needs,"


def tops_in(folder: Path) -> Tops:
    """The names at the top of an unpacked wheel."""
    regular: set[str] = set()
    spaces: set[str] = set()
    for path in folder.iterdir():
        name = path.name.partition(".")[0]
        if path.is_dir():
            if path.name.isidentifier():
                (regular if (path / "__init__.py").exists() else spaces).add(path.name)
        elif path.suffix in (".py", ".so") and name.isidentifier():
            regular.add(name)
    return Tops(frozenset(regular), frozenset(spaces - regular))


def _is_hidden(found: ModuleSpec | None, *, is_space: bool) -> bool:
    """A module or a package hides what is of its name behind it. Folders without `__init__.py` are one, and give way to a package behind
    them: of what is installed they must not.
    """
    if found is None or found.origin is not None:
        return found is not None
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return not is_space and any(
        Path(place).parent == Path(each)
        for place in found.submodule_search_locations or ()
        for each in installed
    )


def _two_versions(wheel: Wheel, label: str, other: Wheel, owner: str) -> str:
    if other.version == wheel.version:
        return f"{label} needs {wheel.file}, and {owner} needs {other.file}: one process has one wheel of {wheel.name}"
    return (
        f"{label} needs {wheel.label}, and {owner} needs {other.label}: one process has one version; make their "
        "requirements agree, or run them apart"
    )
