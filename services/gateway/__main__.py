"""`python -m flotilla.services.gateway`: serves REST, streams and documents until SIGTERM."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager

from flotilla.bus.bus import Bus
from flotilla.bus.host import HealthProbe, host
from flotilla.bus.logs import configure, get_logger
from flotilla.bus.settings import BusSettings, settings_of
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.services.gateway.service import serve
from flotilla.services.gateway.settings import GatewaySettings

log = get_logger(__name__)


def main() -> int:
    """The exit code: 1 when the bus or the port cannot be had."""
    settings = settings_of(Actor.GATEWAY, GatewaySettings.from_env)
    bus_settings = settings_of(Actor.GATEWAY, lambda: BusSettings.from_env(Actor.GATEWAY))
    configure(Actor.GATEWAY, settings.log_level)

    def service(bus: Bus) -> AbstractAsyncContextManager[HealthProbe]:
        return serve(bus, settings)

    try:
        asyncio.run(host(Actor.GATEWAY, bus_settings, service))
    except (FaultError, OSError) as error:
        log.error("gateway ends", error=str(error))  # noqa: TRY400 - the text says it all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
