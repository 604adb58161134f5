"""Makes strategies of plain configs: as NautilusTrader's StrategyFactory does, guarded, and with its traps stepped around."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.common.config import msgspec_encoding_hook, resolve_config_path, resolve_path
from nautilus_trader.trading.config import ImportableStrategyConfig, StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.strategies.guard import guarded

type OnStrategyFault = Callable[[str, str, BaseException], None]


def build_strategy(plan: dict[str, Any], on_fault: OnStrategyFault) -> Strategy:
    """The strategy of `plan` (strategy_path, config_path, config); faults are told as (strategy id, method, error).

    Raises whatever is wrong with the plan: ValueError, ImportError, AttributeError, TypeError, msgspec.ValidationError, or what the
    strategy's own constructor raises.
    """
    importable = msgspec.convert(plan, ImportableStrategyConfig)
    strategy_class = _resolve(importable.strategy_path, resolve_path, Strategy)
    config_class = _resolve(importable.config_path, resolve_config_path, StrategyConfig)
    config = config_class.parse(
        msgspec.json.encode(_without_id(importable.config), enc_hook=msgspec_encoding_hook)
    )
    _check(config)
    built: list[Strategy] = []

    def report(method: str, error: BaseException) -> None:
        if not built:
            raise error  # in its constructor: the plan is at fault
        on_fault(str(built[0].id), method, error)

    built.append(guarded(strategy_class, report)(config=config))
    return built[0]


def _resolve(path: str, resolve: Callable[[str], Any], kind: type) -> Any:
    if path.count(":") != 1:
        raise ValueError(f"{path!r} must be `module:Class`")
    found = resolve(path)
    if not isinstance(found, type) or not issubclass(found, kind):
        raise TypeError(f"{path!r} is no {kind.__name__}")
    return found


def _without_id(config: dict[str, Any]) -> dict[str, Any]:
    """NautilusTrader's Strategy cannot take a `strategy_id`; the tag that ends it says the same."""
    if (strategy_id := config.get("strategy_id")) is None:
        return config
    rest = {key: value for key, value in config.items() if key != "strategy_id"}
    return {"order_id_tag": str(strategy_id).rpartition("-")[2]} | rest


def _check(config: StrategyConfig) -> None:
    """Refuses what NautilusTrader takes in silence, or panics on."""
    if config.oms_type not in (None, "UNSPECIFIED", "HEDGING", "NETTING"):
        raise ValueError(f"`oms_type` must be HEDGING or NETTING, not {config.oms_type!r}")
    for field in config.__struct_fields__:
        value = getattr(config, field)
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(f"`{field}` must be a finite number, not {value}")
