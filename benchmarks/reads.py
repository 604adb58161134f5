"""Requests a second for status, list and figures of engines, against an empty handler of aiohttp: at least half as many, each in one run.

Both are served by this process, over connections that are kept, and asked by another one.
"""

import sys
import time
from pathlib import Path
from typing import Final

from aiohttp import web

from benchmarks.fleet import FleetGateway, gateway_of, on_a_server, output_of
from benchmarks.rounds import compare, report_at_least
from benchmarks.telemetry import name_of, said, view
from flotilla.stack.servers.nats import NatsServer

CONNECTIONS: Final = 16
SECONDS: Final = 1.0
ROUNDS: Final = 5
LIMIT: Final = 0.5
MANY: Final = 20
API: Final = "/api/v1/nautilus"
PATHS: Final = {
    1: ("/engine/status",),
    MANY: ("/engines", f"/engines/{name_of(3)}/metrics", f"/engine/status?instance_id={name_of(3)}"),
}
"""What is asked of a fleet of so many engines. The contract's status has figures of all that are active: the one of many has no limit."""
UNBOUND: Final = PATHS[MANY][2]


async def rate(address: str, path: str, token: str = "") -> float:
    """Answers a second."""
    answers, took_s = await output_of(
        "benchmarks.load", address, path, str(CONNECTIONS), str(SECONDS), *([token] if token else [])
    )
    return int(answers) / float(took_s)


async def hear(fleet: FleetGateway, engines: int, count: int) -> None:
    """All engines say once what they say in a second."""
    memory = fleet.probe.gateway.fleet
    for number in range(engines):
        for each in said(number, count):
            memory.hear(each)


async def measure_fleet(server: NatsServer, folder: Path, engines: int, empty: str) -> int:
    """Runs each path in turn with the empty handler, and prints the ratios."""
    code = 0
    async with gateway_of(server, folder, [view(number) for number in range(engines)]) as fleet:
        for path in PATHS[engines]:

            async def ours(path: str = path) -> float:
                await hear(fleet, engines, int(time.monotonic()))
                return await rate(fleet.probe.address, API + path, fleet.token)

            async def raw() -> float:
                return await rate(empty, "/")

            mine, plain = await compare(ours, raw, rounds=ROUNDS)
            limit = 0.0 if path == UNBOUND else LIMIT
            code |= report_at_least(f"GET {path}, {engines} engines", mine, plain, "/s", limit)
    return code


async def measure(server: NatsServer, folder: Path) -> int:
    """1 when one of them is under its limit."""

    async def nothing(_: web.Request) -> web.Response:
        return web.Response()

    plain = web.Application()
    plain.router.add_get("/", nothing)
    runner = web.AppRunner(plain, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        codes = []
        for engines in PATHS:
            own = folder / str(engines)
            own.mkdir()
            codes.append(await measure_fleet(server, own, engines, f"http://{host}:{port}"))
    finally:
        await runner.cleanup()
    return max(codes)


def main() -> int:
    """1 when one of them is under its limit."""
    return on_a_server(measure)


if __name__ == "__main__":
    sys.exit(main())
