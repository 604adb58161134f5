"""A gateway with 500 streams of a fleet of 50 engines, all of which change every second: at most 30 % of a core, and 99 of 100 changes within 250 ms.

What engines say and who follows it are processes of their own; changes are told five times a second, so that most of a lag is waiting for that.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.fleet import gateway_of, on_a_server, output_of
from benchmarks.rounds import report_at_most
from benchmarks.telemetry import view
from flotilla.schemas.contract import Actor
from flotilla.stack.servers.nats import NatsServer

CLIENTS: Final = 500
ENGINES: Final = 50
SECONDS: Final = 15
SETTLED_S: Final = 4.0
"""All clients are connected by then, and have read what there is."""
LIMIT_CORE: Final = 0.30
LIMIT_MS: Final = 250.0


async def measure(server: NatsServer, folder: Path) -> int:
    """1 when one of the figures is over its limit."""
    credentials = str(server.keys.write_credentials(Actor.OPERATOR))
    settings = {"connections": 2 * CLIENTS, "max_streams": CLIENTS}
    async with (
        gateway_of(server, folder, [view(number) for number in range(ENGINES)], **settings) as fleet,
        asyncio.TaskGroup() as group,
    ):
        following = group.create_task(
            output_of("benchmarks.followers", fleet.probe.address, str(CLIENTS), str(SECONDS), fleet.token)
        )
        saying = group.create_task(
            output_of("benchmarks.saying", server.url, credentials, str(ENGINES), str(SECONDS))
        )
        await asyncio.sleep(SETTLED_S)
        began, used = time.monotonic(), time.process_time()
        await asyncio.sleep(SECONDS - 2 * SETTLED_S)
        core = (time.process_time() - used) / (time.monotonic() - began)
        clients = len(fleet.probe.gateway.fleet)
        _, lag_ms = await following
        await saying
    if clients != CLIENTS:
        raise RuntimeError(f"{clients} of {CLIENTS} clients were there")
    name = f"{CLIENTS} streams of {ENGINES} engines"
    return max(
        report_at_most(name, core, "of a core", LIMIT_CORE),
        report_at_most(f"{name}, lag p99", float(lag_ms), "ms", LIMIT_MS),
    )


def main() -> int:
    """1 when one of the figures is over its limit."""
    return on_a_server(measure)


if __name__ == "__main__":
    sys.exit(main())
