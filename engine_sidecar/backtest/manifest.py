"""What a run depended on: versions, the sources of its strategies, and every catalog file that it reads, by hash."""

import hashlib
import importlib
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine_sidecar.backtest.building import TrialRefusedError
from engine_sidecar.backtest.feeding import data_set
from engine_sidecar.replay.streams import files_of
from schemas.backtest import CatalogFile, Manifest, TrialOrder, TrialPlan
from schemas.catalog import folder_name


def manifest_of(order: TrialOrder, catalog: Path, *, host: str, image: str) -> Manifest:
    """The manifest of a run that begins now. Raises TrialRefusedError when a strategy cannot be imported."""
    return Manifest(
        plan=order.plan,
        nautilus_version=version("nautilus_trader"),
        flotilla_version=version("flotilla"),
        image=image,
        host=host,
        python=platform.python_version(),
        strategy_sources=dict(_sources(order.plan)),
        files=tuple(_catalog_file(catalog, file) for file in sorted({*_files(order.plan, catalog)})),
        seed=order.seed,
    )


def _files(plan: TrialPlan, catalog: Path) -> Iterator[Path]:
    for data in plan.data:
        yield from files_of(catalog, data_set(data), plan.start_ns, plan.end_ns)
    for instrument in plan.instruments:
        for kind in catalog.glob("data/*"):
            folder = kind / folder_name(instrument)
            if kind.name not in ("bar", "quote_tick", "trade_tick") and folder.is_dir():
                yield from folder.glob("*.parquet")


def _catalog_file(catalog: Path, file: Path) -> CatalogFile:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return CatalogFile(path=str(file.relative_to(catalog)), size_bytes=file.stat().st_size, sha256=digest)


def _sources(plan: TrialPlan) -> Iterator[tuple[str, str]]:
    """The module of each strategy class and config class, and the SHA-256 of its source."""
    names = {path.partition(":")[0] for path in _paths(plan.strategies)}
    for name in sorted(names):
        try:
            importlib.import_module(name)
        except Exception as error:
            raise TrialRefusedError(f"{name}: {type(error).__name__}: {error}") from error
        file = getattr(sys.modules[name], "__file__", None)
        yield name, hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _paths(strategies: tuple[dict[str, Any], ...]) -> Iterator[str]:
    for strategy in strategies:
        for key in ("strategy_path", "config_path"):
            if isinstance(path := strategy.get(key), str):
                yield path
