"""From counters to what a session uses, and to whether the kernel killed for memory."""

from collections import deque
from typing import Final

import msgspec

from flotilla.schemas.telemetry import Resources

OOM_MEMORY: Final = 10
"""How many samples back a kill counts as recent: an engine of many gigabytes takes seconds to die."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counters at one moment: `cpu_ns` and the byte counts of network and block devices only grow."""

    cpu_ns: int
    memory_bytes: int
    memory_limit_bytes: int | None = None
    pids: int = 0
    network_rx_bytes: int | None = None
    network_tx_bytes: int | None = None
    block_read_bytes: int | None = None
    block_write_bytes: int | None = None


def resources(before: Usage, now: Usage, elapsed_s: float, memory_limit_bytes: int) -> Resources:
    """What was used between two samples. The limit stands in where the counters know none."""
    cpu_s = max(0, now.cpu_ns - before.cpu_ns) / 1e9
    return Resources(
        cpu_fraction=round(cpu_s / elapsed_s, 4) if elapsed_s > 0 else 0.0,
        memory_bytes=now.memory_bytes,
        memory_limit_bytes=min(now.memory_limit_bytes or memory_limit_bytes, memory_limit_bytes),
        pids=now.pids,
        network_rx_bytes=now.network_rx_bytes,
        network_tx_bytes=now.network_tx_bytes,
        block_read_bytes=now.block_read_bytes,
        block_write_bytes=now.block_write_bytes,
    )


class OomCounter:
    """Remembers the kernel's count of kills for memory, sampled once a second, since it never says whom it killed."""

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=OOM_MEMORY)

    def sample(self, kills: int) -> None:
        """Adds the present count."""
        self._samples.append(kills)

    def has_risen(self, kills: int) -> bool:
        """True when the present count is above the oldest one remembered."""
        return bool(self._samples) and kills > self._samples[0]
