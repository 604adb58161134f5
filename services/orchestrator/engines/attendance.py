"""Tells each engine whose dead man waits for it that an orchestrator hears it: all that keeps the dead man from acting."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.contract import COMMAND_ATTEND
from flotilla.schemas.dead_man import Attend
from flotilla.schemas.fault import FaultError
from flotilla.schemas.telemetry import Heartbeat
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings

log = get_logger(__name__)

ROUND_S: Final = 1.0
_TIMEOUT_S: Final = 5.0
_PER_WAIT: Final = 4
"""How often an engine is told within the time that its dead man waits."""


class Attendance:
    """Which engines were told, and when they are to be told next.

    Its heartbeats say what an engine waits for, so nothing of it has to be on record. A session that was given up is told no more, and
    one that is on no record is not attended: nobody could command it.
    """

    def __init__(self, bus: Bus, fleet: Fleet, sightings: FleetSightings, clock: Clock) -> None:
        self._bus = bus
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._due: dict[str, datetime] = {}
        self._asking: set[str] = set()
        self._tasks = Tasks()

    async def run(self) -> None:
        """Tells whoever is due once a second, until cancelled."""
        while True:
            self.round()
            await asyncio.sleep(ROUND_S)

    def round(self) -> None:
        """Tells whoever is due."""
        now = self._clock()
        beats = self._beats()
        known = {beat.session_id for beat in beats}
        self._due = {name: due for name, due in self._due.items() if name in known}
        for beat in beats:
            # One that does not answer keeps nobody else waiting.
            is_due = self._due.get(beat.session_id, now) <= now and beat.session_id not in self._asking
            if is_due and beat.dead_man is not None and beat.monotonic_s is not None:
                self._asking.add(beat.session_id)
                request = Attend(session_id=beat.session_id, as_of_s=beat.monotonic_s)
                tell = self._tell(beat.instance_id, request, beat.dead_man.after_s)
                self._tasks.start(tell, name=f"attend:{beat.session_id}")

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._tasks.close()

    def _beats(self) -> list[Heartbeat]:
        beats = [
            self._sightings.heard_of(engine.session.session_id, engine.instance_id)
            for engine in self._fleet.active()
            if engine.session is not None
        ]
        return [beat for beat in beats if beat is not None]

    async def _tell(self, instance_id: str, request: Attend, after_s: float) -> None:
        """Tried again in the next round where it fails: the engine itself says what came of that."""
        pause = timedelta(seconds=after_s / _PER_WAIT)
        timeout_s = min(_TIMEOUT_S, pause.total_seconds())
        try:
            await self._bus.call(COMMAND_ATTEND, request, timeout_s=timeout_s, instance_id=instance_id)
        except FaultError as error:
            log.info("engine not told that it is heard", session_id=request.session_id, error=str(error))
        else:
            self._due[request.session_id] = self._clock() + pause
        finally:
            self._asking.discard(request.session_id)
