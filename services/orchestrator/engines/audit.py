"""The audit: what was done is recorded with its effect; what was refused, or done around us, is noted here, and after an outage later."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import Witnessed
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery
from flotilla.schemas.audit import AuditList, GatewayRefusal, HostCommand, ReadAudit, WaitingEntry
from flotilla.schemas.contract import FLEET_AUDIT_ENTRY
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import StopOrder
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.alerts import Alerts
from flotilla.services.orchestrator.engines.audit_entries import (
    alert_of,
    alert_of_order,
    entry_of_gateway,
    entry_of_host,
    entry_of_order,
    refusal_of,
)
from flotilla.services.orchestrator.ports import Command, Record, Refusal, RepeatedCommand, Unstorable

log = get_logger(__name__)

MOST: Final = 10_000
"""Entries that wait while neither bus nor record takes them; the oldest are given up for newer ones, and counted."""
RETRY_S: Final = 1.0
FORGET_S: Final = 3_600.0


class Audit:
    """Entries are kept on the bus until the record takes them, so that the next orchestrator has them too."""

    def __init__(self, bus: Bus, record: Record, clock: Clock, alerts: Alerts) -> None:
        self._bus = bus
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

    async def take_orders(self, batch: Sequence[Delivery]) -> None:
        """Raises the alert of each stop and lift that somebody asks hosts for, and records it; raises when it must be tried again."""
        for delivery in batch:
            try:
                order = msgspec.json.decode(delivery.data, type=StopOrder)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("unreadable order", subject=delivery.subject, error=str(error))
                continue
            await self._alerts.tell(alert_of_order(order))
            await self._add(entry_of_order(order))

    async def take_refusals(self, batch: Sequence[Delivery]) -> None:
        """Records what the gateway turned away; raises when it must be tried again."""
        for delivery in batch:
            try:
                told = msgspec.json.decode(delivery.data, type=GatewayRefusal)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("unreadable refusal", subject=delivery.subject, error=str(error))
                continue
            await self._add(entry_of_gateway(told))

    async def read(self, question: ReadAudit) -> AuditList:
        """Entries, newest first."""
        return AuditList(entries=tuple(await self._record.audit(question)))

    async def run(self) -> None:
        """Has the bus keep what waits, or where it cannot the record itself, in the order of its coming, until cancelled."""
        while True:
            await self._has_news.wait()
            while self._waiting:
                entry = self._waiting[0]
                if not (await self._is_kept(entry) or await self._is_recorded(entry)):
                    log.info("audit waits for bus and record", entries=len(self._waiting))
                    await asyncio.sleep(RETRY_S)
                elif self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
            self._has_news.clear()

    async def take_waiting(self, batch: Sequence[Delivery]) -> None:
        """Records what was kept on the bus; raises when it must be tried again."""
        for delivery in batch:
            try:
                kept = msgspec.json.decode(delivery.data, type=WaitingEntry)
                kind: type[Command | Refusal] = Refusal if kept.is_refusal else Command
                entry = msgspec.json.decode(kept.text, type=kind)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.error("an audit entry cannot be read", error=str(error))  # noqa: TRY400
                continue
            await self._add(entry)

    async def _is_kept(self, entry: Command | Refusal) -> bool:
        is_refusal = isinstance(entry, Refusal)
        kept = WaitingEntry(is_refusal=is_refusal, text=msgspec.json.encode(entry).decode())
        message_id = f"{is_refusal}-{entry.request_id}-{entry.created_at}"
        try:
            await self._bus.publish_durable(FLEET_AUDIT_ENTRY, kept, message_id=message_id)
        except FaultError:
            return False
        return True

    async def _is_recorded(self, entry: Command | Refusal) -> bool:
        try:
            await self._add(entry)
        except FaultError:
            return False
        return True

    async def forget(self, keep: timedelta) -> None:
        """Deletes what is older than this from the record, once an hour, for ever."""
        while True:
            try:
                while forgotten := await self._record.forget_audit(wall(self._clock()) - keep):
                    log.info("old audit entries deleted", entries=forgotten, days=keep.days)
            except FaultError as error:
                log.info("old audit entries wait for the record", error=str(error))
            await asyncio.sleep(FORGET_S)

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
