"""What people ask of the fleet. Engines are answered from memory; sessions and events from the record; logs from their stream."""

from collections.abc import Sequence

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import history
from flotilla.schemas.catalog import CatalogView, ListCatalog, market_data
from flotilla.schemas.contract import LOG
from flotilla.schemas.engine import (
    EngineList,
    EngineLogs,
    EngineView,
    EventList,
    FleetStatus,
    Holdings,
    ListEngines,
    ListSessions,
    ReadEvents,
    ReadHoldings,
    ReadLogs,
    SessionList,
    WhichEngine,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.host import HostList, ListHosts
from flotilla.schemas.labels import matches
from flotilla.schemas.session import ContainerList, ListContainers
from flotilla.schemas.telemetry import LogLines
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core import logs
from flotilla.services.orchestrator.engines.core.events import MAX_SEQ
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.core.views import host_views, live_view, session_view
from flotilla.services.orchestrator.engines.listing import list_containers
from flotilla.services.orchestrator.engines.ports import Record
from flotilla.services.orchestrator.templates.core.components import known_by
from flotilla.services.orchestrator.templates.ports import Catalog, Templates

log = get_logger(__name__)

_LOG_BATCHES = 1_000
_LIST_TIMEOUT_S = 3.0


async def held_on_record(record: Record, session_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Open positions and orders in words, of those of these sessions that have any. Raises FaultError `unavailable`."""
    exposures = await record.exposures(session_ids)
    return {session_id: tuple(exposure.in_words()) for session_id, exposure in exposures.items()}


class Reads:
    """The calls that change nothing."""

    def __init__(
        self,
        bus: Bus,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        catalog: Catalog,
        templates: Templates,
    ) -> None:
        self._bus = bus
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._catalog = catalog
        self._templates = templates

    async def status(self, request: WhichEngine) -> FleetStatus:
        """The engine meant, with telemetry, and every active one."""
        meant = self._fleet.which(request.instance_id)
        active = (self._view(engine) for engine in self._fleet.active() if not engine.is_worker)
        return FleetStatus(engine=self._view(meant) if meant else None, active=fitting(active))

    async def engines(self, request: ListEngines) -> EngineList:
        """Engines, most recent first."""
        known = self._fleet.active() if request.active else self._fleet.recent()
        engines = [engine for engine in known if matches(engine.shown_config.labels, request.labels)]
        start = _place_after(request.cursor, engines)
        shown = fitting(self._view(engine) for engine in engines[start : start + request.limit])
        is_last = start + len(shown) >= len(engines) or not shown
        return EngineList(
            engines=shown, total_count=len(engines), next=None if is_last else shown[-1].instance_id
        )

    async def sessions(self, request: ListSessions) -> SessionList:
        """The sessions of an engine, newest first."""
        self._fleet.known(request.instance_id)
        sessions = await self._record.sessions(request.instance_id, request.limit)
        return SessionList(sessions=fitting(session_view(session) for session in sessions))

    async def logs(self, request: ReadLogs) -> EngineLogs:
        """The last lines of an engine's log."""
        meant = self._fleet.which(request.instance_id)
        if meant is None:
            return EngineLogs(lines=(), total_lines=0, instance_id=None)
        kept = await history(self._bus, LOG, limit=_LOG_BATCHES, instance_id=meant.instance_id)
        batches = [batch for item in kept if (batch := _log_lines(item.data))]
        found = logs.select(batches, request, meant.instance_id)
        newest_first = fitting(reversed(found.lines))
        return msgspec.structs.replace(found, lines=newest_first[::-1])

    async def events(self, request: ReadEvents) -> EventList:
        """Durable events of one session of an engine; of its present one when none is named."""
        engine = self._fleet.known(request.instance_id)
        present = engine.session.session_id if engine.session else None
        session_id = request.session_id or present
        if session_id is None:
            return EventList(session_id=None, events=())
        if session_id != present:
            await self._check_owner(session_id, request.instance_id)
        after_seq = min(request.after_seq, MAX_SEQ)
        found = await self._record.events(session_id, after_seq, request.kind, request.limit)
        events = fitting(msgspec.Raw(body) for body in found)
        missing = await self._record.gaps(session_id)
        pruned_to = await self._record.pruned_to(session_id)
        return EventList(session_id=session_id, events=events, missing=tuple(missing), pruned_to=pruned_to)

    async def holdings(self, request: ReadHoldings) -> Holdings:
        """What sessions held when they were last heard, by their events on record."""
        return Holdings(held=await held_on_record(self._record, request.session_ids))

    async def hosts(self, request: ListHosts) -> HostList:
        """The hosts that were heard, by name."""
        now = self._clock()
        hosts = [each for each in host_views(self._sightings, now) if matches(each.labels, request.labels)]
        shown = fitting(hosts)
        heard_for_s = max(0.0, (now - self._sightings.since).total_seconds())
        return HostList(hosts=shown, heard_for_s=heard_for_s if len(shown) == len(hosts) else 0.0)

    async def containers(self, _: ListContainers) -> ContainerList:
        """The engine containers of every host in sight, and which hosts did not list theirs."""
        found, problems = await list_containers(
            self._bus, self._sightings, self._clock, timeout_s=_LIST_TIMEOUT_S
        )
        not_listed = tuple(f"{each.name}: {each.message}" for each in problems)
        return ContainerList(containers=fitting(found), not_listed=not_listed)

    async def catalog(self, request: ListCatalog) -> CatalogView:
        """What the data catalog holds; of classes that are not NautilusTrader's also which packages know them, while the record answers."""
        view = await self._catalog.view()
        entries = view.entries
        if len(market_data(entries)) < len(entries):
            try:
                template_set = await self._templates.template_set()
            except FaultError as error:
                log.warning("packages cannot be asked for classes of data", error=str(error))
            else:
                entries = known_by(entries, template_set)
        return msgspec.structs.replace(view, entries=fitting(entries))

    def _view(self, engine: Engine) -> EngineView:
        return live_view(engine, self._sightings, self._clock())

    async def _check_owner(self, session_id: str, instance_id: str) -> None:
        found = await self._record.sessions_named([session_id])
        if session_id not in found or found[session_id].instance_id != instance_id:
            raise fault(FaultCode.NOT_FOUND, f"engine {instance_id} has no session {session_id}")


def _log_lines(data: bytes) -> LogLines | None:
    try:
        return msgspec.json.decode(data, type=LogLines)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("log lines passed over", error=str(error))
        return None


def _place_after(instance_id: str | None, engines: Sequence[Engine]) -> int:
    """The place behind an engine; the first one where it is not among them any more."""
    places = (place for place, engine in enumerate(engines, 1) if engine.instance_id == instance_id)
    return next(places, 0)
