"""Values that the sidecar's tests share."""

from typing import Any

from flotilla.schemas.session import EnginePlan, SessionSpec
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.schemas.telemetry import EngineMetrics


def spec(**changes: Any) -> SessionSpec:
    """A small session."""
    values: dict[str, Any] = {
        "instance_id": "e1",
        "session_id": "20260131-142501-3f9c2a7b1d04",
        "generation": 3,
        "engine_type": EngineType.SANDBOX,
        "trading_mode": TradingMode.PAPER,
        "plan": EnginePlan(trader_id="E1-001", node={}),
        "frozen_after_s": 5.0,
        "kill_frozen_after_s": 30.0,
        "boot_timeout_s": 60.0,
        "stop_timeout_s": 30.0,
        "memory_bytes": 512 << 20,
    }
    return SessionSpec(**values | changes)


def measure(**figures: Any) -> EngineMetrics:
    """A measure of the engine's with these figures."""
    return EngineMetrics(instance_id="e1", session_id="s", at_ns=1, **figures)
