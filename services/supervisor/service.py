"""The supervisor as a service on the bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.host import HealthProbe, Service
from flotilla.bus.logs import get_logger
from flotilla.bus.packages import fetch_package, fetch_wheel
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import OwnPlace
from flotilla.services.supervisor.adapters.called_off_file import CalledOffFile
from flotilla.services.supervisor.adapters.import_files import ImportFiles
from flotilla.services.supervisor.adapters.order_log import BusOrderLog
from flotilla.services.supervisor.adapters.place_file import PlaceFile
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.adapters.stops_file import StopsFile
from flotilla.services.supervisor.called_off import CalledOff
from flotilla.services.supervisor.catalog import HostCatalog
from flotilla.services.supervisor.checks import PlanChecks
from flotilla.services.supervisor.emergency import EmergencyStops
from flotilla.services.supervisor.fleet_orders import FleetOrders
from flotilla.services.supervisor.handlers import Handlers
from flotilla.services.supervisor.imports import Imports
from flotilla.services.supervisor.launching import Launches
from flotilla.services.supervisor.observers import Observers
from flotilla.services.supervisor.ports import (
    CacheUsers,
    CalledOffStore,
    Connections,
    ContainerRuntime,
    FlagStore,
    ImportStore,
    NothingKept,
    OrderLog,
    StopStore,
)
from flotilla.services.supervisor.settings import SupervisorSettings
from flotilla.services.supervisor.standing import StandingOrders
from flotilla.services.supervisor.stop_gate import StopGate
from flotilla.services.supervisor.stops import Stops
from flotilla.services.supervisor.strangers import StrangerWatch
from flotilla.services.supervisor.telling import CommandTeller
from flotilla.services.supervisor.watcher import HostWatch
from flotilla.services.supervisor.wiring import (
    cache_users,
    choose_runtime,
    engine_connections,
    launches,
    observers,
    secret_store,
)

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
    observers: Observers | None = None
    connections: Connections | None = None
    imports: ImportStore | None = None


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
        observers=observers(settings),
        connections=engine_connections(settings),
        imports=ImportFiles(settings.own_catalog) if settings.own_catalog else None,
    )
    PlaceFile(settings.state).save(_place(settings, runtime.kind))
    async with supervising(bus, outside) as health:
        yield health


@asynccontextmanager
async def supervising(
    bus: Bus, outside: Outside, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[HealthProbe]:
    """The supervisor of one host answers calls and looks after its sessions within this. `now` is the wall clock."""
    parts = _Parts(bus, outside, now)
    try:
        await parts.standing.begin()
        await _caught_up(parts.fleet_orders)
        await parts.stops.resume()
        # Should one of them fail, so does the service, and whoever started it starts it again.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop, name=name) for name, loop in parts.loops()]
            await parts.handlers.serve(bus, outside.host)
            yield SupervisorHealth(parts.watch)
            for task in tasks:
                task.cancel()
    finally:
        await parts.close()


class _Parts:
    """What a supervisor is made of, put together and not begun."""

    def __init__(self, bus: Bus, outside: Outside, now: Callable[[], datetime]) -> None:
        self._outside = outside
        self._desk = desk = outside.launches.desk
        runtime, host = outside.runtime, outside.host
        self.watch = watch = HostWatch(
            bus,
            runtime,
            outside.cache,
            host,
            labels=outside.labels,
            stop_flags=lambda: orders.flags,
            saw=desk.saw,
            now=now,
        )
        orders = StopGate(outside.flags, now, changed=watch.tell_flags, be_current=self._be_current)
        self._emergency = EmergencyStops(bus, runtime, orders, host, lambda: watch.containers)
        self._teller = CommandTeller(bus, host, now)
        bus.witness = self._teller.saw
        self._strangers = None
        if outside.connections is not None:
            self._strangers = StrangerWatch(bus, host, outside.connections, sessions=desk.sessions, now=now)
        self.stops = Stops(runtime, outside.stops)
        self._called_off = CalledOff(outside.called_off)
        self.standing = StandingOrders(orders, self._emergency, carried_out=self._teller.carried_out)
        self.fleet_orders = FleetOrders(
            outside.orders,
            orders,
            reconnects=lambda: bus.stats.reconnects,
            carry_out=self.standing.carry_out,
        )
        path = outside.launches.catalog_path
        self._imports = Imports(runtime, outside.imports, path, host, now)
        self._checks = PlanChecks(runtime, partial(fetch_package, bus), partial(fetch_wheel, bus))
        self.handlers = Handlers(
            runtime,
            outside.launches,
            orders=orders,
            stops=self.stops,
            called_off=self._called_off,
            emergency=self._emergency,
            checks=self._checks,
            catalog=HostCatalog(runtime, path),
            imports=self._imports,
        )

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What goes on for as long as the supervisor does, by name."""
        runtime = self._outside.runtime
        yield "containers", self.watch.follow()
        yield "heartbeat", self.watch.beat()
        yield "cache", self.watch.look_after_cache()
        yield "stops", self.standing.run()
        yield "fleet's stops", self.fleet_orders.run()
        yield "audit", self._teller.run()
        yield "sweep", self._called_off.sweep(runtime)
        yield "credentials", self._desk.run(runtime)
        yield "imports", self._imports.run()
        if self._outside.observers is not None:
            yield "observers", self._outside.observers.run()
        if self._strangers is not None:
            yield "strangers", self._strangers.run()

    async def close(self) -> None:
        """Lets go of what is under way, and of connections."""
        for part in (self.standing, self.stops, self._emergency, self._desk, self._checks):
            await part.close()
        if self._outside.observers is not None:
            await self._outside.observers.close()
        if self._strangers is not None:
            await self._strangers.close()
        await self._outside.cache.close()
        await self._outside.runtime.close()

    async def _be_current(self) -> None:
        await self.fleet_orders.be_current()


async def _caught_up(fleet_orders: FleetOrders) -> None:
    """With the fleet's stops, or with nothing that could be read: then nothing starts before it can be."""
    try:
        await fleet_orders.be_current()
    except FaultError as error:
        log.warning("the fleet's stops cannot be read yet", error=str(error))


def _place(settings: SupervisorSettings, runtime: str) -> OwnPlace:
    return OwnPlace(host=settings.host, owner=settings.owner, runtime=runtime, docker_url=settings.docker_url)
