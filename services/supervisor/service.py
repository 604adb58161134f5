"""The supervisor as a service on the bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

from bus.bus import Bus
from bus.host import HealthProbe, Service
from schemas.session import OwnPlace
from services.supervisor.adapters.called_off_file import CalledOffFile
from services.supervisor.adapters.place_file import PlaceFile
from services.supervisor.adapters.stop_flag_file import StopFlagFile
from services.supervisor.assembly import cache_users, choose_runtime, launches
from services.supervisor.called_off import CalledOff
from services.supervisor.checks import PlanChecks
from services.supervisor.emergency import EmergencyStops
from services.supervisor.handlers import Handlers
from services.supervisor.settings import SupervisorSettings
from services.supervisor.standing import StandingOrders
from services.supervisor.stop_orders import StopOrders
from services.supervisor.telling import CommandTeller
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
    cache = cache_users(settings)
    watch = HostWatch(bus, runtime, cache, settings.host, stop_flags=lambda: orders.flags)
    orders = StopOrders(StopFlagFile(settings.state), lambda: datetime.now(UTC), changed=watch.tell_flags)
    emergency = EmergencyStops(bus, runtime, orders, settings.host, lambda: watch.containers)
    teller = CommandTeller(bus, settings.host, lambda: datetime.now(UTC))
    bus.witness = teller.saw
    standing = StandingOrders(orders, emergency, carried_out=teller.carried_out)
    handlers = Handlers(
        runtime,
        launches(settings, runtime, cache),
        orders=orders,
        called_off=CalledOff(CalledOffFile(settings.state)),
        emergency=emergency,
        checks=PlanChecks(runtime),
    )
    PlaceFile(settings.state).save(_place(settings, runtime.kind))
    try:
        await standing.begin()
        # Should one of them fail, so does the service, and whoever started it starts it again.
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(watch.follow(), name="containers"),
                group.create_task(watch.beat(), name="heartbeat"),
                group.create_task(watch.look_after_cache(), name="cache"),
                group.create_task(standing.run(), name="stops"),
                group.create_task(teller.run(), name="audit"),
            )
            await handlers.serve(bus, settings.host)
            yield SupervisorHealth(watch)
            for task in tasks:
                task.cancel()
    finally:
        await standing.close()
        await handlers.close()
        await cache.close()
        await runtime.close()


def _place(settings: SupervisorSettings, runtime: str) -> OwnPlace:
    return OwnPlace(host=settings.host, owner=settings.owner, runtime=runtime, docker_url=settings.docker_url)
