"""The supervisor as a service on the bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from bus.bus import Bus
from bus.host import HealthProbe, Service
from services.supervisor.assembly import choose_runtime, credential_mint, surroundings
from services.supervisor.handlers import Handlers
from services.supervisor.settings import SupervisorSettings
from services.supervisor.watcher import HostWatch


class SupervisorHealth:
    """Well as long as its runtime is."""

    def __init__(self, watch: HostWatch) -> None:
        self._watch = watch

    def checks(self) -> dict[str, str]:
        """The runtime."""
        probe = self._watch.probe
        return {"runtime": "ok" if probe.is_up else probe.detail or "down"}

    def metrics(self) -> dict[str, float]:
        """The host's figures."""
        return {
            "supervisor_sessions_running": self._watch.running,
            "supervisor_host_cpus": self._watch.probe.cpus,
            "supervisor_host_memory_bytes": self._watch.probe.memory_bytes,
        }


def supervisor(settings: SupervisorSettings) -> Service:
    """The service of one host, for bus.host.host."""

    def service(bus: Bus) -> AbstractAsyncContextManager[HealthProbe]:
        return _run(bus, settings)

    return service


@asynccontextmanager
async def _run(bus: Bus, settings: SupervisorSettings) -> AsyncIterator[HealthProbe]:
    runtime = await choose_runtime(settings)
    handlers = Handlers(runtime, credential_mint(settings), surroundings(settings, runtime.kind))
    watch = HostWatch(bus, runtime, settings.host)
    try:
        # Should one of them fail, so does the service, and whoever started it starts it again.
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(watch.follow(), name="containers"),
                group.create_task(watch.beat(), name="heartbeat"),
            )
            await handlers.serve(bus, settings.host)
            yield SupervisorHealth(watch)
            for task in tasks:
                task.cancel()
    finally:
        await handlers.close()
        await runtime.close()
