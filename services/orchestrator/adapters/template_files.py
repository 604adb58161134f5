"""Templates as JSON files: `engines/<name>.json` and `strategies/<name>.json`. Names never become paths: folders are listed."""

import asyncio
import os
from pathlib import Path
from typing import Any

from bus.logs import get_logger
from schemas.fault import FaultCode, fault
from services.orchestrator.core.templates import EngineTemplate, Shelf, StrategyTemplate, load

log = get_logger(__name__)

type _Stamp = tuple[tuple[str, int, int], ...]


class TemplateFiles:
    """The sound templates below a folder; one that is not sound is logged and left out. Changes are seen at the next reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._shelf = Shelf()

    async def shelf(self) -> Shelf:
        """Every sound template. Raises FaultError `unavailable` when the folder cannot be read."""
        try:
            await asyncio.to_thread(self._refresh)
        except OSError as error:
            log.warning("templates cannot be read", path=str(self._path), error=repr(error))
            raise fault(FaultCode.UNAVAILABLE, "the templates cannot be read", retry_after_s=5.0) from error
        return self._shelf

    def _refresh(self) -> None:
        files = [
            file for kind in ("engines", "strategies") for file in sorted((self._path / kind).glob("*.json"))
        ]
        stats = [(str(file), os.stat(file)) for file in files]
        stamp = tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
        if stamp == self._stamp:
            return
        if not (self._path / "engines").is_dir():
            raise FileNotFoundError(self._path / "engines")
        self._shelf = Shelf(
            engines=_load_all(files, "engines", EngineTemplate),
            strategies=_load_all(files, "strategies", StrategyTemplate),
        )
        self._stamp = stamp


def _load_all(files: list[Path], folder: str, kind: type[Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = {}
    for file in files:
        if file.parent.name == folder:
            try:
                loaded[file.stem] = load(file.read_bytes(), kind, file.stem)
            except ValueError as error:
                log.warning("template is not sound", file=str(file), error=str(error))
    return loaded
