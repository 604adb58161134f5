"""Puts the parts of a gateway together and serves them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.docs.page import render
from flotilla.services.gateway.fleet.probes import own_figures
from flotilla.services.gateway.http import SPEAKS_FOR, application
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.hosts import KnownHosts
from flotilla.services.gateway.live.http_metrics import Meter
from flotilla.services.gateway.live.refusals import Refusals
from flotilla.services.gateway.live.streams import Hub
from flotilla.services.gateway.live.watch import FleetWatch
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.services.gateway.web.auth import TokenFile

log = get_logger(__name__)

SHUTDOWN_S: Final = 5.0
"""How long answers that are under way may take when we stop."""


class GatewayProbe:
    """What the gateway tells of itself on the bus."""

    def __init__(self, gateway: Gateway, address: str) -> None:
        self._gateway = gateway
        self.address = address

    def checks(self) -> dict[str, str]:
        """It is well as long as it answers: what it depends on answers for itself."""
        return {"http": "ok"}

    def metrics(self) -> dict[str, float]:
        """Its figures."""
        return own_figures(self._gateway)


def assemble(bus: Bus, settings: GatewaySettings) -> Gateway:
    """The parts, put together and not started."""
    described = document(ROUTES, version("flotilla"))
    return Gateway(
        settings=settings,
        bus=bus,
        hub=Hub(bus, max_clients=settings.max_streams, backlog=settings.stream_backlog),
        watch=FleetWatch(bus),
        hosts=KnownHosts(bus),
        tokens=TokenFile(settings.tokens_file),
        meter=Meter(),
        refusals=Refusals(bus, lambda: datetime.now(UTC)),
        document=msgspec.json.encode(described),
        page=render(described),
    )


@asynccontextmanager
async def serve(bus: Bus, settings: GatewaySettings) -> AsyncIterator[GatewayProbe]:
    """A gateway on its port while the context is open. Raises OSError when the port is taken."""
    bus.introduction = SPEAKS_FOR.get
    gateway = assemble(bus, settings)
    await gateway.hub.start()
    await gateway.watch.start()
    await gateway.hosts.start()
    tasks = Tasks()
    tasks.start(gateway.refusals.run(), name="refusals")
    runner = web.AppRunner(
        application(gateway), access_log=None, logger=_http_logger(), shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        probe = GatewayProbe(gateway, _address(runner))
        log.info("listening", address=probe.address)
        yield probe
    finally:
        gateway.hub.close()
        await tasks.close()
        await runner.cleanup()


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


def _address(runner: web.AppRunner) -> str:
    name, port = runner.addresses[0][:2]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
