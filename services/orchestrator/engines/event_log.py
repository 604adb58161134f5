"""Durable events of engines go on record: in batches, each at least once, acknowledged last. See bus.streams.Follower."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.events import StoredEvent, apply_states, read
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.ports import Record, Unstorable

log = get_logger(__name__)


class EventCounts(msgspec.Struct):
    """Since we started."""

    recorded: int = 0
    poisoned: int = 0


class EventLog:
    """Records what engines publish. A state event goes on record in one transaction with what it does to its session."""

    def __init__(
        self,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self.counts = EventCounts()

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Records a batch; raises when it must be tried again. What can never be recorded is logged and passed over."""
        events = await self._of_known_sessions([event for item in batch if (event := self._read(item))])
        states: defaultdict[str, list[StoredEvent]] = defaultdict(list)
        for event in events:
            if event.state is not None:
                states[event.instance_id].append(event)
        plain = [event for event in events if event.state is None]
        # A session that ends is told of with what its last events say of its orders and positions.
        await self._add(plain)
        async with asyncio.TaskGroup() as group:
            for instance_id, changes in states.items():
                group.create_task(self._apply(instance_id, changes), name=f"states:{instance_id}")
        for event in events:
            self._fleet.saw_event(event.instance_id, event.session_id, event.seq)
        self.counts.recorded += len(events)

    def _read(self, delivery: Delivery) -> StoredEvent | None:
        try:
            return read(delivery.subject, delivery.data)
        except ValueError as error:
            self._poisoned(delivery.subject, str(error))
            return None

    async def _of_known_sessions(self, events: list[StoredEvent]) -> list[StoredEvent]:
        """Those whose session is on record, and is of the engine that they came from."""
        owners = {event.session_id: "" for event in events if not self._is_present(event)}
        if owners:
            found = await self._record.sessions_named(list(owners))
            owners |= {session_id: session.instance_id for session_id, session in found.items()}
        known: list[StoredEvent] = []
        for event in events:
            if owners.get(event.session_id, event.instance_id) == event.instance_id:
                known.append(event)
            else:
                self._poisoned(f"engine.{event.instance_id}", f"session {event.session_id} is not on record")
        return known

    def _is_present(self, event: StoredEvent) -> bool:
        engine = self._fleet.get(event.instance_id)
        session = engine.session if engine else None
        return session is not None and session.session_id == event.session_id

    async def _add(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return
        try:
            await self._record.add_events(events)
        except Unstorable as error:
            if len(events) == 1:
                self._poisoned(f"engine.{events[0].instance_id}", str(error))
                return
            for event in events:
                await self._add([event])

    async def _apply(self, instance_id: str, events: Sequence[StoredEvent]) -> None:
        changes = [event.state for event in events if event.state is not None]

        def decide(engine: Engine | None) -> Decision | None:
            if engine is None:
                return None
            now = self._clock()
            hosts = self._fleet.hosts(self._sightings, now) if engine.pending else ()
            return apply_states(engine, changes, hosts, now)

        try:
            await self._mailboxes.turn(instance_id, decide, events=events)
        except Unstorable as error:
            self._poisoned(f"engine.{instance_id}", str(error))

    def _poisoned(self, subject: str, reason: str) -> None:
        self.counts.poisoned += 1
        log.warning("event passed over", subject=subject, reason=reason)
