"""Values that the tests of the orchestrator's cores start from."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.session import ContainerFacts, ContainerStatus, EnginePlan, SessionSpec, container_name
from flotilla.schemas.states import DesiredState, EngineType, RunState, TradingMode
from flotilla.schemas.telemetry import EngineEvent, EventKind, Heartbeat, HostHeartbeat, StateChange
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.placement import HostLoad

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
HOSTS = (HostLoad("h1", 2, 0),)
STARTED = (RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def config(**chosen: Any) -> EngineConfig:
    return EngineConfig(**{"instance_id": "e1", "engine_type": "sandbox", **chosen})


def spec(session_id: str = "s1", generation: int = 1) -> SessionSpec:
    return SessionSpec(
        instance_id="e1",
        session_id=session_id,
        generation=generation,
        engine_type=EngineType.SANDBOX,
        trading_mode=TradingMode.PAPER,
        plan=EnginePlan(trader_id="E1-001", node={}),
        config=config(),
    )


def session(state: RunState = RunState.TRADING, **facts: Any) -> Session:
    has_begun = state not in (RunState.SCHEDULED, RunState.CREATING)
    values = {
        "session_id": "s1",
        "instance_id": "e1",
        "generation": 1,
        "state": state,
        "created_at": NOW,
        "changed_at": NOW,
        "host": None if state == RunState.SCHEDULED else "h1",
        "started_at": NOW if has_begun else None,
    }
    return Session(**{**values, **facts})


def engine(present: Session | None = None, **facts: Any) -> Engine:
    values = {
        "instance_id": "e1",
        "desired": DesiredState.RUNNING,
        "config": config(),
        "generation": present.generation if present else 0,
        "created_at": NOW,
        "updated_at": NOW,
        "version": 7,
        "session": present,
    }
    return Engine(**{**values, **facts})


def facts(status: ContainerStatus = ContainerStatus.RUNNING, **more: Any) -> ContainerFacts:
    values = {
        "session_id": "s1",
        "instance_id": "e1",
        "generation": 1,
        "host": "h1",
        "name": container_name("s1"),
        "status": status,
        "runtime": "docker",
        "trading_mode": TradingMode.PAPER,
    }
    return ContainerFacts(**{**values, **more})


def beat(state: RunState = RunState.TRADING, **more: Any) -> Heartbeat:
    values = {
        "instance_id": "e1",
        "session_id": "s1",
        "generation": 1,
        "beat": 1,
        "at_ns": 0,
        "state": state,
    }
    return Heartbeat(**{**values, **more})


def host_beat(host: str = "h1", **more: Any) -> HostHeartbeat:
    values = {
        "host": host,
        "runtime": "docker",
        "at_ns": 0,
        "cpus": 2,
        "memory_bytes": 1 << 33,
        "sessions": 0,
        "version": "0",
    }
    return HostHeartbeat(**{**values, **more})


def state_event(seq: int, state: RunState, *, generation: int = 1, **change: Any) -> EngineEvent[StateChange]:
    return EngineEvent(
        instance_id="e1",
        session_id="s1" if generation == 1 else f"s{generation}",
        generation=generation,
        seq=seq,
        at_ns=int(NOW.timestamp()) * 1_000_000_000 + seq,
        kind=EventKind.STATE,
        data=StateChange(state=state, **change),
    )


def replace[T: msgspec.Struct](value: T, **changes: Any) -> T:
    return msgspec.structs.replace(value, **changes)
