"""Durable events of engines go on record: in batches, each at least once, acknowledged last. See bus.streams.Follower."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery
from flotilla.schemas.subjects import parse
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.claims import Claims
from flotilla.services.orchestrator.engines.core import claims
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.events import StoredEvent, Unsound, apply_states, read
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.ports import Record, Unstorable

log = get_logger(__name__)


ANY_EVENT: Final = "engine.<instance_id>.<kind>"


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
        claims: Claims,
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._claims = claims
        self.counts = EventCounts()

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Records a batch; raises when it must be tried again. What can never be recorded is logged and passed over."""
        said = [event for item in batch if (event := self._read(item))]
        sessions = await self._sessions(said)
        events = await self._sound(self._of_known_sessions(said, sessions), sessions)
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
            self._claims.recorded(event)
        self.counts.recorded += len(events)

    def _read(self, delivery: Delivery) -> StoredEvent | None:
        try:
            return read(delivery.subject, delivery.data, delivery.at)
        except Unsound as error:
            self._poisoned(delivery.subject, str(error))
            ids = parse(ANY_EVENT, delivery.subject)
            if ids is not None:
                self._claims.note(ids["instance_id"], None, ids["kind"], error.finding, delivery.data)
            return None

    async def _sessions(self, events: Sequence[StoredEvent]) -> Mapping[str, Session]:
        """The sessions of these events that are on record."""
        sessions: dict[str, Session] = {}
        for event in events:
            engine = self._fleet.get(event.instance_id)
            session = engine.session if engine else None
            if session is not None and session.session_id == event.session_id:
                sessions[event.session_id] = session
        others = {event.session_id for event in events} - sessions.keys()
        return sessions | await self._record.sessions_named(sorted(others)) if others else sessions

    def _of_known_sessions(
        self, events: Sequence[StoredEvent], sessions: Mapping[str, Session]
    ) -> list[StoredEvent]:
        """Those whose session is on record, and is of the engine that they came from."""
        known: list[StoredEvent] = []
        for event in events:
            session = sessions.get(event.session_id)
            if session is None:
                self._poisoned(_subject(event), f"session {event.session_id} is not on record")
            elif session.instance_id != event.instance_id:
                text = f"session {event.session_id} is engine {session.instance_id}'s: kept off the record"
                self._refuse(event, None, Finding(Sort.SESSION, text))
            else:
                known.append(event)
        return known

    async def _sound(
        self, events: Sequence[StoredEvent], sessions: Mapping[str, Session]
    ) -> list[StoredEvent]:
        """Those that their sidecar may have made, each once; of a number that was said twice the first one that came."""
        last = {session_id: session.last_seq for session_id, session in sessions.items()}
        kept: dict[tuple[str, int], StoredEvent] = {}
        late: list[StoredEvent] = []
        for event in events:
            session, name = sessions[event.session_id], (event.session_id, event.seq)
            known = last[event.session_id]
            if finding := claims.impossible(event.seq, event.data, known):
                self._refuse(event, event.session_id, finding)
            elif name not in kept:
                kept[name] = self._timed(event, session)
                late += (event,) if event.seq <= known else ()
                last[event.session_id] = max(known, event.seq)
            elif kept[name].body != event.body:
                self._refuse(event, event.session_id, claims.repeated(event.seq))
        for event in await self._record.contradicted(late) if late else ():
            del kept[event.session_id, event.seq]
            self._refuse(event, event.session_id, claims.repeated(event.seq))
        return list(kept.values())

    def _timed(self, event: StoredEvent, session: Session) -> StoredEvent:
        """The event, under the time of its arrival when its own cannot be."""
        if event.received_at is None:
            return event
        finding = claims.unlikely_time(event.seq, event.at, event.received_at, session.created_at)
        if finding is None:
            return event
        self._note(event, event.session_id, finding)
        return msgspec.structs.replace(event, at=event.received_at)

    def _refuse(self, event: StoredEvent, session_id: str | None, finding: Finding) -> None:
        self._poisoned(_subject(event), finding.text)
        self._note(event, session_id, finding)

    def _note(self, event: StoredEvent, session_id: str | None, finding: Finding) -> None:
        self._claims.note(event.instance_id, session_id, event.kind, finding, event.body.encode())

    async def _add(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return
        try:
            await self._record.add_events(events)
        except Unstorable as error:
            if len(events) == 1:
                self._poisoned(_subject(events[0]), str(error))
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


def _subject(event: StoredEvent) -> str:
    return f"engine.{event.instance_id}.{event.kind}"
