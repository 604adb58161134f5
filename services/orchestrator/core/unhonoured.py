"""Fields of the REST contract that decide nothing here: what a request says in them is the contract's default, or is refused.

Only requests are held to this. What was stored before with another value is read, shown and started as it is.
"""

from functools import cache
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FieldError, invalid

_WHY: Final = {
    "data_catalog_path": "the catalog is that of the engine's host, and stands where its supervisor says: "
    "FLOTILLA_CATALOG, in containers at FLOTILLA_CATALOG_TARGET",
    "cache_database_path": "what an engine keeps is kept in its host's Redis, see `use_cache_database`",
    "output_path": "results are kept on record: read or export them from there",
    "data_sources": "backtests read the catalog",
}


def refuse_unhonoured(config: EngineConfig | BacktestConfig, at: str = "config") -> None:
    """Raises FaultError `invalid` that names each such field which is not at its default; `at` is where `config` stands."""
    errors = [
        FieldError(f"{at}.{name}", f"must be {msgspec.json.encode(default).decode()}: {_WHY[name]}")
        for name, default in _defaults(type(config))
        if getattr(config, name) != default
    ]
    if errors:
        raise invalid(*errors)


@cache
def _defaults(kind: type[EngineConfig | BacktestConfig]) -> tuple[tuple[str, Any], ...]:
    """Each such field of a kind of config, with its default; to read them off a struct takes long."""
    return tuple((each.name, each.default) for each in msgspec.structs.fields(kind) if each.name in _WHY)
