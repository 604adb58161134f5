"""Packages within a process of NautilusTrader: unpacked into a folder of its own, and found by `import` after all else."""

import importlib
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from itertools import chain, repeat
from pathlib import Path

from flotilla.engine_sidecar.link.own_folders import make_folder
from flotilla.engine_sidecar.strategies.wheels import OpenWheels
from flotilla.schemas.package import too_much
from flotilla.schemas.package_archive import (
    ArchiveError,
    digest_of,
    importable_names,
    module_root,
    never_run,
    unpack,
)
from flotilla.schemas.wheel import wheels_of


class UnpackingError(Exception):
    """The files of a package cannot be written here, which is no fault of the package; the text says why."""


class OpenPackages:
    """The packages of this process. They end with it: what is imported cannot be taken back."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._roots: dict[str, Path] = {}
        self._sizes: tuple[tuple[str, int], ...] = ()
        self._owners: dict[str, str] = {}
        self._wheels = OpenWheels()

    def add(self, archives: Iterable[bytes], labels: Iterable[str] = (), wheels: str = "") -> None:
        """Has the modules of these archives be found, which messages call by their labels; one that is there already changes nothing.
        `wheels` is the folder that the wheels which they need were unpacked into.

        Raises ArchiveError for what is no package, for more than a process takes, and for one with a module that something else has
        the name of, such as another version of it; UnpackingError where its files cannot be written. What is refused leaves nothing.
        """
        for archive, label in zip(archives, chain(labels, repeat("")), strict=False):
            if (digest := digest_of(archive)) not in self._roots:
                self._add(digest, archive, label or f"package {digest[:12]}", Path(wheels))

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that modules are imported from."""
        return tuple(self._roots.values())

    @property
    def folder(self) -> Path | None:
        """Where their files are, those that are no modules too; None before there is one."""
        return self._folder

    def close(self) -> None:
        """Removes the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, digest: str, archive: bytes, label: str, folder: Path) -> None:
        sizes = (*self._sizes, (label, len(archive)))
        if text := too_much(sizes):
            raise ArchiveError(text)
        files = unpack(archive)
        names = importable_names(files)
        for name in sorted(names):
            self._require_free(name, label, files)
        taken = self._owners | dict.fromkeys(names, label)
        try:
            wheels = self._wheels.to_add(wheels_of(files), label, folder, taken)
        except OSError as error:
            raise UnpackingError(
                f"a wheel that {label} needs was not unpacked on this host: {error}"
            ) from error
        root = self._written(digest, files, label)
        # At the end: nothing of Python's or ours is to be replaced by a file of theirs.
        sys.path.append(str(root))
        self._roots[digest], self._sizes = root, sizes
        self._owners = taken
        self._wheels.add(wheels)
        importlib.invalidate_caches()

    def _require_free(self, name: str, label: str, files: Mapping[str, bytes]) -> None:
        """Raises ArchiveError where `import name` finds something else; folders of one name without `__init__.py` would be merged."""
        if (owner := self._owners.get(name) or self._wheels.owners.get(name)) is not None:
            raise ArchiveError(
                f"{name}: {label} has a module of this name, and so has {owner}, which is in this process already; "
                + (
                    "it is another version of it, and one process has one"
                    if owner.partition("@")[0] == label.partition("@")[0]
                    else "rename it in one of them, or run them apart"
                )
            )
        found = PathFinder.find_spec(name)
        # Python goes past a folder without `__init__.py`, such as the project beside which a fleet runs, to a module.
        is_hidden = found is not None and (found.origin is not None or not _is_module(name, files))
        if name in sys.modules or is_hidden:
            raise ArchiveError(
                f"{name}: a module of this name is there already, of what is installed; rename it"
            )

    def _written(self, digest: str, files: Mapping[str, bytes], label: str) -> Path:
        left_behind = never_run(files)
        home = None
        try:
            if self._folder is None:
                self._folder = make_folder()
            home = self._folder / digest[:16]
            for name in files.keys() - left_behind:
                path = home / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files[name])
        except OSError as error:
            if home is not None:
                shutil.rmtree(home, ignore_errors=True)
            raise UnpackingError(
                f"{label} cannot be unpacked on this host: {error.strerror or error}"
            ) from error
        return home / module_root(files)


def _is_module(name: str, files: Mapping[str, bytes]) -> bool:
    root = Path(module_root(files))
    return any(str(root / path) in files for path in (f"{name}.py", f"{name}/__init__.py"))
