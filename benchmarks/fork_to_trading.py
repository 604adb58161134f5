"""Fork of the zygote → trading, with the plan of the sandbox template on the sample data. An absolute figure, in seconds."""

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

from benchmarks.cold_start import CONFIG
from benchmarks.stack import running_stack
from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.states import RunState
from flotilla.state.settings import Connection

ROUNDS = 10
LIMIT_S = 0.2


async def fork_to_trading_s(fleet: Flotilla, instance_id: str) -> float:
    """From the kernel's start time of the engine process (to 10 ms) to the sidecar's stamp of `trading`."""
    traded_at_ns = 0
    pid: int | None = None
    async with fleet.watch(instance_id, kinds=["state", "heartbeat"]) as updates:
        await fleet.start_engine(
            EngineConfig(engine_type="sandbox", instance_id=instance_id, parameters=CONFIG["parameters"])
        )
        async for update in updates:
            if update.kind == "heartbeat":
                pid = update.payload.engine_pid
            elif update.payload.data.state == RunState.TRADING:
                traded_at_ns = update.payload.at_ns
            if pid and traded_at_ns:
                break
    took = (traded_at_ns - _started_at_ns(pid or 0)) / 1e9
    await fleet.stop_engine(instance_id, force=True)
    await fleet.wait_for(instance_id, {RunState.STOPPED, RunState.FAILED}, timeout_s=30)
    return took


def _started_at_ns(pid: int) -> int:
    """When a process was forked, in UNIX nanoseconds: field 22 of /proc/<pid>/stat counts clock ticks since boot."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    since_boot_ns = int(fields[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return time.time_ns() - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_boot_ns)


async def measure(connection: Connection) -> int:
    """Medians over some starts, one at a time."""
    async with Flotilla.connect(connection) as fleet:
        started = time.perf_counter()
        times = [await fork_to_trading_s(fleet, f"fork-{number}") for number in range(ROUNDS)]
        sys.stderr.write(
            f"{ROUNDS} starts in {time.perf_counter() - started:.1f} s: {[round(t, 3) for t in times]}\n"
        )
    median = statistics.median(times)
    verdict = "ok" if median <= LIMIT_S else "over the limit"
    sys.stdout.write(
        f"fork to trading: {median:.3f} s, slowest {max(times):.3f} s (limit {LIMIT_S:g}): {verdict}\n"
    )
    return int(median > LIMIT_S)


def main() -> int:
    """With local processes, so that no container is in the way."""
    with running_stack("process") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
