"""A scrape of 200 engines of which everything is known, over HTTP, against the gateway's empty answer: median time of the processor, at most 100 ms.

Of the processor, because the interpreter is busy all the time: on a quiet machine it takes as long.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.rounds import compare, report
from flotilla.bus.bus import connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.streams import ensure_streams
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.schemas.telemetry import EngineMetrics, FeedProgress, Heartbeat, MarkedEquity, Resources
from flotilla.services.gateway.live.fleet_memory import FleetMemory
from flotilla.services.gateway.service import serve
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.stack.servers.nats import NatsServer

ENGINES: Final = 200
SCRAPES: Final = 20
LIMIT: Final = 150.0
"""Thousands of figures against none: this only says when it becomes another order of magnitude."""
LIMIT_MS: Final = 100.0


def hear(fleet: FleetMemory) -> None:
    """All that a gateway hears of a fleet within a second."""
    now = datetime.now(UTC)
    for number in range(ENGINES):
        name, session_id = f"engine-{number}", f"session-{number}"
        session = SessionView(
            session_id=session_id,
            instance_id=name,
            generation=1,
            state=RunState.TRADING,
            container_name=f"flotilla-{session_id}",
            created_at=now,
            host="h1",
        )
        view = EngineView(
            instance_id=name,
            state=ClientState.RUNNING,
            desired=DesiredState.RUNNING,
            config=EngineConfig(instance_id=name),
            session=session,
        )
        beat = Heartbeat(
            instance_id=name,
            session_id=session_id,
            generation=1,
            beat=1,
            at_ns=1,
            state=RunState.TRADING,
            lease_s=20.0,
            resources=Resources(cpu_fraction=0.1, memory_bytes=400 << 20, memory_limit_bytes=1 << 30, pids=9),
        )
        metrics = EngineMetrics(
            instance_id=name,
            session_id=session_id,
            at_ns=1,
            feeds=(FeedProgress(venue="BINANCE", events=1, age_s=0.1),),
            balances={"BTC": "0.10000000", "USDT": "10000.00"},
            realized_pnl={"USDT": "12.10"},
            unrealized_pnl={"USDT": "-3.10"},
            equity=MarkedEquity(currency="USDT", amount=Decimal("10008.90")),
        )
        for said in (view, beat, metrics):
            fleet.hear(said)


async def asked(address: str, path: str) -> tuple[int, float]:
    """The bytes of an answer, and the milliseconds that both sides of it took."""
    host, port = address.removeprefix("http://").split(":")
    began = time.process_time()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(answer[:200].decode())
    return len(answer), (time.process_time() - began) * 1e3


async def measure(server: NatsServer, folder: Path) -> int:
    """Runs both on one gateway and prints the ratio."""
    orchestrator = await connect(server.settings(Actor.ORCHESTRATOR))
    await ensure_streams(orchestrator)
    bus = await connect(server.settings(Actor.GATEWAY))
    settings = msgspec.structs.replace(
        GatewaySettings.from_env({"FLOTILLA_STATE": str(folder)}), port=0, metrics_open=True
    )
    async with serve(bus, settings) as probe:

        async def scrape() -> float:
            times = []
            for _ in range(SCRAPES):
                hear(probe.gateway.fleet)
                size, ms = await asked(probe.address, "/metrics")
                if size < ENGINES * 1_000:
                    raise RuntimeError("engines are missing")
                times.append(ms)
            return statistics.median(times)

        async def empty() -> float:
            return statistics.median([(await asked(probe.address, "/healthz"))[1] for _ in range(SCRAPES)])

        mine, plain = await compare(scrape, empty, rounds=5)
    for each in (bus, orchestrator):
        await each.close()
    code = report(f"a scrape of {ENGINES} engines", mine, plain, "ms", LIMIT)
    sys.stdout.write(f"a scrape of {ENGINES} engines: at most {LIMIT_MS:g} ms\n")
    return int(code or mine > LIMIT_MS)


def main() -> int:
    """Starts a server of its own; 1 when a scrape takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder) / "nats", FleetKeys(Path(folder) / "keys"))
        server.start()
        try:
            return asyncio.run(measure(server, Path(folder)))
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
