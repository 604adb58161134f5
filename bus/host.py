"""Runs one service: connects, serves, answers health and discovery, and on SIGTERM lets what it is doing finish."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from flotilla.bus.alive import say_alive
from flotilla.bus.bus import Bus, connect
from flotilla.bus.discovery import Discovery
from flotilla.bus.logs import get_logger
from flotilla.bus.settings import BusSettings
from flotilla.bus.tasks import Tasks
from flotilla.schemas.contract import HEALTH, SERVICE_HEARTBEATS, Actor, Feed
from flotilla.schemas.environment import HEALTH_FILE
from flotilla.schemas.health import Health, ReadHealth
from flotilla.schemas.heartbeats import BEAT_S

log = get_logger(__name__)

_HEALTH_FILE_S: Final = 1.0


class HealthProbe(Protocol):
    """What a service tells of itself."""

    def checks(self) -> dict[str, str]:
        """One entry per thing it depends on: "ok", or what is wrong."""

    def metrics(self) -> dict[str, float]:
        """Its figures by name."""


Service: TypeAlias = Callable[[Bus], AbstractAsyncContextManager[HealthProbe]]


async def host(
    actor: Actor, settings: BusSettings, service: Service, *, metadata: dict[str, str] | None = None
) -> None:
    """Runs `service` until SIGTERM or SIGINT. FLOTILLA_HEALTH_FILE is touched every second while all of its checks are ok.

    `service(bus)` is entered once the bus is connected, and left after the bus has drained, so that running handlers still find
    what they use. Raises FaultError when the bus does not come; whoever started us starts us again.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    bus = await connect(settings, wait_s=60)
    try:
        async with service(bus) as probe, _announced(bus, actor, probe, metadata or {}):
            log.info("service ready", version=version("flotilla"))
            await stop.wait()
            log.info("service stopping")
            await bus.drain()
    finally:
        await bus.close()
    log.info("service stopped")


@asynccontextmanager
async def _announced(
    bus: Bus, actor: Actor, probe: HealthProbe, metadata: dict[str, str]
) -> AsyncIterator[None]:
    started_at = datetime.now(UTC)
    tasks = Tasks()

    def health() -> Health:
        checks = probe.checks()
        return Health(
            service=actor,
            version=version("flotilla"),
            is_ready=all(state == "ok" for state in checks.values()),
            started_at=started_at,
            checks=checks,
            metrics={**_bus_metrics(bus), **probe.metrics()},
        )

    async def read_health(_: ReadHealth) -> Health:
        return health()

    await bus.serve(HEALTH[actor], read_health)
    await Discovery(bus, actor, secrets.token_hex(8), version("flotilla"), metadata).start()
    if file := HEALTH_FILE.given():
        tasks.start(_say_while_well(probe, file), name="health file")
    if (feed := SERVICE_HEARTBEATS.get(actor)) is not None:
        tasks.start(_beat(bus, feed, health), name="heartbeat")
    try:
        yield
    finally:
        await tasks.close()


async def _beat(bus: Bus, feed: Feed[Health], health: Callable[[], Health]) -> None:
    """Says once a second how the service is, so that who has not heard it lately need not ask."""
    while True:
        await bus.publish(feed, health())
        await asyncio.sleep(BEAT_S)


async def _say_while_well(probe: HealthProbe, file: Path) -> None:
    """For whoever looks after a container and has no credential of the bus."""
    while True:
        if all(state == "ok" for state in probe.checks().values()):
            # A full file system makes the check fail, which is the news.
            with suppress(OSError):
                say_alive(file)
        await asyncio.sleep(_HEALTH_FILE_S)


def _bus_metrics(bus: Bus) -> dict[str, float]:
    stats = bus.stats
    return {
        "bus_reconnects_total": stats.reconnects,
        "bus_calls_total": stats.calls,
        "bus_published_total": stats.published,
        "bus_dropped_total": stats.dropped,
        "bus_slow_consumer_drops_total": stats.slow_consumer_drops,
        "bus_denied_total": bus.client.denied,
        "bus_requests_total": sum(endpoint.stats.num_requests for endpoint in bus.endpoints),
        "bus_faults_total": sum(endpoint.stats.num_errors for endpoint in bus.endpoints),
    }
