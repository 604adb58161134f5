"""What the worker of a host is called, and how it is configured: a share of the host's memory, and all of its CPUs."""

from typing import Final

from schemas.config import EngineConfig
from schemas.states import EngineType
from schemas.telemetry import HostHeartbeat
from services.orchestrator.core.model import WORKER_TEMPLATE

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
