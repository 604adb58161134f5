"""The operator's risk limits in the words of NautilusTrader's risk engine."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from schemas.config import EngineConfig
from schemas.fault import FieldError
from services.orchestrator.core.parameters import instrument_of

_MAX_NOTIONAL: Final = 10**15
_FIELD: Final = "config.max_position_size"


def limit_risk(
    node: dict[str, Any],
    config: EngineConfig,
    instruments: Sequence[str],
    strategies: Sequence[dict[str, Any]],
) -> list[FieldError]:
    """Puts the limits into `node["risk_engine"]`; returns what is wrong with them.

    `strategies` are importable strategy configs: those not from a template name their instruments in their own config.
    """
    risk = {**node.get("risk_engine", {})}
    if not config.risk_engine_enabled:
        risk["bypass"] = True
    if config.max_order_rate is not None:
        risk["max_order_submit_rate"] = f"{config.max_order_rate}/00:01:00"
    errors: list[FieldError] = []
    if config.max_position_size is not None:
        traded = sorted({*instruments, *_named(strategies)})
        errors = _notional_errors(config.max_position_size, traded, strategies)
        # NautilusTrader takes whole amounts only; rounding down never loosens the limit.
        risk["max_notional_per_order"] = dict.fromkeys(
            traded, int(min(config.max_position_size, _MAX_NOTIONAL))
        )
    if risk:
        node["risk_engine"] = risk
    return errors


def _notional_errors(
    size: float, traded: Sequence[str], strategies: Sequence[dict[str, Any]]
) -> list[FieldError]:
    errors: list[FieldError] = []
    if not 1 <= size <= _MAX_NOTIONAL:
        # An amount of 0 would switch NautilusTrader's check off.
        errors.append(FieldError(_FIELD, f"must be from 1 to {_MAX_NOTIONAL}"))
    if not traded or any(not list(_named([strategy])) for strategy in strategies):
        errors.append(FieldError(_FIELD, "cannot be kept: a strategy does not say what it trades"))
    return errors


def _named(strategies: Iterable[dict[str, Any]]) -> Iterable[str]:
    """What strategies say in their configs that they trade."""
    for strategy in strategies:
        config = strategy["config"]
        for key in ("instrument_id", "bar_type"):
            if isinstance(value := config.get(key), str):
                yield instrument_of(value) if key == "bar_type" else value
        several = config.get("instrument_ids")
        if isinstance(several, list):
            yield from (value for value in several if isinstance(value, str))
