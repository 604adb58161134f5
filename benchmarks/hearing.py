"""A gateway that hears 10,000 engines, each with a heartbeat and its figures every second: at most 35 % of a core, and none is taken to be silent."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.fleet import FleetGateway, gateway_of, on_a_server, output_of
from benchmarks.rounds import report_at_least, report_at_most
from benchmarks.telemetry import name_of, view
from flotilla.schemas.contract import Actor
from flotilla.schemas.heartbeats import UNHEALTHY_AFTER_S
from flotilla.stack.servers.nats import NatsServer

ENGINES: Final = 10_000
SECONDS: Final = 15
SETTLED_S: Final = 3.0
LIMIT_CORE: Final = 0.35
ENOUGH: Final = 0.95
"""Of what was to be said, that was: else this machine is too slow to tell."""


async def oldest_s(fleet: FleetGateway) -> float:
    """The age of the heartbeat that is the oldest of all engines. Raises RuntimeError for one that was not heard."""
    now_s, ages = time.monotonic(), []
    for number in range(ENGINES):
        age_s = (await fleet.probe.gateway.reads.one(name_of(number))).age_s(now_s)
        if age_s is None:
            raise RuntimeError(f"{name_of(number)} was not heard")
        ages.append(age_s)
    return max(ages)


async def measure(server: NatsServer, folder: Path) -> int:
    """1 when one of the figures is over its limit."""
    credentials = str(server.keys.write_credentials(Actor.OPERATOR))
    views = [view(number) for number in range(ENGINES)]
    async with gateway_of(server, folder, views) as fleet, asyncio.TaskGroup() as group:
        saying = group.create_task(
            output_of("benchmarks.saying", server.url, credentials, str(ENGINES), str(SECONDS))
        )
        await asyncio.sleep(SETTLED_S)
        began, used = time.monotonic(), time.process_time()
        await asyncio.sleep(SECONDS - 2 * SETTLED_S)
        core = (time.process_time() - used) / (time.monotonic() - began)
        age_s = await oldest_s(fleet)
        said, took_s = await saying
        dropped = fleet.probe.gateway.bus.stats.slow_consumer_drops
    name = f"hearing {ENGINES:,} engines"
    return max(
        report_at_least(f"{name}, said", int(said) / float(took_s), 2.0 * ENGINES, "/s", ENOUGH),
        report_at_most(name, core, "of a core", LIMIT_CORE),
        report_at_most(f"{name}, oldest heartbeat", age_s, "s", UNHEALTHY_AFTER_S),
        report_at_most(f"{name}, dropped", float(dropped), "messages", 0.0),
    )


def main() -> int:
    """1 when one of the figures is over its limit."""
    return on_a_server(measure)


if __name__ == "__main__":
    sys.exit(main())
