"""Resident memory of the services together and of a sidecar, while an engine trades. Absolute figures, in MB."""

import asyncio
import sys

from benchmarks.stack import only, pids_of, rss_bytes, running_stack, sidecar_pid
from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.states import RunState
from flotilla.state.settings import Connection

SERVICES_LIMIT_MB = 200
SIDECAR_LIMIT_MB = 40
SERVICES = ("orchestrator", "supervisor", "notifier", "gateway")


async def measure(connection: Connection) -> int:
    """Taken after an engine has traded for ten heartbeats."""
    async with Flotilla.connect(connection) as fleet:
        await fleet.start_engine(
            EngineConfig(engine_type="sandbox", instance_id="memory", parameters={"speed": 8_640_000})
        )
        await fleet.wait_for("memory", {RunState.TRADING}, timeout_s=60)
        beats = 0
        async with fleet.watch("memory", kinds=["heartbeat"]) as updates:
            async for _ in updates:
                beats += 1
                if beats == 10:
                    break
        services = {
            name: rss_bytes(only(pids_of("-m", f"flotilla.services.{name}"))) / 1e6 for name in SERVICES
        }
        sidecar = rss_bytes(sidecar_pid()) / 1e6
    sys.stderr.write(", ".join(f"{name} {size:.1f} MB" for name, size in services.items()) + "\n")
    total = sum(services.values())
    sys.stdout.write(
        f"services: {total:.1f} MB (limit {SERVICES_LIMIT_MB}): {_verdict(total, SERVICES_LIMIT_MB)}\n"
    )
    sys.stdout.write(
        f"sidecar: {sidecar:.1f} MB (limit {SIDECAR_LIMIT_MB}): {_verdict(sidecar, SIDECAR_LIMIT_MB)}\n"
    )
    return int(total > SERVICES_LIMIT_MB or sidecar > SIDECAR_LIMIT_MB)


def _verdict(size: float, limit: float) -> str:
    return "ok" if size <= limit else "over the limit"


def main() -> int:
    """Needs a machine where no other stack runs, because processes are found by their command lines."""
    with running_stack("process") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
