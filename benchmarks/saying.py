"""Says once a second what a fleet of engines says, spread over that second: `python -m benchmarks.saying URL CREDENTIALS ENGINES SECONDS`.

A process of its own, so that what it costs to say is not counted to who hears it. `orders_total` of the figures is when they were said,
in milliseconds of the wall clock. Prints how many messages went, and in how many seconds.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.telemetry import beat, metrics, name_of
from flotilla.bus.bus import connect
from flotilla.bus.settings import BusSettings
from flotilla.schemas.contract import HEARTBEAT, METRICS

ROUNDS: Final = 50
"""Pieces of a second; in each a piece of the fleet says what it has to say."""


async def say(url: str, credentials: str, engines: int, seconds: int) -> tuple[int, float]:
    """How many messages went, and the seconds that it took: more than were given where this machine is too slow."""
    bus = await connect(BusSettings(url=url, creds=credentials, name="benchmark"))
    loop, said = asyncio.get_running_loop(), 0
    began = loop.time()
    for step in range(seconds * ROUNDS):
        await asyncio.sleep(max(0.0, began + step / ROUNDS - loop.time()))
        count = int(time.time() * 1_000)
        for number in range(step % ROUNDS, engines, ROUNDS):
            name = name_of(number)
            said += await bus.publish(HEARTBEAT, msgspec.json.encode(beat(number, count)), instance_id=name)
            said += await bus.publish(METRICS, msgspec.json.encode(metrics(number, count)), instance_id=name)
    await bus.flush()
    took_s = loop.time() - began
    await bus.close()
    return said, took_s


def main(url: str, credentials: str, engines: str, seconds: str) -> int:
    """Prints both figures."""
    said, took_s = asyncio.run(say(url, Path(credentials).read_text(), int(engines), int(seconds)))
    sys.stdout.write(f"{said} {took_s}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
