"""Templates as JSON files: `<folder>/{engines,strategies,venues}/<name>.json`. Names never become paths: folders are listed."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.catalog import TemplateFault
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.orchestrator.templates.core.loading import MAX_BYTES, load
from flotilla.services.orchestrator.templates.core.templates import (
    EngineTemplate,
    Kind,
    StrategyTemplate,
    TemplateSet,
)
from flotilla.services.orchestrator.templates.core.venues import VenueTemplate

log = get_logger(__name__)

_FOLDERS: Final[dict[Kind, str]] = {"engine": "engines", "strategy": "strategies", "venue": "venues"}
_TYPES: Final[dict[Kind, Any]] = {
    "engine": EngineTemplate,
    "strategy": StrategyTemplate,
    "venue": VenueTemplate,
}
_MAX_FILES: Final = 1_000

type _Stamp = tuple[tuple[str, int, int, int], ...]


class _File(msgspec.Struct, frozen=True):
    """A file that should hold a template; `root` is the folder that it must not lead out of."""

    kind: Kind
    path: Path
    root: Path
    is_ours: bool


class TemplateFiles:
    """The templates below some folders, the first being ours: a later one may add names and replaces none.

    What is no sound template is told as a fault, and served never. Changes are seen at the next reading. `modules` are those that
    strategies may come from which no template names.
    """

    def __init__(self, folders: Sequence[Path], modules: Sequence[str] = ()) -> None:
        self._folders = tuple(folders)
        self._modules = tuple(modules)
        self._stamp: _Stamp | None = None
        self._shelf = TemplateSet()
        self._lock = asyncio.Lock()

    async def template_set(self) -> TemplateSet:
        """Every sound template. Raises FaultError `unavailable` when our own folder cannot be read."""
        try:
            async with self._lock:
                await asyncio.to_thread(self._refresh)
        except OSError as error:
            log.warning("templates cannot be read", error=repr(error))
            raise fault(FaultCode.UNAVAILABLE, "the templates cannot be read", retry_after_s=5.0) from error
        return self._shelf

    def _refresh(self) -> None:
        faults: list[TemplateFault] = []
        files = [file for index in range(len(self._folders)) for file in self._list(index, faults)]
        stamp = (*(_stamp(file.path) for file in files), *((each.file, 0, 0, 0) for each in faults))
        if stamp == self._stamp:
            return
        self._shelf = msgspec.structs.replace(_shelf(files, faults), modules=self._modules)
        self._stamp = stamp
        for each in self._shelf.faults:
            log.warning("template is not served", file=each.file, problem=each.message)

    def _list(self, index: int, faults: list[TemplateFault]) -> Iterator[_File]:
        """The files of one folder that should be templates. Only our own has to be there, with engines in it."""
        root = self._folders[index]
        if index == 0:
            os.listdir(root / _FOLDERS["engine"])
        elif not root.is_dir():
            faults += [_fault(kind, root, "there is no such folder") for kind in _FOLDERS]
            return
        for kind, folder in _FOLDERS.items():
            try:
                names = sorted(os.listdir(root / folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                faults.append(_fault(kind, root / folder, _why(error)))
                continue
            named = [name for name in names if name.lower().endswith(".json")]
            if len(named) > _MAX_FILES:
                faults.append(_fault(kind, root / folder, f"only the first {_MAX_FILES} files are read"))
            yield from (_File(kind, root / folder / name, root, index == 0) for name in named[:_MAX_FILES])


def _shelf(files: Sequence[_File], faults: Sequence[TemplateFault]) -> TemplateSet:
    loaded: dict[Kind, dict[str, Any]] = {kind: {} for kind in _FOLDERS}
    digests: dict[tuple[Kind, str], str] = {}
    found = list(faults)
    taken: dict[tuple[Kind, str], _File] = {}
    for file in files:
        name = file.path.name[: -len(".json")]
        first = taken.setdefault((file.kind, name), file)
        if first.root != file.root:
            whose = "one of ours" if first.is_ours else "one in a folder before it"
            found.append(_fault(file.kind, file.path, f"its name, {name}, is that of {whose}"))
            continue
        try:
            raw = _read(file)
            loaded[file.kind][name] = load(raw, _TYPES[file.kind], name)
            digests[file.kind, name] = hashlib.sha256(raw).hexdigest()
        except (ValueError, OSError) as error:
            found.append(_fault(file.kind, file.path, _why(error)))
    return TemplateSet(
        engines=loaded["engine"],
        strategies=loaded["strategy"],
        venues=loaded["venue"],
        faults=tuple(found),
        digests=digests,
        ours=frozenset((file.kind, file.path.stem) for file in files if file.is_ours),
    )


def _read(file: _File) -> bytes:
    """The file's bytes, one more than a template may have at most. Raises ValueError for what is no plain file of its folder."""
    if not file.path.name.endswith(".json"):
        raise ValueError("its name does not end in .json")
    if not file.path.resolve().is_relative_to(file.root.resolve()):
        raise ValueError("it leads out of its folder")
    # A pipe would keep us waiting for a writer.
    with os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ValueError("it is no plain file")
        return opened.read(MAX_BYTES + 1)


def _stamp(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino


def _fault(kind: Kind, path: Path, message: str) -> TemplateFault:
    """A fault that names the file without telling where on this machine it is."""
    return TemplateFault(file="/".join(path.parts[-3:]), kind=kind, message=message)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or repr(error)) if isinstance(error, OSError) else str(error)
