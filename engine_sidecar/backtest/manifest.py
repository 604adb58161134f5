"""What a run depended on: versions, the sources of its strategies, and every catalog file that it reads, by hash."""

import hashlib
import importlib
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from flotilla.engine_sidecar.backtest.building import TrialRefusedError
from flotilla.engine_sidecar.backtest.feeding import data_sets
from flotilla.engine_sidecar.public_names import public_name
from flotilla.engine_sidecar.replay.streams import files_of
from flotilla.schemas.backtest import CatalogFile, Manifest, TrialJob, TrialPlan
from flotilla.schemas.catalog import folder_name, has_events
from flotilla.schemas.code_changes import code_digest

_MODELS: Final = ("fill_model", "fee_model", "latency_model", "margin_model")
_PATHS: Final = (
    "strategy_path",
    "actor_path",
    "exec_algorithm_path",
    "fill_model_path",
    "fee_model_path",
    "latency_model_path",
    "model_type",
    "config_path",
)


class Sources(NamedTuple):
    """What was imported, by module: the SHA-256 of the source, and of the code in it without comments, docstrings and formatting."""

    digests: dict[str, str]
    code: dict[str, str]

    def take(self, name: str, source: bytes) -> None:
        """Notes a module."""
        self.digests[name] = hashlib.sha256(source).hexdigest()
        self.code[name] = code_digest(source)


def import_strategies(modules: Iterable[str], wheels: str = "") -> Sources:
    """Imports modules in this process, which runs one trial.

    What they import is told too, but for what is installed, Python's own modules and packages, and for what is below the folder `wheels`,
    which the digest of a package covers. Raises TrialRefusedError.
    """
    found = Sources({}, {})
    _take_sources(found, (*_installed(), *([Path(wheels).resolve()] if wheels else [])))
    for name in sorted(set(modules)):
        try:
            module = importlib.import_module(name)
        except Exception as error:
            raise TrialRefusedError(f"{name}: {type(error).__name__}: {error}") from error
        if name not in found.digests:
            file = getattr(module, "__file__", None)
            found.digests[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    return Sources(dict(sorted(found.digests.items())), dict(sorted(found.code.items())))


def _take_sources(sources: Sources, installed: Sequence[Path]) -> None:
    """From here on modules outside of what is installed come from their source; `sources` gets what of."""

    def load(name: str, path: str) -> SourceFileLoader:
        return _FromSource(name, path, sources)

    def find(path: str) -> FileFinder:
        if not Path(path or ".").is_dir() or _is_below(path, installed):
            raise ImportError(path=path)
        return FileFinder(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (load, SOURCE_SUFFIXES),  # type: ignore[arg-type]  # any callable will do
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    sys.path_hooks.insert(0, find)
    # Also what the process that we were forked from knew of folders.
    sys.path_importer_cache.clear()


class _FromSource(SourceFileLoader):
    """Neither takes a .pyc nor leaves one."""

    def __init__(self, name: str, path: str, sources: Sources) -> None:
        super().__init__(name, path)
        self._sources = sources

    def path_stats(self, path: str) -> dict[str, float]:
        """Not known, so that there is nothing that a .pyc could be compared with."""
        raise OSError(f"{path} is read each time")

    def get_data(self, path: str) -> bytes:
        """What is compiled next."""
        data = super().get_data(path)
        if path == self.path:
            self._sources.take(public_name(self.name), data)
        return data


def _installed() -> Sequence[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in names})


def _is_below(path: str, folders: Sequence[Path]) -> bool:
    whole = Path(path).resolve()
    return any(whole.is_relative_to(folder) for folder in folders)


def manifest_of(job: TrialJob, catalog: Path, *, host: str, image: str, wheels: str = "") -> Manifest:
    """The manifest of a run that begins now. Raises TrialRefusedError when a strategy, or what runs beside it, cannot be imported."""
    sources = import_strategies((path.partition(":")[0] for path in _paths(job.plan)), wheels)
    return Manifest(
        plan=job.plan,
        nautilus_version=version("nautilus_trader"),
        flotilla_version=version("flotilla"),
        image=image,
        host=host,
        python=platform.python_version(),
        strategy_sources=sources.digests,
        strategy_code=sources.code,
        files=tuple(catalog_file(catalog, file) for file in sorted({*_files(job.plan, catalog)})),
        seed=job.seed,
    )


def _files(plan: TrialPlan, catalog: Path) -> Iterator[Path]:
    for data in data_sets(plan):
        yield from files_of(catalog, data, plan.start_ns, plan.end_ns)
    for instrument in plan.instruments:
        for kind in catalog.glob("data/*"):
            folder = kind / folder_name(instrument)
            if not has_events(kind.name) and folder.is_dir():
                yield from folder.glob("*.parquet")


def catalog_file(catalog: Path, file: Path) -> CatalogFile:
    """A file of the catalog, read now."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return CatalogFile(path=str(file.relative_to(catalog)), size_bytes=file.stat().st_size, sha256=digest)


def _paths(plan: TrialPlan) -> Iterator[str]:
    """Every class that the plan names, of strategies and of what runs beside them."""
    yield from (data.path for data in plan.custom)
    modules = (module for venue in plan.venues for module in venue.get("modules", ()))
    models = (venue[field] for venue in plan.venues for field in _MODELS if _is_own(venue.get(field)))
    beside = (plan.engine.get(name, ()) for name in ("actors", "exec_algorithms"))
    for importable in (*plan.strategies, *chain.from_iterable(beside), *modules, *models):
        for key in _PATHS:
            if isinstance(path := importable.get(key), str):
                yield path


def _is_own(model: Mapping[str, Any] | None) -> bool:
    """False for those of NautilusTrader, whose version says what they are: its margin models go by a word."""
    paths = [str(model[key]) for key in _PATHS[:-1] if key in model] if model else []
    return any(":" in path and not path.startswith("nautilus_trader.") for path in paths)
