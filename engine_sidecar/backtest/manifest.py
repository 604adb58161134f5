"""What a run depended on: versions, the sources of its strategies, and every catalog file that it reads, by hash."""

import hashlib
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flotilla.engine_sidecar.backtest.feeding import data_set
from flotilla.engine_sidecar.backtest.sources import import_strategies
from flotilla.engine_sidecar.replay.streams import files_of
from flotilla.schemas.backtest import CatalogFile, Manifest, TrialJob, TrialPlan
from flotilla.schemas.catalog import folder_name


def manifest_of(order: TrialJob, catalog: Path, *, host: str, image: str) -> Manifest:
    """The manifest of a run that begins now. Raises TrialRefusedError when a strategy cannot be imported."""
    return Manifest(
        plan=order.plan,
        nautilus_version=version("nautilus_trader"),
        flotilla_version=version("flotilla"),
        image=image,
        host=host,
        python=platform.python_version(),
        strategy_sources=import_strategies(path.partition(":")[0] for path in _paths(order.plan.strategies)),
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


def _paths(strategies: tuple[dict[str, Any], ...]) -> Iterator[str]:
    for strategy in strategies:
        for key in ("strategy_path", "config_path"):
            if isinstance(path := strategy.get(key), str):
                yield path
