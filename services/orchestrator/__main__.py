"""`python -m flotilla.services.orchestrator`."""

import asyncio

from flotilla.bus import lean, logs  # noqa: F401
from flotilla.bus.host import host
from flotilla.bus.settings import BusSettings, settings_of
from flotilla.schemas import code_changes
from flotilla.schemas.contract import Actor
from flotilla.services.orchestrator.service import orchestrator
from flotilla.services.orchestrator.settings import OrchestratorSettings


def main() -> None:
    """Runs until SIGTERM."""
    code_changes.ignore_warnings()
    settings = settings_of(Actor.ORCHESTRATOR, OrchestratorSettings.from_env)
    logs.configure(Actor.ORCHESTRATOR, settings.log_level)
    bus_settings = settings_of(Actor.ORCHESTRATOR, lambda: BusSettings.from_env(Actor.ORCHESTRATOR))
    asyncio.run(host(Actor.ORCHESTRATOR, bus_settings, orchestrator(settings)))


if __name__ == "__main__":
    main()
