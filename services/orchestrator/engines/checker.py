"""Asks NautilusTrader, by way of a supervisor: only where engines run is it known which classes there are."""

from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import PLAN_CHECK
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import PlanCheck, PlanProblems
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings

log = get_logger(__name__)

_TIMEOUT_S: Final = 35.0


class PlanChecker:
    """Asks the hosts in sight, one after the other, until one answers."""

    def __init__(self, bus: Bus, sightings: FleetSightings, clock: Clock) -> None:
        self._bus = bus
        self._sightings = sightings
        self._clock = clock

    async def ask(self, request: PlanCheck) -> PlanProblems | None:
        """What NautilusTrader refuses; None when no host could say."""
        for beat in self._sightings.hosts(self._clock()):
            try:
                return await self._bus.call(PLAN_CHECK, request, timeout_s=_TIMEOUT_S, host=beat.host)
            except FaultError as error:
                log.warning("host does not check a plan", host=beat.host, error=str(error))
        return None
