"""The worker of a host: whether one is wanted, what it is called, and how it is configured."""

from datetime import datetime, timedelta
from typing import Final

from flotilla.schemas.config import WORKER_TEMPLATE, EngineConfig
from flotilla.schemas.states import EngineType, RunState
from flotilla.schemas.telemetry import HostHeartbeat
from flotilla.services.orchestrator.engines.core.model import Engine

PAUSE: Final = timedelta(seconds=30)
"""After a worker that failed for good, before another is tried."""
_PREFIX: Final = "worker-"
_LONGEST: Final = 63
_MEMORY_SHARE: Final = 0.5
_PER_SLOT_MB: Final = 2_048
_LEAST_MB: Final = 1_024
_MOST_MB: Final = 64 << 10


def worker_id(host: str) -> str:
    """The engine that is the worker of this host."""
    return f"{_PREFIX}{host}"[:_LONGEST].rstrip("-")


def worker_config(beat: HostHeartbeat) -> EngineConfig:
    """The worker of a host: one slot per CPU, 2 GB each unless that were more than half of the host's memory."""
    half_mb = int(beat.memory_bytes * _MEMORY_SHARE) >> 20
    memory_mb = max(_LEAST_MB, min(half_mb, _PER_SLOT_MB * beat.cpus, _MOST_MB))
    return EngineConfig(
        engine_type=EngineType.BACKTEST,
        instance_id=worker_id(beat.host),
        template=WORKER_TEMPLATE,
        parameters={"slots": beat.cpus},
        max_memory=f"{memory_mb}m",
        max_cpu=f"{min(beat.cpus, 999)}",
    )


def wants_worker(
    beat: HostHeartbeat, engine: Engine | None, *, newest: datetime | None, now: datetime
) -> bool:
    """Whether the host shall get a worker, given that there are backtests to run. `newest`: when the last of them came.

    `engine` is the worker that it had. One that somebody stopped comes back only for what was asked for after that.
    """
    if not beat.is_runtime_up or any(
        flag.names(worker_id(beat.host), is_worker=True) for flag in beat.stop_flags
    ):
        return False
    if engine is None or engine.session is None:
        return True
    if engine.is_active or engine.restart_at is not None or engine.pending is not None:
        return False
    session = engine.session
    if session.stop is not None:
        return newest is not None and newest > session.changed_at
    return session.state is not RunState.FAILED or now - session.changed_at > PAUSE
