"""The supervisor as a service on the bus."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.host import HealthProbe, Service
from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import OwnPlace
from flotilla.services.supervisor.adapters.called_off_file import CalledOffFile
from flotilla.services.supervisor.adapters.order_log import BusOrderLog
from flotilla.services.supervisor.adapters.place_file import PlaceFile
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.adapters.stops_file import StopsFile
from flotilla.services.supervisor.called_off import CalledOff
from flotilla.services.supervisor.checks import PlanChecks
from flotilla.services.supervisor.emergency import EmergencyStops
from flotilla.services.supervisor.fleet_orders import FleetOrders
from flotilla.services.supervisor.handlers import Handlers
from flotilla.services.supervisor.launching import Launches
from flotilla.services.supervisor.ports import (
    CacheUsers,
    CalledOffStore,
    ContainerRuntime,
    FlagStore,
    NothingKept,
    OrderLog,
    StopStore,
)
from flotilla.services.supervisor.settings import SupervisorSettings
from flotilla.services.supervisor.standing import StandingOrders
from flotilla.services.supervisor.stop_gate import StopGate
from flotilla.services.supervisor.stops import Stops
from flotilla.services.supervisor.telling import CommandTeller
from flotilla.services.supervisor.watcher import HostWatch
from flotilla.services.supervisor.wiring import cache_users, choose_runtime, launches, secret_store

log = get_logger(__name__)


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor of one host acts on and keeps, besides the bus. `labels` are the host's."""

    host: str
    labels: dict[str, str] = {}
    runtime: ContainerRuntime
    cache: CacheUsers
    launches: Launches
    flags: FlagStore
    called_off: CalledOffStore
    stops: StopStore
    orders: OrderLog = NothingKept()


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
    outside = Outside(
        host=settings.host,
        labels=settings.labels,
        runtime=runtime,
        cache=cache,
        launches=launches(settings, runtime, cache, await asyncio.to_thread(secret_store, settings)),
        flags=StopFlagFile(settings.state),
        called_off=CalledOffFile(settings.state),
        stops=StopsFile(settings.state),
        orders=BusOrderLog(bus),
    )
    PlaceFile(settings.state).save(_place(settings, runtime.kind))
    async with supervising(bus, outside) as health:
        yield health


@asynccontextmanager
async def supervising(
    bus: Bus, outside: Outside, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[HealthProbe]:
    """The supervisor of one host answers calls and looks after its sessions within this. `now` is the wall clock."""
    runtime, cache, host = outside.runtime, outside.cache, outside.host
    desk = outside.launches.desk
    watch = HostWatch(
        bus,
        runtime,
        cache,
        host,
        labels=outside.labels,
        stop_flags=lambda: orders.flags,
        saw=desk.saw,
        now=now,
    )

    async def be_current() -> None:
        await fleet_orders.be_current()

    orders = StopGate(outside.flags, now, changed=watch.tell_flags, be_current=be_current)
    emergency = EmergencyStops(bus, runtime, orders, host, lambda: watch.containers)
    teller = CommandTeller(bus, host, now)
    bus.witness = teller.saw
    stops = Stops(runtime, outside.stops)
    called_off = CalledOff(outside.called_off)
    standing = StandingOrders(orders, emergency, carried_out=teller.carried_out)
    fleet_orders = FleetOrders(
        outside.orders, orders, reconnects=lambda: bus.stats.reconnects, carry_out=standing.carry_out
    )
    handlers = Handlers(
        runtime,
        outside.launches,
        orders=orders,
        stops=stops,
        called_off=called_off,
        emergency=emergency,
        checks=PlanChecks(runtime),
    )
    try:
        await standing.begin()
        await _caught_up(fleet_orders)
        await stops.resume()
        # Should one of them fail, so does the service, and whoever started it starts it again.
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(watch.follow(), name="containers"),
                group.create_task(watch.beat(), name="heartbeat"),
                group.create_task(watch.look_after_cache(), name="cache"),
                group.create_task(standing.run(), name="stops"),
                group.create_task(fleet_orders.run(), name="fleet's stops"),
                group.create_task(teller.run(), name="audit"),
                group.create_task(called_off.sweep(runtime), name="sweep"),
                group.create_task(desk.run(runtime), name="credentials"),
            )
            await handlers.serve(bus, host)
            yield SupervisorHealth(watch)
            for task in tasks:
                task.cancel()
    finally:
        await standing.close()
        await stops.close()
        await emergency.close()
        await desk.close()
        await cache.close()
        await runtime.close()


async def _caught_up(fleet_orders: FleetOrders) -> None:
    """With the fleet's stops, or with nothing that could be read: then nothing starts before it can be."""
    try:
        await fleet_orders.be_current()
    except FaultError as error:
        log.warning("the fleet's stops cannot be read yet", error=str(error))


def _place(settings: SupervisorSettings, runtime: str) -> OwnPlace:
    return OwnPlace(host=settings.host, owner=settings.owner, runtime=runtime, docker_url=settings.docker_url)
