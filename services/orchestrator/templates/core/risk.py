"""The operator's risk limits in the words of NautilusTrader's risk engine."""

from collections.abc import Mapping
from typing import Any, Final

from flotilla.schemas.config import EngineConfig

_EVERY_INSTRUMENT: Final = "*"
"""As the engine process reads it: also for strategies that join later, and for those that do not say what they trade."""


def risk_engine(config: EngineConfig, template: Mapping[str, Any]) -> dict[str, Any]:
    """The template's `risk_engine` with the operator's limits in it."""
    risk = dict(template)
    if not config.risk_engine_enabled:
        risk["bypass"] = True
    if config.max_order_rate is not None:
        risk["max_order_submit_rate"] = f"{config.max_order_rate}/00:01:00"
    if config.max_position_size is not None:
        risk["max_notional_per_order"] = {_EVERY_INSTRUMENT: config.max_position_size}
    return risk
