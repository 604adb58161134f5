"""What people import and type: a typed client, the command line, and the stack that `flotilla up` runs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flotilla.client.client import Flotilla
    from flotilla.client.sync import SyncFlotilla
    from flotilla.state.errors import BacktestFailedError, EngineFailedError

__all__ = ["BacktestFailedError", "EngineFailedError", "Flotilla", "SyncFlotilla"]

_HOMES = {
    "Flotilla": "flotilla.client.client",
    "BacktestFailedError": "flotilla.state.errors",
    "EngineFailedError": "flotilla.state.errors",
    "SyncFlotilla": "flotilla.client.sync",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the command line answers `--help` without the bus.
    import importlib  # noqa: PLC0415

    if name not in _HOMES:
        raise AttributeError(f"module 'flotilla' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
