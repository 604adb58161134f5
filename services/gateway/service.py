"""Puts the parts of a gateway together and serves them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.fault import FaultError
from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.docs.page import render
from flotilla.services.gateway.fleet.probes import own_figures
from flotilla.services.gateway.http import SCOPE, SPEAKS_FOR, application
from flotilla.services.gateway.live.connections import Connection, Door
from flotilla.services.gateway.live.containers import KnownContainers
from flotilla.services.gateway.live.engine_reads import EngineReads
from flotilla.services.gateway.live.fleet_memory import FleetMemory
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.hosts import KnownHosts
from flotilla.services.gateway.live.http_metrics import Meter
from flotilla.services.gateway.live.labels import KnownLabels
from flotilla.services.gateway.live.refusals import Refusals
from flotilla.services.gateway.live.streams import Hub
from flotilla.services.gateway.live.watch import FleetWatch
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.services.gateway.web.auth import TokenFile
from flotilla.services.gateway.web.dashboard import Dashboard
from flotilla.services.gateway.web.limits import Limits
from flotilla.services.gateway.web.sessions import Sessions

log = get_logger(__name__)

SHUTDOWN_S: Final = 5.0
"""How long answers that are under way may take when we stop."""
IDLE_S: Final = 75.0
"""How long a connection may be idle; longer than reverse proxies keep theirs, so that they close them and not we."""
_REMAINS_S: Final = 2.0
"""How long the rest of a body is waited for that nobody wants."""
_BACKLOG: Final = 512
_LOOK_S: Final = 0.2
"""How often it is looked whether the tokens of open streams are still good."""


class GatewayProbe:
    """What the gateway tells of itself on the bus."""

    def __init__(self, gateway: Gateway, address: str) -> None:
        self.gateway = gateway
        self.address = address

    def checks(self) -> dict[str, str]:
        """It is well as long as it answers: what it depends on answers for itself."""
        return {"http": "ok"}

    def metrics(self) -> dict[str, float]:
        """Its figures."""
        return own_figures(self.gateway)


def assemble(bus: Bus, settings: GatewaySettings) -> Gateway:
    """The parts, put together and not started."""
    described = document(ROUTES, version("flotilla"))
    labels = KnownLabels()
    meter = Meter()
    fleet = FleetMemory(bus, lambda: datetime.now(UTC), max_clients=settings.max_streams, lagged=meter.lagged)
    hub = Hub(bus, labels, fleet.hear, max_clients=settings.max_streams, backlog=settings.stream_backlog)
    return Gateway(
        settings=settings,
        bus=bus,
        hub=hub,
        fleet=fleet,
        reads=EngineReads(bus, fleet),
        containers=KnownContainers(bus),
        labels=labels,
        watch=FleetWatch(bus),
        hosts=KnownHosts(bus),
        tokens=TokenFile(settings.tokens_file, lambda: datetime.now(UTC)),
        sessions=Sessions(settings.tokens_file, lambda: datetime.now(UTC)),
        limits=Limits(failures=settings.failures, per_s=settings.rate),
        door=Door(per_address=settings.connections, request_s=settings.request_s, answer_s=settings.answer_s),
        meter=meter,
        refusals=Refusals(bus, lambda: datetime.now(UTC)),
        document=msgspec.json.encode(described),
        page=render(described),
        dashboard=Dashboard.built(),
    )


@asynccontextmanager
async def serve(bus: Bus, settings: GatewaySettings) -> AsyncIterator[GatewayProbe]:
    """A gateway on its port while the context is open. Raises OSError when the port is taken."""
    bus.introduction = SPEAKS_FOR.get
    bus.scope = SCOPE.get
    gateway = assemble(bus, settings)
    await gateway.hub.start()
    await gateway.watch.start()
    await gateway.hosts.start()
    await gateway.fleet.start()
    await gateway.containers.start()
    tasks = Tasks()
    tasks.start(gateway.refusals.run(), name="refusals")
    tasks.start(gateway.hub.run(), name="events")
    tasks.start(gateway.fleet.run(gateway.hub.recent), name="the fleet in memory")
    tasks.start(_end_streams(gateway), name="streams of tokens that are gone")
    tasks.start(_learn_labels(gateway), name="labels of engines in streams")
    runner = web.AppRunner(
        application(gateway),
        access_log=None,
        logger=_http_logger(),
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=IDLE_S,
        lingering_time=_REMAINS_S,
    )
    await runner.setup()
    listener: asyncio.Server | None = None
    try:
        listener = await _listen(gateway, runner)
        probe = GatewayProbe(gateway, _address(listener))
        log.info("listening", address=probe.address)
        yield probe
    finally:
        if listener is not None:
            listener.close()
        gateway.hub.close()
        gateway.fleet.close()
        await tasks.close()
        await gateway.containers.close()
        await runner.cleanup()


async def _listen(gateway: Gateway, runner: web.AppRunner) -> asyncio.Server:
    server = runner.server
    if server is None:
        raise RuntimeError("the runner was not set up")
    return await asyncio.get_running_loop().create_server(
        lambda: Connection(gateway.door, server),
        gateway.settings.host,
        gateway.settings.port,
        backlog=_BACKLOG,
    )


async def _end_streams(gateway: Gateway) -> None:
    """Ends the streams whose tokens were removed or have expired, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        gateway.hub.revoke(gateway.tokens.ending)
        gateway.fleet.revoke(gateway.tokens.ending)


async def _learn_labels(gateway: Gateway) -> None:
    """Asks for the engines that streams are limited to, again after something may have been missed; until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        for scope in gateway.hub.unlearned():
            with suppress(FaultError):  # the orchestrator is away: it is asked again in the next round
                await gateway.hub.learn(scope)


def _http_logger() -> logging.Logger:
    logger = logging.getLogger(f"{__name__}.http")
    logger.addFilter(_without_traceback)
    return logger


def _without_traceback(record: logging.LogRecord) -> bool:
    """Anybody can send us what is not HTTP, as often as they like: it is worth a line, not a traceback of aiohttp's."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "not http", ()
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.exc_info = None
    return True


def _address(listener: asyncio.Server) -> str:
    name, port = listener.sockets[0].getsockname()[:2]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
