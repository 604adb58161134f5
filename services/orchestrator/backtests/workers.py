"""Keeps a worker running on every host in sight while there are backtests to run; without any, workers end by themselves."""

import asyncio
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.backtest import TRIAL_FORMAT
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.telemetry import HostHeartbeat
from flotilla.services.orchestrator.backtests.core.hosting import wants_worker, worker_config, worker_id
from flotilla.services.orchestrator.backtests.core.model import Claim
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.planner import Planner
from flotilla.services.orchestrator.engines.ports import Record

log = get_logger(__name__)
ROUND_S: Final = 2.0


class WorkerLiveness:
    """Workers are engines: the end of one's session is the end of its processes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def is_over(self, claim: Claim) -> bool:
        """True when the session that made the claim has surely ended."""
        engine = self._fleet.get(claim.worker)
        session = engine.session if engine else None
        if session is None or session.is_given_up:
            return False
        return session.session_id != claim.session_id or session.is_over


class Workers:
    """Workers are engines on record, started in the same way as any other."""

    def __init__(
        self,
        record: BacktestRecord,
        engines: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        planner: Planner,
    ) -> None:
        self._record = record
        self._engines = engines
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._planner = planner
        self._has_news = asyncio.Event()
        self._formats: dict[str, int] = {}

    def wake(self) -> None:
        """There is something to run."""
        self._has_news.set()

    async def run(self) -> None:
        """Looks every two seconds, and at once when woken, until cancelled."""
        while True:
            self._has_news.clear()
            try:
                await self.round()
            except FaultError as error:
                log.warning("workers are not looked after", error=str(error))
            try:
                await asyncio.wait_for(self._has_news.wait(), ROUND_S)
            except TimeoutError:
                continue

    async def round(self) -> None:
        """Replaces workers of another format, and starts one wherever one is missing and wanted."""
        workers = [engine for engine in self._fleet.active() if engine.is_worker]
        sessions = {engine.session.session_id for engine in workers if engine.session}
        self._formats = {name: known for name, known in self._formats.items() if name in sessions}
        for worker in workers:
            if await self._is_outdated(worker):
                await self._replace(worker)
        backlog = await self._record.backlog()
        if backlog.open == 0:
            return
        for beat in self._sightings.hosts(self._clock()):
            engine = self._fleet.get(worker_id(beat.host))
            if wants_worker(beat, engine, newest=backlog.newest, now=self._clock()):
                await self._start(beat)

    async def _is_outdated(self, engine: Engine) -> bool:
        """True for a worker that was started by services of another trial format, unless it ends already."""
        session = engine.session
        if session is None or session.stop is not None or engine.pending is not None:
            return False
        if session.session_id not in self._formats:
            spec = await self._engines.spec(session.session_id)
            self._formats[session.session_id] = spec.worker.trial_format if spec and spec.worker else 0
        return self._formats[session.session_id] != TRIAL_FORMAT

    async def _replace(self, worker: Engine) -> None:
        meant = worker.session
        try:
            plans = await self._planner.plans()
            spec = plans.spec(worker.next_config)

            def decide(engine: Engine | None) -> Decision | None:
                is_same = engine is not None and engine.session == meant and engine.pending is None
                if engine is None or not is_same:
                    return None
                now = self._clock()
                return lifecycle.restart(
                    engine,
                    spec,
                    request_id=new_request_id(),
                    hosts=self._fleet.hosts(self._sightings, now, is_worker=True),
                    now=now,
                    policy=plans.policy(engine.next_config),
                )

            decision = await self._mailboxes.turn(worker.instance_id, decide)
        except FaultError as error:
            log.warning("a worker of another release goes on", worker=worker.instance_id, error=str(error))
        else:
            if decision is not None:
                log.info("a worker of another release is replaced", worker=worker.instance_id)

    async def _start(self, beat: HostHeartbeat) -> None:
        config = worker_config(beat)
        try:
            plans = await self._planner.plans()
            spec = plans.spec(config)

            def decide(engine: Engine | None) -> Decision | None:
                if engine is not None and (engine.is_active or engine.restart_at is not None):
                    return None
                now = self._clock()
                hosts = self._fleet.hosts(self._sightings, now, is_worker=True)
                here = [host for host in hosts if host.host == beat.host]
                return lifecycle.start(
                    engine,
                    config,
                    spec,
                    request_id=new_request_id(),
                    hosts=here,
                    now=now,
                    policy=plans.policy(config),
                )

            await self._mailboxes.turn(config.instance_id, decide)
        except FaultError as error:
            level = log.info if error.fault.code == FaultCode.CONFLICT else log.warning
            level("no worker is started", host=beat.host, error=str(error))
