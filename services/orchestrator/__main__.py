"""`python -m services.orchestrator`."""

import asyncio

from bus import logs
from bus.host import host
from bus.settings import BusSettings
from schemas.contract import Actor
from services.orchestrator.service import orchestrator
from services.orchestrator.settings import OrchestratorSettings


def main() -> None:
    """Runs until SIGTERM."""
    settings = OrchestratorSettings.from_env()
    logs.configure(Actor.ORCHESTRATOR, settings.log_level)
    asyncio.run(host(Actor.ORCHESTRATOR, BusSettings.from_env(Actor.ORCHESTRATOR), orchestrator(settings)))


if __name__ == "__main__":
    main()
