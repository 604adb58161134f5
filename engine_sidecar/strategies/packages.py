"""Packages within a process of NautilusTrader: unpacked into a folder of its own, and found by `import` after all else."""

import importlib
import shutil
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

from flotilla.engine_sidecar.link.own_folders import make_folder
from flotilla.schemas.package_archive import ArchiveError, digest_of, module_root, top_names, unpack


class OpenPackages:
    """The packages of this process. They end with it: what is imported cannot be taken back."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._roots: dict[str, Path] = {}

    def add(self, archives: Iterable[bytes]) -> None:
        """Has the modules of these archives be found; one that is there already changes nothing.

        Raises ArchiveError for what is no package, and for one with a module that something else has the name of, such as another
        version of it.
        """
        for archive in archives:
            if (digest := digest_of(archive)) not in self._roots:
                self._add(digest, unpack(archive))

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that modules are imported from."""
        return tuple(self._roots.values())

    def close(self) -> None:
        """Removes the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, digest: str, files: dict[str, bytes]) -> None:
        root = self._written(digest, files)
        # At the end: nothing of Python's or ours is to be replaced by a file of theirs.
        sys.path.append(str(root))
        importlib.invalidate_caches()
        try:
            for name in sorted(top_names(files)):
                _require_own(name, root)
        except ArchiveError:
            sys.path.remove(str(root))
            raise
        self._roots[digest] = root

    def _written(self, digest: str, files: dict[str, bytes]) -> Path:
        if self._folder is None:
            self._folder = make_folder()
        home = self._folder / digest[:16]
        for name, content in files.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return home / module_root(files)


def _require_own(name: str, root: Path) -> None:
    """Raises ArchiveError unless `import name` finds the package's own module."""
    spec = PathFinder.find_spec(name)
    places = (
        [spec.origin] if spec and spec.origin else list(spec.submodule_search_locations or ()) if spec else []
    )
    if name in sys.modules or not any(Path(place).is_relative_to(root) for place in places if place):
        raise ArchiveError(
            f"{name}: a module of this name is there already, of what is installed, of another package or of another version of it"
        )
