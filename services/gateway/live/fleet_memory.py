"""The fleet in memory: heard from the bus, numbered, and told to everybody who looks on from the same bytes.

What may have been missed while the bus was away is asked for; until it is answered, what is told says that it is not complete.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.access import TokenRecord
from flotilla.schemas.alerting import AlertChange, AlertState, ListAlerts
from flotilla.schemas.backtest import BacktestStatus, BacktestView, ListBacktests
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineView, ListEngines
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.health import Health
from flotilla.schemas.heartbeats import ORCHESTRATOR_UNHEARD_S
from flotilla.schemas.history import DayStart, ReadDays
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.ledger import LedgerPage, ReadAccounts, ReadLedger, ReadOrders, ReadPositions
from flotilla.schemas.telemetry import EngineEvent, EngineMetrics, Heartbeat, HostHeartbeat, StopFlag
from flotilla.services.gateway.live.fleet_messages import (
    Encoded,
    FleetBeat,
    FleetChanges,
    FleetEnd,
    FleetMessage,
    FleetSnapshot,
    Viewer,
    snapshot_of,
)
from flotilla.services.gateway.live.known_engines import KnownEngines
from flotilla.services.gateway.live.numbered import Batch, FleetChange, NumberedRows
from flotilla.services.gateway.live.open_rows import OpenRows
from flotilla.services.gateway.live.place import Place
from flotilla.services.gateway.live.rows import (
    EngineRow,
    Mode,
    Row,
    ServiceRow,
    Topic,
    backtest_row,
    engine_row,
    host_row,
    mode_of,
    service_row,
)

log = get_logger(__name__)

PACE_S: Final = 0.2
"""Between two batches of changes."""
BEAT_S: Final = 1.0
"""A client hears something at least this often."""
MOST_BACKTESTS: Final = 500
"""The newest ones are in mind; all are on record."""
NATS: Final = "nats"
DAYS_S: Final = 10.0
"""How often it is asked with what equity engines began the day, while somebody looks."""
_TRY_AGAIN_S: Final = 1.0
_PAGE: Final = 1_000

type Recent = Callable[[], Awaitable[Sequence[EngineEvent[Any]]]]
type _ViewKey = tuple[frozenset[Topic], str]


class FleetClient:
    """Somebody who looks on. It is offered one message at most; while it has not taken that, what changes waits in the rows."""

    def __init__(self, viewer: Viewer, place: Place | None) -> None:
        self.viewer = viewer
        self.place = place
        self.offered: Encoded | None = None
        self.behind_since: datetime | None = None
        self.reason: str | None = None
        self.news = asyncio.Event()

    def end(self, reason: str) -> None:
        """It is told why it is over, and nothing else any more."""
        self.reason = reason
        self.news.set()


class FleetMemory:
    """Rows of engines, hosts, services and backtests. `hear` takes what the bus says, as it comes."""

    def __init__(
        self,
        bus: Bus,
        now: Callable[[], datetime],
        *,
        max_clients: int,
        lagged: Callable[[float], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._lagged = lagged
        self._now = now
        self._monotonic = monotonic
        self._max_clients = max_clients
        self.boot = new_request_id()
        self._rows = NumberedRows()
        self._open = OpenRows(self._rows)
        self._days: dict[str, DayStart] = {}
        self.known = KnownEngines()
        self._stops: dict[str, tuple[StopFlag, ...]] = {}
        self._backtests: dict[str, BacktestView] = {}
        self._running: dict[str, BacktestView] = {}
        self._orchestrator: tuple[datetime, float] | None = None
        self._orchestrator_s: float | None = None
        self._unsaid: set[str] = set()
        self._clients: set[FleetClient] = set()
        self._newer: list[set[str]] = []
        self._known_at = -1

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def is_complete(self) -> bool:
        """False until all there is was asked for, since something may have been missed last."""
        return self._bus.is_connected and self._known_at == self._missed()

    @property
    def is_current(self) -> bool:
        """True while it is complete, and the orchestrator is heard: what it says is then what the orchestrator would answer."""
        heard_s = self._orchestrator_s
        is_heard = heard_s is not None and self._monotonic() - heard_s < ORCHESTRATOR_UNHEARD_S
        return is_heard and self.is_complete

    async def start(self) -> None:
        """Subscribes to what nobody else hands us; returns when the server knows of it."""
        await self._bus.listen(contract.HOST_HEARTBEAT, self._hear_host)
        await self._bus.listen(contract.ALERT_CHANGE, self._hear_alert)
        # As they are said, and not from the stream of events: that may be out of reach while all else is heard.
        await self._bus.listen(contract.FLEET_STATE, self._hear_fleet)
        await self._bus.listen(contract.FLEET_BACKTEST, self._hear_fleet)
        for actor, feed in contract.SERVICE_HEARTBEATS.items():
            await self._bus.listen(feed, self._service(actor))

    async def run(self, recent: Recent) -> None:
        """Asks for what there is, and tells what changes, until cancelled. `recent` gives the last events before now: those may not be
        on record yet.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_complete(recent), name="what there is")
            group.create_task(self._keep_telling(), name="changes")
            group.create_task(self._keep_days(), name="the equity of the day's beginning")

    def hear(self, payload: object) -> None:
        """Takes a message of a feed; what is about no row says nothing here."""
        match payload:
            case EngineView():
                if self.saw(payload):
                    for told in self._newer:
                        told.add(payload.instance_id)
            case Heartbeat():
                self.known.beat(payload, self._now(), self._monotonic())
                self._unsaid.add(payload.instance_id)
            case EngineMetrics():
                self.known.metrics(payload, self._now())
                self._unsaid.add(payload.instance_id)
            case EngineEvent():
                self.known.event(payload)
                self._open.heard(payload)
            case BacktestView() if payload.study_id is None:
                self._saw_backtest(payload)

    def engines(self) -> list[EngineRow]:
        """Every engine, as it is now."""
        self._tell()
        of_engines = self._rows.rows(lambda topic, _: topic is Topic.ENGINES)
        return [row for _, _, row in of_engines if isinstance(row, EngineRow)]

    def running_backtests(self) -> list[BacktestView]:
        """Those that run and belong to no study."""
        return list(self._running.values())

    def saw(self, view: EngineView) -> bool:
        """Takes an engine as the record has it; False for a view that is older than the one that is known."""
        if not self.known.put(view):
            return False
        self._told_of(view)
        return True

    def forget(self, instance_id: str) -> None:
        """There is no such engine any more."""
        self.known.forget(instance_id)
        self._open.forget(instance_id)
        self._unsaid.add(instance_id)

    def snapshot(self, viewer: Viewer) -> FleetSnapshot:
        """Everything that somebody sees, as it is now."""
        self._tell()
        return snapshot_of(self._rows, viewer, boot=self.boot, at=self._now(), is_complete=self.is_complete)

    def rows(self, topics: Collection[Topic]) -> list[Row]:
        """Every row of these topics, as it is now."""
        self._tell()
        return [row for _, _, row in self._rows.rows(lambda topic, _: topic in topics)]

    @contextmanager
    def client(self, viewer: Viewer, place: Place | None) -> Iterator[FleetClient]:
        """A client while it is connected; one that left off in this run of ours goes on there. Raises FaultError `busy` when there are too many."""
        if len(self._clients) >= self._max_clients:
            message = f"{len(self._clients)} clients follow the fleet, more are not admitted"
            raise fault(FaultCode.BUSY, message, retry_after_s=5.0)
        # What came into its sight or left it meanwhile, by labels, is not known: who sees by labels begins anew.
        is_ours = place is not None and place.boot == self.boot and not viewer.token.labels
        client = FleetClient(viewer, place if is_ours else None)
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    async def next_message(self, client: FleetClient) -> Encoded:
        """What a client is to be told next: first all of it or what it missed, then what changes; a beat when nothing did for a second."""
        if client.reason is not None:
            return _encoded(FleetEnd(reason=client.reason))
        if client.place is None:
            return self._all(client)
        if client.offered is None and client.place.number == self._rows.number:
            try:
                async with asyncio.timeout(BEAT_S):
                    await client.news.wait()
            except TimeoutError:
                if client.place.number == self._rows.number:
                    return _encoded(self._beat())
        client.news.clear()
        if client.reason is not None:
            return _encoded(FleetEnd(reason=client.reason))
        message = self._taken(client) or self._missed_by(client)
        if client.behind_since is not None:
            self._lagged((self._now() - client.behind_since).total_seconds())
            client.behind_since = None
        return message

    def close(self) -> None:
        """Ends every stream."""
        for client in self._clients:
            client.end("closing")

    def revoke(self, ending: Callable[[TokenRecord], object | None]) -> None:
        """Ends the streams whose token is no longer good."""
        for client in self._clients:
            if client.reason is None and (why := ending(client.viewer.token)) is not None:
                log.info("fleet stream ended", caller=client.viewer.token.name, reason=str(why))
                client.end(str(why))

    def _all(self, client: FleetClient) -> Encoded:
        snapshot = self.snapshot(client.viewer)
        client.place, client.offered = Place(self.boot, snapshot.number), None
        client.behind_since = None
        return _encoded(snapshot, client.place)

    def _taken(self, client: FleetClient) -> Encoded | None:
        """The message that it was offered, where that goes on from its place."""
        offered, client.offered = client.offered, None
        if offered is not None and offered.place is not None:
            client.place = offered.place
        return offered

    def _missed_by(self, client: FleetClient) -> Encoded:
        """What changed while it did not read, each row once and as it is now."""
        number = client.place.number if client.place else 0
        changes = self._rows.since(number, client.viewer.sees)
        if changes is None:
            return self._all(client)
        client.place = Place(self.boot, self._rows.number)
        return _encoded(self._changes(self._rows.number, changes), client.place)

    def _number(self) -> Batch | None:
        """Makes rows of what was heard, and numbers what they change."""
        for instance_id in self._unsaid:
            if (view := self.known.get(instance_id)) is not None:
                heard = self.known.heard(instance_id)
                stop = self._stop_flag(view)
                day = self._days.get(instance_id)
                self._rows.put(Topic.ENGINES, instance_id, engine_row(view, heard, stop, day))
            else:
                self._rows.drop(Topic.ENGINES, instance_id)
        self._unsaid.clear()
        self._rows.put(Topic.SERVICES, NATS, ServiceRow(service=NATS, is_ready=self._bus.is_connected))
        return self._rows.close_batch()

    def _tell(self) -> None:
        """Numbers what changed, and offers it to who is waiting for just that."""
        batch = self._number()
        if batch is None:
            return
        told: dict[_ViewKey, Encoded | None] = {}
        now = self._now()
        for client in self._clients:
            if client.place is None or client.offered or client.place.number != batch.number - 1:
                client.behind_since = client.behind_since or now
                continue  # It reads what it missed from the rows.
            key = client.viewer.key
            if key not in told:
                told[key] = self._told(batch, client.viewer)
            if (message := told[key]) is None:
                client.place = Place(self.boot, batch.number)
            else:
                client.offered = message
                client.behind_since = now
                client.news.set()

    def _told(self, batch: Batch, viewer: Viewer) -> Encoded | None:
        changes = batch.seen(viewer.sees)
        if not changes:
            return None
        return _encoded(self._changes(batch.number, changes), Place(self.boot, batch.number))

    def _changes(self, number: int, changes: list[FleetChange]) -> FleetChanges:
        return FleetChanges(number=number, at=self._now(), is_complete=self.is_complete, changes=changes)

    def _beat(self) -> FleetBeat:
        return FleetBeat(number=self._rows.number, at=self._now(), is_complete=self.is_complete)

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(PACE_S)
            if self._clients:  # rows are made when somebody looks
                self._tell()

    async def _keep_complete(self, recent: Recent) -> None:
        while True:
            if self._bus.is_connected and not self.is_complete:
                try:
                    await self._ask(recent)
                except FaultError as error:
                    log.debug("what there is was not answered", error=str(error))
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _ask(self, recent: Recent) -> None:
        """Asks for all engines, the newest backtests, and what is open."""
        missed, orchestrator = self._missed(), self._orchestrator
        await self.ask_for_engines()
        await self._ask_for_backtests()
        for event in await recent():
            self._open.heard(event)
        await self._ask_for_open()
        await self._ask_for_alerts()
        if orchestrator in (None, self._orchestrator):  # else another one answered part of it
            self._known_at = missed

    async def ask_for_engines(self) -> None:
        """Takes all engines as the orchestrator answers now, but for what is told meanwhile: that is newer. Raises FaultError."""
        newer: set[str] = set()
        self._newer.append(newer)
        try:
            engines = await self._list_engines()
        finally:
            self._newer = [one for one in self._newer if one is not newer]
        for instance_id in self.known.ids() - engines.keys() - newer:
            self.forget(instance_id)
        for instance_id, view in engines.items():
            if instance_id not in newer:
                self.known.replace(view)
                self._told_of(view)

    async def _list_engines(self) -> dict[str, EngineView]:
        engines: dict[str, EngineView] = {}
        cursor: str | None = None
        while True:
            page = await self._bus.call(contract.ENGINE_LIST, ListEngines(limit=_PAGE, cursor=cursor))
            news = {view.instance_id: view for view in page.engines if view.instance_id not in engines}
            engines |= news
            if page.next is None or not news:
                return engines
            cursor = page.next

    async def _ask_for_backtests(self) -> None:
        """The newest, and all that run: what ran before, and is not among them, runs no more."""
        before = set(self._running)
        found = list((await self._bus.call(contract.BACKTEST_LIST, ListBacktests(limit=100))).backtests)
        asked = ListBacktests(status=BacktestStatus.RUNNING, limit=_PAGE)
        while True:
            page = await self._bus.call(contract.BACKTEST_LIST, asked)
            found += page.backtests
            if page.next is None:
                break
            asked = msgspec.structs.replace(asked, cursor=page.next)
        for gone in before - {view.backtest_id for view in found}:
            self._running.pop(gone, None)
        for view in found:
            self._saw_backtest(view)

    async def _ask_for_open(self) -> None:
        """What was said to be open before we listened."""
        await self._read_ledger(contract.LEDGER_ORDERS, ReadOrders(is_open=True, limit=_PAGE))
        await self._read_ledger(contract.LEDGER_POSITIONS, ReadPositions(is_open=True, limit=_PAGE))
        await self._read_ledger(contract.LEDGER_ACCOUNTS, ReadAccounts(is_latest=True, limit=_PAGE))

    async def _read_ledger[Q: ReadLedger](self, call: contract.Call[Q, LedgerPage[Any]], asked: Q) -> None:
        while True:
            page = await self._bus.call(call, asked)
            for row in page.rows:
                self._open.on_record(row)
            if page.next is None:
                return
            asked = msgspec.structs.replace(asked, cursor=page.next)

    async def _ask_for_alerts(self) -> None:
        """Those that are open. A notifier that is away makes nothing else incomplete: its row among the services says so."""
        try:
            found = (await self._bus.call(contract.ALERT_LIST, ListAlerts(limit=_PAGE))).alerts
        except FaultError as error:
            log.warning("open alerts were not read", error=str(error))
            return
        for gone in set(self._rows.ids(Topic.ALERTS)) - {alert.alert_id for alert in found}:
            self._rows.drop(Topic.ALERTS, gone)
        for alert in found:
            self._rows.put(Topic.ALERTS, alert.alert_id, alert)

    async def _keep_days(self) -> None:
        loop, due = asyncio.get_running_loop(), 0.0
        while True:
            if self._clients and self._bus.is_connected and loop.time() >= due:
                due = loop.time() + DAYS_S
                try:
                    found = await self._bus.call(contract.HISTORY_DAYS, ReadDays())
                except FaultError as error:
                    log.debug("the equity of the day's beginning was not read", error=str(error))
                else:
                    self._unsaid.update(found.days.keys() | self._days.keys())
                    self._days = dict(found.days)
            await asyncio.sleep(PACE_S)

    def _missed(self) -> int:
        return self._bus.stats.reconnects + self._bus.stats.slow_consumer_drops

    def _told_of(self, view: EngineView) -> None:
        if view.is_removed:
            self._open.forget(view.instance_id)
        elif view.session is not None:
            self._open.began(view.instance_id, view.session.session_id, view.session.generation)
        self._unsaid.add(view.instance_id)

    def _saw_backtest(self, view: BacktestView) -> None:
        known = self._backtests.get(view.backtest_id)
        if known is not None and known.status.is_final and not view.status.is_final:
            return  # told before its end, and late
        self._backtests[view.backtest_id] = view
        if view.status is BacktestStatus.RUNNING:
            self._running[view.backtest_id] = view
        else:
            self._running.pop(view.backtest_id, None)
        self._rows.put(Topic.BACKTESTS, view.backtest_id, backtest_row(view))
        if len(self._backtests) > MOST_BACKTESTS:
            oldest = min(self._backtests, key=lambda one: self._backtests[one].created_at)
            del self._backtests[oldest]
            self._rows.drop(Topic.BACKTESTS, oldest)

    def _stop_flag(self, view: EngineView) -> StopFlag | None:
        """The emergency stop that keeps an engine from starting, on whichever host it is set."""
        is_worker = mode_of(view) is Mode.WORKER
        flags = (flag for flags in self._stops.values() for flag in flags)
        return next((flag for flag in flags if flag.names(view.instance_id, is_worker=is_worker)), None)

    async def _hear_host(self, beat: HostHeartbeat, ids: Mapping[str, str]) -> None:
        if beat.host != ids["host"]:
            return
        self.known.host(beat, self._monotonic())
        if self._stops.get(beat.host, ()) != beat.stop_flags:
            self._stops[beat.host] = beat.stop_flags
            self._unsaid.update(self.known.ids())
        self._rows.put(Topic.HOSTS, beat.host, host_row(beat, self._now()))

    async def _hear_fleet(self, said: EngineView | BacktestView, _: Mapping[str, str]) -> None:
        self.hear(said)

    async def _hear_alert(self, said: AlertChange, _: Mapping[str, str]) -> None:
        if said.alert.state is AlertState.OPEN:
            self._rows.put(Topic.ALERTS, said.alert.alert_id, said.alert)
        else:
            self._rows.drop(Topic.ALERTS, said.alert.alert_id)

    def _service(self, actor: Actor) -> Callable[[Health, Mapping[str, str]], Awaitable[None]]:
        async def hear(said: Health, _: Mapping[str, str]) -> None:
            if said.service != actor:
                return
            if actor is Actor.ORCHESTRATOR:
                self._hear_orchestrator(said)
            self._rows.put(Topic.SERVICES, said.service, service_row(said, self._now()))

        return hear

    def _hear_orchestrator(self, said: Health) -> None:
        """Another one than before may have changed what it could not tell any more, or have begun with a record that was put back; and
        one whose bus was away has told nothing meanwhile.
        """
        this = (said.started_at, said.metrics.get("bus_reconnects_total", 0.0))
        if self._orchestrator not in (None, this):
            self._known_at = -1
        self._orchestrator, self._orchestrator_s = this, self._monotonic()


def _encoded(message: FleetMessage, place: Place | None = None) -> Encoded:
    kind = str(message.__struct_config__.tag)
    return Encoded(kind, msgspec.json.encode(message), place)
