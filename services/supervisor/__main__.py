"""`python -m services.supervisor`."""

import asyncio

from bus import logs
from bus.host import host
from bus.settings import BusSettings
from schemas.contract import Actor
from services.supervisor.service import supervisor
from services.supervisor.settings import SupervisorSettings


def main() -> None:
    """Runs until SIGTERM; the engines run on."""
    settings = SupervisorSettings.from_env()
    logs.configure(Actor.SUPERVISOR, settings.log_level)
    bus_settings = BusSettings.from_env(Actor.SUPERVISOR)
    asyncio.run(host(Actor.SUPERVISOR, bus_settings, supervisor(settings), metadata={"host": settings.host}))


if __name__ == "__main__":
    main()
