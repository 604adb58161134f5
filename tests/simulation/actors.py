"""The services and sidecars as processes of the simulation: the product's own objects on simulated ports, made anew after each death."""

import asyncio
import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from nats import errors

from flotilla.bus.bus import Bus
from flotilla.bus.settings import BusSettings
from flotilla.engine_sidecar.process.ports import Surroundings
from flotilla.engine_sidecar.session.engine_session import EngineSession
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.engine_sidecar.sidecar import exit_code
from flotilla.schemas.catalog import CatalogView
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.secrets import BoundSecret
from flotilla.schemas.session import CacheAccess, Launch, SessionSpec
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.backtests.ports import Backlog
from flotilla.services.orchestrator.engines.clock import RecordClock
from flotilla.services.orchestrator.history.ports import Sizes
from flotilla.services.orchestrator.service import Orchestrator, Outside, running
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from flotilla.services.supervisor import service as supervisor
from flotilla.services.supervisor.adapters.order_log import BusOrderLog
from flotilla.services.supervisor.core.launch import EngineSurroundings
from flotilla.services.supervisor.identities import NoIdentities
from flotilla.services.supervisor.launching import Launches
from flotilla.services.supervisor.ports import LeftOrder, StopUnderWay
from tests.fakes.memory_record import MemoryRecord, Store
from tests.simulation.docker import Container, Docker, SimRuntime
from tests.simulation.engine import NoMeter, Script, SimProcesses, Witness
from tests.simulation.loop import Process, SimLoop
from tests.simulation.network import EPOCH, Server, SimClient
from tests.unit.orchestrator.template_sets import SHELF

SETTINGS: Final = msgspec.structs.replace(
    OrchestratorSettings.from_env({}),
    dsn="",
    catalog=Path("/nowhere"),
    templates=(),
    orphan_grace_s=20.0,
)
_SIDECAR: Final = msgspec.structs.replace(
    Settings.from_env({}), heartbeat_file=Path(os.devnull), flush_s=20.0
)


class Machine:
    """A computer: a wall clock that may be set, and a cable that may be pulled."""

    def __init__(self, loop: SimLoop, server: Server, name: str) -> None:
        self.loop, self.server, self.name = loop, server, name
        self.ahead_s = 0.0
        self.is_cut = False

    def wall(self) -> datetime:
        """What its clock on the wall shows."""
        return EPOCH + timedelta(seconds=self.loop.time() + self.ahead_s)

    async def connect(self, process: Process, name: str) -> Bus:
        """A bus for a process on it, as soon as the server can be reached."""
        while self.is_cut or not self.server.is_up:
            await asyncio.sleep(0.3)
        bus = self.server.connect(process, name)
        client: Any = bus.client
        client.machine = self
        return bus

    def clients(self) -> list[SimClient]:
        """The connections from it."""
        return [each for each in self.server.clients if getattr(each, "machine", None) is self]

    def cut(self) -> None:
        """Pulls the cable."""
        self.is_cut = True
        for client in self.clients():
            client.cut()

    def mend(self) -> None:
        """Puts it back."""
        self.is_cut = False
        for client in self.clients():
            client.mend()


class Service:
    """A process that is started again whenever it ends, as by `flotilla up` or systemd."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        serve: Callable[[Process, Bus], Any],
        tell: Callable[[str], None],
    ) -> None:
        self.machine, self.name, self._serve, self._tell = machine, name, serve, tell
        self.lives = 0
        self.start()

    def start(self) -> None:
        """Begins a life."""
        self.lives += 1
        self.process = process = Process(self.machine.loop, self.name)
        process.at_end.append(self._again)
        process.run(self._live(process))

    async def _live(self, process: Process) -> None:
        try:
            bus = await self.machine.connect(process, self.name)
            async with self._serve(process, bus):
                await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001  it ends here whatever it is
            self._tell(f"{self.name} gives up: {error!r}")
            if not _may_happen(error):
                self.machine.loop.problems.append(f"{self.name} gives up: {error!r}")
        process.kill()

    def _again(self) -> None:
        self.machine.loop.outside(self.machine.loop.random.uniform(0.2, 4.0), self.start)


def _may_happen(error: Exception) -> bool:
    """True for what a service may end with while what it needs is away: it is started again."""
    if isinstance(error, ExceptionGroup):
        return all(map(_may_happen, error.exceptions))
    return isinstance(error, FaultError | TimeoutError | errors.Error)


# -- orchestrator


class StoreTrouble(msgspec.Struct):
    """Whether PostgreSQL is away, and how likely it is that the outcome of a commit is not known."""

    is_away: bool = False
    unknown: float = 0.0


class SimRecord(MemoryRecord):
    """One orchestrator's way to PostgreSQL."""

    def __init__(self, store: Store, loop: SimLoop, trouble: StoreTrouble) -> None:
        super().__init__(store)
        self._loop, self._trouble = loop, trouble

    async def reach(self) -> None:
        await asyncio.sleep(self._loop.random.uniform(0.0002, 0.003))
        if self._trouble.is_away:
            raise fault(FaultCode.UNAVAILABLE, "the record is away; nothing was changed", retry_after_s=2.0)

    async def change(self, do: Callable[[], None]) -> None:
        await self.reach()
        if self._loop.random.random() < self._trouble.unknown:
            if self._loop.random.random() < 0.5:
                do()
            raise fault(FaultCode.OUTCOME_UNKNOWN, "the record went away while this was being written")
        do()
        await asyncio.sleep(0.0005)


class NoBacktests:
    """A BacktestRecord in which there are none."""

    async def backlog(self) -> Backlog:
        return Backlog(open=0, ahead=0, newest=None)

    async def nothing(self, *_: Any, **__: Any) -> list[Any]:
        return []

    unqueued = lost = running = works = strays = studies = changed_since = nothing


class NoPackages:
    """A PackageRecord in which there are none."""

    async def versions(self) -> list[Any]:
        return []

    async def removed(self) -> list[Any]:
        return []


class NoLedgers:
    """A LedgerRecord in which there is nothing."""

    async def page(self, *_: Any) -> list[Any]:
        return []


class NoMeasures:
    """A MeasureRecord that keeps nothing."""

    async def nothing(self, *_: Any) -> list[Any]:
        return []

    prepare = add = add_lost = roll = drop = rows = lost = nothing

    async def day_starts(self, *_: Any) -> dict[str, Any]:
        return {}


class NoRetention:
    """A RetentionRecord of which nothing is old."""

    async def prune_events(self, *_: Any) -> tuple[int, int]:
        return 0, 0

    async def prune(self, *_: Any) -> int:
        return 0

    async def sizes(self) -> Sizes:
        return Sizes(bytes=0, events=0, events_bytes=0, event_bytes=0.0)


class PlanSources:
    """Templates that are always there."""

    async def template_set(self) -> TemplateSet:
        return SHELF


class NoCatalog:
    """A catalog without data."""

    async def view(self) -> CatalogView:
        return CatalogView(path="/catalog", entries=())


def orchestrator(
    machine: Machine, store: Store, trouble: StoreTrouble, lease_ttl_s: float, tell: Callable[[str], None]
) -> Service:
    """The product's orchestrator on this machine."""
    loop = machine.loop
    settings = msgspec.structs.replace(SETTINGS, lease_ttl_s=lease_ttl_s)

    def serve(_: Process, bus: Bus) -> Any:
        backtests: Any = NoBacktests()
        packages: Any = NoPackages()
        measures: Any = NoMeasures()
        retention: Any = NoRetention()
        outside = Outside(
            record=SimRecord(store, loop, trouble),
            backtests=backtests,
            templates=PlanSources(),
            catalog=NoCatalog(),
            packages=packages,
            ledgers=NoLedgers(),
            measures=measures,
            retention=retention,
        )
        clock = RecordClock(monotonic=loop.time, wall=machine.wall, boot_id="boot")
        return running(Orchestrator(bus, outside, settings, clock))

    return Service(machine, "orchestrator", serve, tell)


# -- supervisors


class Disk:
    """What a supervisor keeps in its state folder."""

    def __init__(self) -> None:
        self.flags: tuple[StopFlag, ...] = ()
        self.called_off: tuple[str, ...] = ()
        self.stops: tuple[StopUnderWay, ...] = ()


class Flags:
    """A FlagStore on that disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def load(self) -> tuple[StopFlag, ...]:
        return self._disk.flags

    def save(self, flags: tuple[StopFlag, ...]) -> None:
        self._disk.flags = flags

    def left(self) -> tuple[LeftOrder, ...]:
        return ()

    def settle(self, order: LeftOrder) -> None:
        raise NotImplementedError


class CalledOffs:
    """A CalledOffStore on that disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def load(self) -> tuple[str, ...]:
        return self._disk.called_off

    def save(self, sessions: tuple[str, ...]) -> None:
        self._disk.called_off = sessions


class StopsKept:
    """A StopStore on that disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def load(self) -> tuple[StopUnderWay, ...]:
        return self._disk.stops

    def save(self, stops: tuple[StopUnderWay, ...]) -> None:
        self._disk.stops = stops


class Cache:
    """A Redis that lets every engine in, as CacheUsers."""

    async def admit(self, spec: SessionSpec) -> CacheAccess:
        return CacheAccess(host="redis", port=6379, username=spec.instance_id, password="p")

    async def dismiss(self, session_id: str) -> None:
        """Nothing is kept."""

    async def look(self, running: Collection[str]) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is held."""


class Secrets:
    """A SecretStore that has every secret."""

    def read(self, names: Any) -> dict[str, BoundSecret]:
        return {name: BoundSecret(values={"api_key": "k", "api_secret": "s"}) for name in names}


def supervisor_of(machine: Machine, docker: Docker, disk: Disk, tell: Callable[[str], None]) -> Service:
    """The product's supervisor of this machine."""

    def serve(process: Process, bus: Bus) -> Any:
        runtime, cache = SimRuntime(docker, process), Cache()
        surroundings = EngineSurroundings(
            bus_url="nats://bus", catalog_path="/catalog", enforce_memory=False, host=docker.host
        )
        launches = Launches(
            NoIdentities(), Secrets(), cache, surroundings, is_isolated=runtime.is_isolated, image=None
        )
        outside = supervisor.Outside(
            host=docker.host,
            runtime=runtime,
            cache=cache,
            launches=launches,
            flags=Flags(disk),
            called_off=CalledOffs(disk),
            stops=StopsKept(disk),
            orders=BusOrderLog(bus),
        )
        return supervisor.supervising(bus, outside, machine.wall)

    return Service(machine, docker.host, serve, tell)


# -- sidecars


def live(
    machine: Machine, container: Container, script: Script, stdout: int, witness: Witness
) -> SimProcesses:
    """Runs the product's sidecar in a container that has just been started."""
    process = container.process
    assert process is not None
    processes = SimProcesses(process, script, witness)

    async def main() -> None:
        # Until it has read its line and set its handlers, SIGTERM ends it.
        await asyncio.sleep(machine.loop.random.uniform(0.05, 0.8))
        launch = msgspec.json.decode(container.line, type=Launch)

        async def connect(settings: BusSettings) -> Bus:
            return await machine.connect(process, settings.name)

        around = Surroundings(
            stdout=stdout,
            connect=connect,
            now=machine.loop.time,
            now_ns=lambda: round(machine.wall().astimezone(UTC).timestamp() * 1e9),
        )
        change = await EngineSession(launch, processes, NoMeter(), around, _SIDECAR).run()
        container.exit(exit_code(change))

    process.run(main())
    return processes
