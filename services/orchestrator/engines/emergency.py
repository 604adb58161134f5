"""Emergency stops and their lifting. Neither waits for the record: hosts are asked first, and what followed is noted after."""

import asyncio
from collections.abc import Mapping
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.fleet_stop import lift_stops, stop_fleet
from flotilla.bus.logs import get_logger
from flotilla.bus.receipts import stopped_text
from flotilla.bus.tasks import Tasks
from flotilla.schemas import alerts
from flotilla.schemas.alerts import AlertKind
from flotilla.schemas.contract import EMERGENCY_STOP, LIFT_STOP
from flotilla.schemas.session import EmergencyStop, FleetStopped, LiftStop, StopFlags
from flotilla.services.orchestrator.engines.actions import Alerts, Clock
from flotilla.services.orchestrator.engines.core.alerts import once_per
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.ports import Record, RepeatedCommand
from flotilla.services.orchestrator.engines.reads import held_on_record

log = get_logger(__name__)

_RECORD_PATIENCE_S: Final = 0.5
"""How long a stop that carries a request id waits to hear whether it came before."""


class Emergency:
    """The record learns of a stop from flags, events and containers in sight, whoever asked for it; see core/stop_flags.py."""

    def __init__(
        self,
        bus: Bus,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        ledger: Ledger,
        alerts: Alerts,
    ) -> None:
        self._bus = bus
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._ledger = ledger
        self._alerts = alerts
        self._notes = Tasks()
        self._under_way: dict[tuple[str, bytes], asyncio.Task[FleetStopped]] = {}

    async def stop(self, request: EmergencyStop) -> FleetStopped:
        """Makes what is named flat and gone on every host; the same request again gets the same answer."""
        stamp = self._ledger.stamp(EMERGENCY_STOP, request)
        same = stamp.request_id, stamp.body_hash
        stopping = self._under_way.get(same)
        if stopping is None:
            stopping = self._notes.start(self._stop(request, stamp), name=f"emergency:{stamp.request_id}")
            self._under_way[same] = stopping
            stopping.add_done_callback(lambda _: self._under_way.pop(same, None))
        # It goes on when whoever asked goes away.
        return await asyncio.shield(stopping)

    async def lift(self, request: LiftStop) -> StopFlags:
        """Lifts flags on every host; what could not be lifted is in the answer."""
        stamp = self._ledger.stamp(LIFT_STOP, request)
        answer = await lift_stops(
            self._bus, request, known_hosts=self._hosts(), quiet_hosts=self._quiet_hosts()
        )
        if not answer.unreached:
            self._sightings.lifted(request.instance_id)
        self._notes.start(self._tell_lifted(request, stamp, answer), name=f"tell:{stamp.request_id}")
        self._notes.start(
            self._note(stamp, request.instance_id, answer, _lifted_text(answer)), name="note:lift"
        )
        return answer

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._notes.close()

    async def _stop(self, request: EmergencyStop, stamp: Stamp) -> FleetStopped:
        if earlier := await self._ledger.earlier(EMERGENCY_STOP, request, stamp, _RECORD_PATIENCE_S):
            return earlier
        log.warning("emergency stop", of=request.instance_id or "all", reason=request.reason)
        answer = await stop_fleet(
            self._bus,
            request,
            known_hosts=self._hosts(),
            quiet_hosts=self._quiet_hosts(),
            held=self._held,
        )
        self._notes.start(self._tell(request, stamp, answer), name=f"tell:{stamp.request_id}")
        self._notes.start(
            self._note(stamp, request.instance_id, answer, stopped_text(answer)), name="note:stop"
        )
        return answer

    async def _held(self, session_ids: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        return await held_on_record(self._record, session_ids)

    def _hosts(self) -> list[str]:
        """The hosts in sight, and those where something may still run."""
        seen = {beat.host for beat in self._sightings.hosts(self._clock())}
        placed = {
            engine.session.host for engine in self._fleet.active() if engine.session and engine.session.host
        }
        return sorted(seen | placed)

    def _quiet_hosts(self) -> set[str]:
        """All others that the record, or anybody since we started, knows of."""
        return (self._fleet.all_hosts() | set(self._sightings.lost_hosts(self._clock()))) - set(self._hosts())

    async def _note(
        self, stamp: Stamp, instance_id: str | None, answer: FleetStopped | StopFlags, message: str
    ) -> None:
        try:
            await self._ledger.note_done(stamp, instance_id or "all", answer, message)
        except RepeatedCommand:
            log.info("command was on record already", request_id=stamp.request_id)

    async def _tell(self, request: EmergencyStop, stamp: Stamp, answer: FleetStopped) -> None:
        why = f" ({request.reason})" if request.reason else ""
        message = f"emergency stop of {_what(request.instance_id)}{why}: {stopped_text(answer)}"
        await self._raise(stamp, alerts.EMERGENCY_STOP, message, request.instance_id)

    async def _tell_lifted(self, request: LiftStop, stamp: Stamp, answer: StopFlags) -> None:
        message = f"emergency stop of {_what(request.instance_id)} lifted: {_lifted_text(answer)}"
        await self._raise(stamp, alerts.STOP_LIFTED, message, request.instance_id)

    async def _raise(self, stamp: Stamp, kind: AlertKind, message: str, instance_id: str | None) -> None:
        alert = kind.fleet_alert(message, stamp.at, instance_id=instance_id)
        await self._alerts.tell(once_per(stamp.request_id, alert))


def _what(instance_id: str | None) -> str:
    return f"engine {instance_id}" if instance_id else "all engines"


def _lifted_text(answer: StopFlags) -> str:
    away = f"; not reached: {', '.join(answer.unreached)}" if answer.unreached else ""
    untold = f"; out of sight, told when they come back: {', '.join(answer.untold)}" if answer.untold else ""
    return f"{len(answer.flags)} stops are still in force{away}{untold}"
