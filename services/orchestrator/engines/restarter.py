"""Begins the restarts that are due: what the failed session was told to run, as a new session."""

from flotilla.bus.logs import get_logger
from flotilla.schemas.alerts import ACCOUNT_HELD
from flotilla.schemas.fault import FaultError
from flotilla.schemas.ids import new_session_id
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Alerts, Clock
from flotilla.services.orchestrator.engines.core.again import start_again
from flotilla.services.orchestrator.engines.core.alerts import about_engine
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import StartAgain
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.ports import AccountHeld, Record

log = get_logger(__name__)


class Restarter:
    """Restarts of engines that failed; core/restarts.py decides which and when."""

    def __init__(
        self,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        alerts: Alerts,
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._alerts = alerts

    async def start_again(self, effect: StartAgain) -> None:
        """Begins the restart, if it is still due; what fails is tried again in the next round."""
        try:
            await self._start_again(effect)
        except FaultError as error:
            log.warning("restart not begun", instance_id=effect.instance_id, error=str(error))

    async def _start_again(self, effect: StartAgain) -> None:
        spec = await self._record.spec(effect.session_id)
        if spec is None:
            return
        session_id = new_session_id(wall(self._clock()))

        def decide(engine: Engine | None) -> Decision | None:
            now = self._clock()
            is_worker = engine is not None and engine.is_worker
            if engine is None or self._sightings.stop_flag(engine.instance_id, now, is_worker=is_worker):
                return None
            hosts = self._fleet.hosts(self._sightings, now, is_worker=is_worker)
            return start_again(engine, spec, session_id, hosts, now)

        try:
            await self._mailboxes.turn(effect.instance_id, decide)
        except AccountHeld as error:
            await self._tell_held(effect, error)

    async def _tell_held(self, effect: StartAgain, error: AccountHeld) -> None:
        if engine := self._fleet.get(effect.instance_id):
            message = f"engine {effect.instance_id} is not started again: {error}"
            await self._alerts.tell(about_engine(engine, ACCOUNT_HELD, message, self._clock()))
