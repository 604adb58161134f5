"""A typed, validated, faulting call against a raw nats-py echo of the same bytes: median round trip."""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nats
from nats.aio.client import RawCredentials
from nats.aio.msg import Msg

from benchmarks.rounds import compare, report
from flotilla.bus.bus import connect
from flotilla.bus.credentials import FleetKeys
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, ListEngines
from flotilla.stack.servers.nats import NatsServer

CALLS = 1_000
LIMIT = 1.5


async def measure(server: NatsServer) -> int:
    """Runs both on one server and prints the ratio."""
    answering, asking = (
        await connect(server.settings(Actor.ORCHESTRATOR)),
        await connect(server.settings(Actor.GATEWAY)),
    )
    creds = RawCredentials(server.settings(Actor.OPERATOR).creds)
    echo, raw = (
        await nats.connect(server.url, user_credentials=creds),
        await nats.connect(server.url, user_credentials=creds),
    )

    async def answer(_: ListEngines) -> EngineList:
        return EngineList(engines=(), total_count=0)

    async def echo_back(message: Msg) -> None:
        await echo.publish(message.reply, message.data)

    await answering.serve(contract.ENGINE_LIST, answer)
    await echo.subscribe("raw.echo", queue="q", cb=echo_back)
    await echo.flush()

    async def ours() -> float:
        times = []
        for _ in range(CALLS):
            started = time.perf_counter()
            await asking.call(contract.ENGINE_LIST, ListEngines())
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1e6

    async def theirs() -> float:
        times = []
        for _ in range(CALLS):
            started = time.perf_counter()
            await raw.request("raw.echo", b'{"active":false,"limit":100}', timeout=5)
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1e6

    mine, plain = await compare(ours, theirs, rounds=7)
    for connection in (answering, asking):
        await connection.close()
    await echo.close()
    await raw.close()
    return report("bus call round trip", mine, plain, "us", LIMIT)


def main() -> int:
    """Starts a server of its own; 1 when the ratio is over the limit."""
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder) / "nats", FleetKeys(Path(folder) / "keys"))
        server.start()
        try:
            return asyncio.run(measure(server))
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
