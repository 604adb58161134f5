"""The orchestrator put together: the one place where its parts are made and meet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Follower, ensure_streams, read_on
from flotilla.schemas.contract import (
    ENGINE_EVENT_FEEDS,
    FLEET_AUDIT_ENTRY,
    FLEET_STOP_ORDER,
    GATEWAY_REFUSAL,
    HOST_COMMAND,
    HOST_STRANGER,
    NOTIFIER_COMMAND,
    Durability,
)
from flotilla.schemas.fault import Fault, FaultError
from flotilla.services.orchestrator.adapters.backtests import PostgresBacktests
from flotilla.services.orchestrator.adapters.catalog import CatalogFolder
from flotilla.services.orchestrator.adapters.ledgers import PostgresLedgers
from flotilla.services.orchestrator.adapters.measures import PostgresMeasures
from flotilla.services.orchestrator.adapters.packages import PostgresPackages
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.adapters.retention import PostgresRetention
from flotilla.services.orchestrator.adapters.template_files import TemplateFiles
from flotilla.services.orchestrator.backtests.backtests import Backtests
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.catalog.data_sets import DataSets
from flotilla.services.orchestrator.engines.actions import Actions, Alerts
from flotilla.services.orchestrator.engines.attendance import Attendance
from flotilla.services.orchestrator.engines.audit import Audit
from flotilla.services.orchestrator.engines.audit_trail import AuditTrail
from flotilla.services.orchestrator.engines.brakes import Brakes
from flotilla.services.orchestrator.engines.checker import PlanChecker
from flotilla.services.orchestrator.engines.claims import Claims
from flotilla.services.orchestrator.engines.cleanup import Cleaner
from flotilla.services.orchestrator.engines.clock import RecordClock
from flotilla.services.orchestrator.engines.commands import Commands
from flotilla.services.orchestrator.engines.core import ends, silence
from flotilla.services.orchestrator.engines.core.effects import ContainerEffect, StartAgain
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.restarts import standing_alerts
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.emergency import Emergency
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.event_log import EventLog
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.log_search import LogSearch
from flotilla.services.orchestrator.engines.orphans import Orphans
from flotilla.services.orchestrator.engines.planner import Planner
from flotilla.services.orchestrator.engines.ports import Record
from flotilla.services.orchestrator.engines.reads import Reads
from flotilla.services.orchestrator.engines.renewals import Renewals
from flotilla.services.orchestrator.engines.restarter import Restarter
from flotilla.services.orchestrator.engines.stores import Stores
from flotilla.services.orchestrator.engines.strategies import Strategies
from flotilla.services.orchestrator.engines.watch import Watch
from flotilla.services.orchestrator.handlers import Duties, serve
from flotilla.services.orchestrator.history.curves import Curves
from flotilla.services.orchestrator.history.keeping import Keeping
from flotilla.services.orchestrator.history.ledgers import Ledgers
from flotilla.services.orchestrator.history.measures import Measures
from flotilla.services.orchestrator.history.ports import LedgerRecord, MeasureRecord, RetentionRecord
from flotilla.services.orchestrator.packages.code import PackageCode
from flotilla.services.orchestrator.packages.packages import Packages
from flotilla.services.orchestrator.packages.ports import PackageRecord
from flotilla.services.orchestrator.packages.reviews import StartReviews
from flotilla.services.orchestrator.packages.shelf import PackageShelf
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.orchestrator.templates.library import Library
from flotilla.services.orchestrator.templates.ports import Catalog, Templates

log = get_logger(__name__)

_TRY_AGAIN_S: Final = 1.0
_TOLD_AGAIN: Final = timedelta(hours=1)
_LAST_TURNS_S: Final = 5.0


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the orchestrator keeps and reads, besides the bus."""

    record: Record
    backtests: BacktestRecord
    templates: Templates
    catalog: Catalog
    packages: PackageRecord
    ledgers: LedgerRecord
    measures: MeasureRecord
    retention: RetentionRecord


class Orchestrator:
    """One orchestrator on one bus and one record. `run` brings it up and keeps it going until it is cancelled."""

    def __init__(
        self, bus: Bus, outside: Outside, settings: OrchestratorSettings, clock: RecordClock
    ) -> None:
        self._bus = bus
        self._outside = outside
        self._record = record = outside.record
        self._clock = clock
        self._fleet = Fleet()
        self._sightings = FleetSightings(clock())
        self._alerts = Alerts(bus)
        self._stores = Stores(bus, record, clock, folders=settings.stores, alerts=self._alerts)
        self._audit = Audit(bus, record, clock, self._alerts)
        self._trail = AuditTrail(bus, record)
        self._ledger = Ledger(record, clock, self._audit)
        self._audit_kept = timedelta(days=settings.audit_days)
        self._actions = Actions(
            bus,
            record,
            self._fleet,
            self._sightings,
            clock,
            alerts=self._alerts,
            report=self._report,
            look=self._look,
            again=self._again,
        )
        self._mailboxes = EngineMailboxes(record, self._fleet, self._actions.perform)
        known = (record, self._fleet, self._sightings, clock)
        self._restarter = Restarter(*known, mailboxes=self._mailboxes, alerts=self._alerts)
        self._orphans = self._made_orphans(settings)
        self._claims = Claims(self._fleet, clock, mailboxes=self._mailboxes, audit=self._audit)
        self._measures = Measures(outside.measures, clock)
        self._watch = Watch(
            bus,
            *known,
            mailboxes=self._mailboxes,
            actions=self._actions,
            orphans=self._orphans,
            claims=self._claims,
            measured=self._measures.heard,
        )
        self._events = EventLog(*known, mailboxes=self._mailboxes, claims=self._claims)
        self._renewals = Renewals(bus, *known, alerts=self._alerts)
        self._attendance = Attendance(bus, self._fleet, self._sightings, clock)
        self._shelf = PackageShelf(outside.templates, outside.packages)
        self._library = Library(self._shelf, PlanChecker(bus, self._sightings, clock).ask)
        self._duties = self._made_duties(settings)
        self._is_loaded = False

    async def serve(self) -> None:
        """Answers calls; `unavailable` until the record was read."""
        self._bus.witness = self._audit.saw
        await serve(self._bus, self._duties, lambda: self._is_loaded, self._stores.refuse_unless_kept)
        await self._watch.listen()
        await self._duties.backtests.listen()

    async def run(self) -> None:
        """Reads the record, then follows engines and looks around. Waits for what is away."""
        await self._load()
        await _until_done(lambda: ensure_streams(self._bus))
        follower = Follower(self._bus, ENGINE_EVENT_FEEDS, self._events.take, durable="orchestrator")
        hosts = Follower(self._bus, [HOST_COMMAND], self._audit.take, durable="audit")
        strangers = Follower(self._bus, [HOST_STRANGER], self._claims.take, durable="strangers")
        orders = Follower(self._bus, [FLEET_STOP_ORDER], self._audit.take_orders, durable="stop-orders")
        waiting = Follower(self._bus, [FLEET_AUDIT_ENTRY], self._audit.take_waiting, durable="audit-waiting")
        notifier = Follower(
            self._bus, [NOTIFIER_COMMAND], self._audit.take_notifier, durable="notifier-commands"
        )
        turned_away = Follower(self._bus, [GATEWAY_REFUSAL], self._audit.take_refusals, durable="refusals")
        async with asyncio.TaskGroup() as group:
            group.create_task(turned_away.run(), name="refusals")
            group.create_task(notifier.run(), name="notifier's commands")
            group.create_task(waiting.run(), name="waiting audit entries")
            group.create_task(follower.run(), name="events")
            group.create_task(self._audit.run(), name="audit")
            group.create_task(self._audit.forget(self._audit_kept), name="old audit entries")
            group.create_task(self._trail.run(), name="audit heads")
            group.create_task(hosts.run(), name="host commands")
            group.create_task(strangers.run(), name="strangers")
            group.create_task(orders.run(), name="stop orders")
            group.create_task(self._watch.run(), name="rounds")
            group.create_task(self._renewals.run(), name="leases")
            group.create_task(self._attendance.run(), name="attendance")
            group.create_task(self._stores.run(), name="stores")
            group.create_task(self._library.run(), name="templates")
            group.create_task(self._measures.run(), name="history")
            group.create_task(self._duties.keeping.run(), name="retention")
            group.create_task(self._duties.backtests.run(), name="backtests")

    async def close(self) -> None:
        """Lets the turns that are being taken end, and leaves the rest to the next one."""
        await self._duties.backtests.close()
        await self._ledger.close()
        await self._mailboxes.join(_LAST_TURNS_S)
        await self._mailboxes.close()
        await self._orphans.close()
        await self._renewals.close()
        await self._attendance.close()
        await self._actions.close()
        await self._duties.emergency.close()
        await self._trail.close()

    def checks(self) -> dict[str, str]:
        """What we depend on."""
        return {
            **self._stores.checks(),
            "loaded": "ok" if self._is_loaded else "the record has not been read yet",
        }

    def metrics(self) -> dict[str, float]:
        """Our figures."""
        return {
            "engines": len(self._fleet.ids()),
            "engines_active": len(self._fleet.active()),
            "backtests_running": self._duties.backtests.running,
            "leases_held": len(self._renewals),
            "orphans_in_sight": len(self._orphans),
            "hosts_in_sight": len(self._sightings.hosts(self._clock())),
            **self._stores.metrics(),
            "events_recorded_total": self._events.counts.recorded,
            "audit_entries_lost_total": self._audit.lost,
            "audit_protected": float(self._trail.is_protected or False),
            "events_poisoned_total": self._events.counts.poisoned,
            "claims_not_believed_total": self._claims.found,
            "history_rows_total": self._measures.rows_written,
            "history_rows_lost_total": self._measures.rows_lost,
            "record_rows_deleted_total": self._duties.keeping.deleted,
        }

    def _made_orphans(self, settings: OrchestratorSettings) -> Orphans:
        return Orphans(
            self._bus,
            self._clock,
            mailboxes=self._mailboxes,
            actions=self._actions,
            policy=settings.orphan_policy,
            grace=timedelta(seconds=settings.orphan_grace_s),
            said_before=self._take_again,
        )

    def _made_duties(self, settings: OrchestratorSettings) -> Duties:
        bus, record, fleet, sightings, clock = (
            self._bus,
            self._record,
            self._fleet,
            self._sightings,
            self._clock,
        )
        catalog, ledger = self._outside.catalog, self._ledger
        code = PackageCode(self._outside.packages, self._shelf)
        planner = Planner(self._library, catalog, clock, lease_ttl_s=settings.lease_ttl_s)
        known, mailboxes = (record, fleet, sightings, clock), self._mailboxes
        return Duties(
            commands=Commands(*known, mailboxes=mailboxes, ledger=ledger, planner=planner),
            brakes=Brakes(bus, fleet, sightings, clock, mailboxes=mailboxes, ledger=ledger),
            cleaner=Cleaner(bus, record, sightings, clock, mailboxes=mailboxes, ledger=ledger),
            emergency=Emergency(bus, record, fleet, sightings, clock, ledger=ledger, alerts=self._alerts),
            audit=self._audit,
            trail=self._trail,
            library=self._library,
            reads=Reads(bus, *known, catalog=catalog, templates=self._library),
            log_search=LogSearch(bus, fleet),
            strategies=Strategies(bus, record, fleet, ledger=ledger, planner=planner),
            backtests=Backtests(
                bus,
                self._outside.backtests,
                fleet,
                sightings,
                clock,
                mailboxes=mailboxes,
                ledger=ledger,
                planner=planner,
                library=self._library,
                catalog=catalog,
                engines=self._outside.record,
                code=code,
            ),
            packages=Packages(bus, self._outside.packages, self._shelf, sightings, clock, ledger=ledger),
            reviews=StartReviews(record, fleet, planner, shelf=self._shelf, code=code),
            data_sets=DataSets(bus, sightings, clock, ledger=ledger),
            ledgers=Ledgers(self._outside.ledgers, fleet),
            curves=Curves(self._outside.measures, fleet, clock),
            keeping=Keeping(
                self._outside.retention,
                clock,
                settings.retention,
                audit_days=settings.audit_days,
                tell=self._alerts.tell,
            ),
        )

    async def _again(self, effect: StartAgain) -> None:
        await self._restarter.start_again(effect)

    async def _take_again(self, instance_id: str) -> None:
        after, subjects = 0, f"engine.{instance_id}.>"
        while batch := await read_on(self._bus, Durability.EVENTS, after, subjects=subjects):
            after = batch[-1].seq
            await self._events.take(batch)

    def _look(self, instance_id: str) -> None:
        self._watch.look(instance_id)

    def _report(self, effect: ContainerEffect, problem: Fault | None, is_taken: bool) -> None:
        self._watch.report(effect, problem, is_taken)

    async def _load(self) -> None:
        await _until_done(self._record.migrate)
        await _until_done(self._read_record)

    async def _read_record(self) -> None:
        self._clock.join(await self._record.kept_time())
        await self._record.keep_time(self._clock.keep())
        self._sightings.since = self._clock()
        for engine in await self._record.engines():
            self._fleet.put(engine)
            # What was saved just before we died was perhaps never told.
            is_recent = self._clock() - engine.updated_at < _TOLD_AGAIN
            if engine.is_active or is_recent:
                self._actions.untold.add(engine.instance_id)
            now = self._clock()
            alerts = (
                *standing_alerts(engine, now),
                *ends.standing(engine, now),
                *silence.standing(engine, now),
            )
            for alert in alerts if is_recent else ():
                self._actions.begin(alert)
        self._is_loaded = True
        log.info("record read", engines=len(self._fleet.ids()))


def orchestrator(
    settings: OrchestratorSettings, clock: RecordClock | None = None
) -> Callable[[Bus], AbstractAsyncContextManager[Orchestrator]]:
    """The service that bus.host runs."""

    @asynccontextmanager
    async def service(bus: Bus) -> AsyncIterator[Orchestrator]:
        record = await PostgresRecord.open(settings.dsn, settings.password())
        outside = Outside(
            record=record,
            backtests=PostgresBacktests(record),
            templates=TemplateFiles(settings.templates, settings.strategy_modules),
            catalog=CatalogFolder(settings.catalog),
            packages=PostgresPackages(record),
            ledgers=PostgresLedgers(record),
            measures=PostgresMeasures(record),
            retention=PostgresRetention(record),
        )
        try:
            async with running(Orchestrator(bus, outside, settings, clock or RecordClock())) as made:
                yield made
        finally:
            await record.close()

    return service


@asynccontextmanager
async def running(made: Orchestrator) -> AsyncIterator[Orchestrator]:
    """The orchestrator answers calls and runs within this."""
    try:
        await made.serve()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.run(), name="orchestrator")
            yield made
            task.cancel()
    finally:
        await made.close()


async def _until_done(attempt: Callable[[], Awaitable[None]]) -> None:
    """Tries until nothing it needs is away."""
    while True:
        try:
            await attempt()
        except FaultError as error:
            log.warning("waiting", error=str(error))
            await asyncio.sleep(_TRY_AGAIN_S)
        else:
            return
