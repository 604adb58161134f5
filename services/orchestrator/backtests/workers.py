"""Keeps a worker running on every host in sight while there are backtests to run; without any, workers end by themselves."""

import asyncio
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.telemetry import HostHeartbeat
from flotilla.services.orchestrator.backtests.core.hosting import wants_worker, worker_config, worker_id
from flotilla.services.orchestrator.backtests.core.model import Claim
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core import engine as core
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.planner import Planner

log = get_logger(__name__)


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


ROUND_S: Final = 2.0


class Workers:
    """Workers are engines on record, started in the same way as any other."""

    def __init__(
        self,
        record: BacktestRecord,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        planner: Planner,
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._planner = planner
        self._has_news = asyncio.Event()

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
        """Starts a worker wherever one is missing and wanted."""
        backlog = await self._record.backlog()
        if backlog.open == 0:
            return
        for beat in self._sightings.hosts(self._clock()):
            engine = self._fleet.get(worker_id(beat.host))
            if wants_worker(beat, engine, newest=backlog.newest, now=self._clock()):
                await self._start(beat)

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
                return core.start(
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
