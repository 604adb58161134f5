"""Hears what hosts and engines say of themselves, looks around every two seconds, reconciles what it sees with the record."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import HEARTBEAT, HOST_CONTAINER, HOST_HEARTBEAT, METRICS, SESSION_LIST
from flotilla.schemas.fault import Fault, FaultError
from flotilla.schemas.session import ContainerFacts, ListContainers
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineMetrics, Heartbeat, HostHeartbeat, Resources
from flotilla.services.orchestrator.engines.actions import Actions, Clock
from flotilla.services.orchestrator.engines.claims import Claims
from flotilla.services.orchestrator.engines.core import outcomes
from flotilla.services.orchestrator.engines.core.brakes import as_heard
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    CommandBrake,
    ContainerEffect,
    PublishState,
    RemoveContainer,
)
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.reconcile import leftovers, reconcile
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.orphans import Orphans
from flotilla.services.orchestrator.engines.ports import Record

log = get_logger(__name__)

ROUND_S: Final = 2.0
_LIST_TIMEOUT_S: Final = 3.0
_SUSPENDED_S: Final = ROUND_S + 3 * _LIST_TIMEOUT_S
"""A longer gap between two rounds means that we were suspended ourselves."""


class Watch:
    """What is seen, and what follows from it for the engines that are seen."""

    def __init__(
        self,
        bus: Bus,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        actions: Actions,
        orphans: Orphans,
        claims: Claims,
        measured: Callable[[EngineMetrics, Resources | None], None],
    ) -> None:
        self._bus = bus
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._actions = actions
        self._orphans = orphans
        self._claims = claims
        self._measured = measured
        self._looking: set[str] = set()
        self._reconnects = bus.stats.reconnects
        self._ran_at = 0.0

    async def listen(self) -> None:
        """Subscribes to all that engines and hosts say."""
        await self._bus.listen(HEARTBEAT, self._heard_engine)
        await self._bus.listen(METRICS, self._heard_metrics)
        await self._bus.listen(HOST_HEARTBEAT, self._heard_host)
        await self._bus.listen(HOST_CONTAINER, self._saw_container)

    async def run(self) -> None:
        """A round every two seconds, until cancelled."""
        while True:
            try:
                await self.round()
            except FaultError as error:
                log.warning("round cut short", error=str(error))
            await asyncio.sleep(ROUND_S)

    async def round(self) -> None:
        """Asks every host in sight for its containers and reconciles every engine.

        What could not be heard because the bus was away, or because we did not run, is not missing.
        """
        now = self._clock()
        if not self._bus.is_connected:
            return
        ran_at = asyncio.get_running_loop().time()
        if ran_at - self._ran_at > _SUSPENDED_S:
            self._sightings.since = now
        self._ran_at = ran_at
        if self._bus.stats.reconnects != self._reconnects:
            self._reconnects = self._bus.stats.reconnects
            self._sightings.since = now
        await asyncio.gather(*(self._list(beat.host) for beat in self._sightings.hosts(now)))
        for instance_id in dict.fromkeys((*self._fleet.ids(), *sorted(self._mailboxes.doubtful))):
            self.look(instance_id)
        for instance_id in self._actions.untold:
            self._mailboxes.post(instance_id, _publish_again)
        await self._see_to_others()

    def look(self, instance_id: str) -> None:
        """Reconciles one engine with what is seen of it."""
        if instance_id in self._looking:
            return
        engine = self._fleet.get(instance_id)
        if engine is not None and instance_id not in self._mailboxes.doubtful:
            decision = self._reconcile(engine)
            if decision is None or not decision.is_change:
                for effect in decision.effects if decision else ():
                    self._actions.begin(effect)
                return
        self._looking.add(instance_id)

        def decide(engine: Engine | None) -> Decision | None:
            self._looking.discard(instance_id)  # what is seen from now on needs another look
            return self._reconcile(engine)

        turn = self._mailboxes.post(instance_id, decide)
        turn.add_done_callback(lambda _: self._looking.discard(instance_id))

    def report(self, effect: ContainerEffect, problem: Fault | None, is_taken: bool) -> None:
        """Takes how an effect went into the engine's next turn; `is_taken`: it was a stop, and the engine has taken it."""
        self._orphans.report(effect, problem)
        if isinstance(effect, RemoveContainer | CommandBrake):
            return  # The next round is soon enough.

        def decide(engine: Engine | None) -> Decision | None:
            if engine is None:
                return None
            now = self._clock()
            if problem is None:
                return outcomes.done(engine, effect, now, is_taken=is_taken)
            return outcomes.failed(engine, effect, problem, self._fleet.hosts(self._sightings, now), now)

        self._mailboxes.post(effect.instance_id, decide)
        self.look(effect.instance_id)

    def _reconcile(self, engine: Engine | None) -> Decision | None:
        if engine is None or engine.session is None:
            return None
        now = self._clock()
        # Counting what is placed where takes time, and only an engine that begins a session asks for it.
        begins = engine.session.state == RunState.SCHEDULED or engine.pending is not None
        is_worker = engine.is_worker
        hosts = self._fleet.hosts(self._sightings, now, is_worker=is_worker) if begins else ()
        return reconcile(engine, self._sightings.sight(engine.session, now, is_worker=is_worker), hosts, now)

    async def _list(self, host: str) -> None:
        asked_at = self._clock()
        try:
            answer = await self._bus.call(
                SESSION_LIST, ListContainers(), timeout_s=_LIST_TIMEOUT_S, host=host
            )
        except FaultError as error:
            log.warning("host does not list its containers", host=host, error=str(error))
        else:
            self._sightings.listed(host, answer.containers, asked_at)

    async def _see_to_others(self) -> None:
        """Sees to containers that belong to no engine's present session."""
        present = self._fleet.session_ids()
        now = self._clock()
        others = [
            facts
            for facts in self._sightings.containers()
            if facts.session_id not in present and self._sightings.is_in_sight(facts.host, now)
        ]
        on_record = {}
        if others:
            on_record = await self._record.sessions_named([facts.session_id for facts in others])
        for effect in leftovers(others, on_record, now):
            self._actions.begin(effect)
        self._orphans.see(facts for facts in others if facts.session_id not in on_record)

    async def _heard_engine(self, beat: Heartbeat, ids: Mapping[str, str]) -> None:
        if beat.instance_id != ids["instance_id"]:
            text = f"a heartbeat in the name of engine {beat.instance_id}: not believed"
            self._claims.note(ids["instance_id"], None, "heartbeat", Finding(Sort.SESSION, text))
            return
        engine = self._fleet.get(beat.instance_id)
        newest = engine.generation if engine else None
        if not self._sightings.heard_engine(beat, self._clock(), newest=newest):
            text = f"a heartbeat of session {beat.session_id}, which is not on record: not believed"
            self._claims.note(beat.instance_id, None, "heartbeat", Finding(Sort.UNKNOWN, text))
            return
        self._claims.heard(beat)
        if (
            engine
            and engine.session
            and (_is_news(engine.session) or _acted_by_itself(engine, beat, self._clock()))
        ):
            self.look(beat.instance_id)

    async def _heard_metrics(self, metrics: EngineMetrics, ids: Mapping[str, str]) -> None:
        if metrics.instance_id == ids["instance_id"]:
            self._sightings.heard_metrics(metrics, self._clock())
            self._claims.measured(metrics)
            self._keep(metrics)

    def _keep(self, metrics: EngineMetrics) -> None:
        """History has what the present session of an engine measures; workers measure nothing of it."""
        engine = self._fleet.get(metrics.instance_id)
        present = engine.session if engine and not engine.is_worker else None
        if present is not None and present.session_id == metrics.session_id:
            beat = self._sightings.heard_of(metrics.session_id, metrics.instance_id)
            self._measured(metrics, beat.resources if beat else None)

    async def _heard_host(self, beat: HostHeartbeat, ids: Mapping[str, str]) -> None:
        if beat.host != ids["host"]:
            log.warning("heartbeat in another host's name", **ids)
            return
        now = self._clock()
        is_new = not self._sightings.is_in_sight(beat.host, now)
        is_stop = self._sightings.heard_host(beat, now) and bool(beat.stop_flags)
        if is_new:
            log.info("host in sight", host=beat.host, runtime=beat.runtime, cpus=beat.cpus)
        if is_new or is_stop:
            for engine in self._fleet.active():
                self.look(engine.instance_id)

    async def _saw_container(self, facts: ContainerFacts, ids: Mapping[str, str]) -> None:
        if facts.host == ids["host"] and self._sightings.saw_container(facts, self._clock()):
            self.look(facts.instance_id)


def _is_news(session: Session) -> bool:
    """True when a heartbeat shows that the session is in reach again, or at last: it may have a stop to be told of."""
    order = session.stop
    is_untold = order is not None and order.acknowledged_at is None and order.terminated_at is None
    return session.state in (RunState.UNKNOWN, RunState.SILENT) or is_untold


def _acted_by_itself(engine: Engine, beat: Heartbeat, now: datetime) -> bool:
    """True when a heartbeat tells of a loss limit or a dead man that acted, of which the record does not know."""
    heard = as_heard(engine, beat, now)
    return (heard.brake, heard.losses.tripped) != (engine.brake, engine.losses.tripped)


def _publish_again(engine: Engine | None) -> Decision | None:
    if engine is None:
        return None
    return Decision(engine=engine, effects=(PublishState(engine),), is_change=False)
