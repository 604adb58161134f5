"""The audit: what was done is recorded with its effect; what was refused, or done around us, is noted here, and after an outage later."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from bus.endpoint import Witnessed
from bus.logs import get_logger
from bus.streams import Delivery
from schemas.audit import AuditList, HostCommand, ReadAudit
from schemas.fault import FaultError
from services.orchestrator.actions import Clock
from services.orchestrator.alerts import Alerts
from services.orchestrator.audit_entries import alert_of, entry_of_host, refusal_of
from services.orchestrator.core.record_time import wall
from services.orchestrator.ports import Command, Record, Refusal, RepeatedCommand, Unstorable

log = get_logger(__name__)

MOST: Final = 10_000
"""Entries that wait for the record; the oldest are given up for newer ones, and counted."""
RETRY_S: Final = 1.0


class Audit:
    """Entries wait here until the record takes them."""

    def __init__(self, record: Record, clock: Clock, alerts: Alerts) -> None:
        self._record = record
        self._clock = clock
        self._alerts = alerts
        self._waiting: deque[Command | Refusal] = deque()
        self._has_news = asyncio.Event()
        self.lost = 0
        """How many entries were given up."""

    def saw(self, seen: Witnessed) -> None:
        """Takes note of a command that was refused."""
        if (refusal := refusal_of(seen, wall(self._clock()))) is not None:
            self.later(refusal)

    def later(self, entry: Command | Refusal) -> None:
        """Has an entry recorded as soon as the record takes it."""
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self.lost += 1
            log.error("audit entries are lost: the record is away for too long", lost=self.lost)
        self._waiting.append(entry)
        self._has_news.set()

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Records what hosts were asked directly, and raises its alerts; raises when it must be tried again."""
        for delivery in batch:
            try:
                told = msgspec.json.decode(delivery.data, type=HostCommand)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("unreadable command of a host", subject=delivery.subject, error=str(error))
                continue
            if delivery.subject != f"host.{told.host}.command":
                log.warning("a host speaks for another", subject=delivery.subject, host=told.host)
                continue
            if (alert := alert_of(told)) is not None:
                await self._alerts.tell(alert)
            await self._add(entry_of_host(told))

    async def read(self, question: ReadAudit) -> AuditList:
        """Entries, newest first."""
        return AuditList(entries=tuple(await self._record.audit(question)))

    async def run(self) -> None:
        """Records what waits, in the order of its coming, until cancelled."""
        while True:
            await self._has_news.wait()
            while self._waiting:
                entry = self._waiting[0]
                try:
                    await self._add(entry)
                except FaultError as error:
                    log.info("audit waits for the record", entries=len(self._waiting), error=str(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                if self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
            self._has_news.clear()

    async def _add(self, entry: Command | Refusal) -> None:
        try:
            if isinstance(entry, Refusal):
                await self._record.add_refusal(entry)
            else:
                await self._record.add_command(entry)
        except RepeatedCommand:
            log.debug("entry was on record already", request_id=entry.request_id)
        except Unstorable as error:
            log.error("entry cannot be stored", request_id=entry.request_id, error=str(error))  # noqa: TRY400
