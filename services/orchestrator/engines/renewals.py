"""Renews the leases that sessions hold on accounts, for as long as they have not ended.

The record is the list of holders; while it is away those known last are renewed on, since nobody else can take an account then.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.alerts import LEASE_NOT_RENEWED
from flotilla.schemas.contract import COMMAND_RENEW_LEASE
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import RenewLease
from flotilla.services.orchestrator.engines.actions import Alerts, Clock
from flotilla.services.orchestrator.engines.core.alerts import about_engine
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.leases import Holding, holdings
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.ports import Record

log = get_logger(__name__)

ROUND_S: Final = 1.0
_TIMEOUT_S: Final = 5.0
_PER_LEASE: Final = 4
"""How often a lease is renewed within its time."""


class _Renewal(msgspec.Struct):
    """When a session's lease was renewed last and is to be next, by our clock."""

    since: datetime
    due: datetime
    is_late: bool = False


class Renewals:
    """Which leases are renewed, and how long ago that last succeeded."""

    def __init__(
        self,
        bus: Bus,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        alerts: Alerts,
    ) -> None:
        self._bus = bus
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._alerts = alerts
        self._holdings: list[Holding] = []
        self._renewals: dict[str, _Renewal] = {}
        self._tasks = Tasks()
        self._asking: set[str] = set()

    def __len__(self) -> int:
        return len(self._holdings)

    async def run(self) -> None:
        """Renews what is due once a second, until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(ROUND_S)

    async def round(self) -> None:
        """Renews what is due."""
        await self._look()
        now = self._clock()
        known = {holding.session_id for holding in self._holdings}
        self._renewals = {each: kept for each, kept in self._renewals.items() if each in known}
        for holding in self._holdings:
            is_due = self._renewal(holding, now).due <= now
            # One that does not answer keeps nobody else waiting.
            if is_due and holding.session_id not in self._asking:
                self._asking.add(holding.session_id)
                self._tasks.start(self._renew(holding), name=f"lease:{holding.session_id}")

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._tasks.close()

    async def _look(self) -> None:
        try:
            self._holdings = holdings(await self._record.held_leases())
        except FaultError as error:
            log.debug("holders as they were known last", error=str(error))
        # A session that was given up gets no renewal from that moment, also while the record is away.
        self._holdings = [holding for holding in self._holdings if self._is_active(holding)]

    def _is_active(self, holding: Holding) -> bool:
        engine = self._fleet.get(holding.instance_id)
        session = engine.session if engine else None
        return session is None or session.session_id != holding.session_id or not session.is_over

    def _renewal(self, holding: Holding, now: datetime) -> _Renewal:
        return self._renewals.setdefault(holding.session_id, _Renewal(since=now, due=now))

    async def _renew(self, holding: Holding) -> None:
        pause = timedelta(seconds=holding.ttl_s / _PER_LEASE)
        renewal = self._renewal(holding, self._clock())
        try:
            timeout_s = min(_TIMEOUT_S, pause.total_seconds())
            await self._bus.call(
                COMMAND_RENEW_LEASE,
                self._request(holding),
                timeout_s=timeout_s,
                instance_id=holding.instance_id,
            )
        except FaultError as error:
            await self._failed(holding, renewal, str(error))
        else:
            now = self._clock()
            self._renewals[holding.session_id] = _Renewal(since=now, due=now + pause)
        finally:
            self._asking.discard(holding.session_id)

    def _request(self, holding: Holding) -> RenewLease:
        """Raises FaultError `unavailable` for a session that was never heard: what would be sent to it might arrive at any time."""
        beat = self._sightings.heard_of(holding.session_id, holding.instance_id)
        if beat is None:
            raise fault(FaultCode.UNAVAILABLE, "no heartbeat of it was heard", retry_after_s=ROUND_S)
        return RenewLease(
            session_id=holding.session_id,
            token=holding.token,
            ttl_s=holding.ttl_s,
            as_of_s=beat.monotonic_s,
        )

    async def _failed(self, holding: Holding, renewal: _Renewal, problem: str) -> None:
        """Tried again in the next round; told once when the lease has run out."""
        now = self._clock()
        log.info("lease not renewed", session_id=holding.session_id, error=problem)
        if renewal.is_late or now - renewal.since < timedelta(seconds=holding.ttl_s):
            return
        renewal.is_late = True
        if engine := self._fleet.get(holding.instance_id):
            message = (
                f"the lease of engine {holding.instance_id} (session {holding.session_id}) on its accounts was not"
                f" renewed for {holding.ttl_s:g} s: it trades no more until it is. {problem}"
            )
            key = f"{holding.session_id}-{renewal.since:%Y%m%d%H%M%S}"
            alert = about_engine(engine, LEASE_NOT_RENEWED, message, now, key=key)
            await self._alerts.tell(alert)
