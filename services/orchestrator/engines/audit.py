"""The audit: what was done is recorded with its effect; what was refused, or done around us, is noted here, and after an outage later."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from flotilla.bus.blanking import blanked, blanked_text
from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import Witnessed
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery
from flotilla.schemas import alerts
from flotilla.schemas.alerts import AlertKind
from flotilla.schemas.audit import (
    AuditList,
    GatewayRefusal,
    HostCommand,
    NotifierCommand,
    ReadAudit,
    WaitingEntry,
)
from flotilla.schemas.contract import (
    CATALOG_UPLOAD,
    EMERGENCY_STOP,
    FLEET_AUDIT_ENTRY,
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    LIFT_STOP,
    PACKAGE_PUSH,
    PACKAGE_REMOVE,
    PACKAGE_UPLOAD,
    TRIAL_CLAIM,
    Actor,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.ids import is_id, new_request_id
from flotilla.schemas.session import StopOrder
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Alerts, Clock
from flotilla.services.orchestrator.engines.core.alerts import once_per
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.engines.core.events import storable
from flotilla.services.orchestrator.engines.ports import Command, Record, Refusal, RepeatedCommand, Unstorable

log = get_logger(__name__)

_ABOUT: Final = ("instance_id", "backtest_id", "study_id")
_OF_PACKAGES: Final = (PACKAGE_PUSH.subject, PACKAGE_REMOVE.subject)
_LONGEST: Final = 2_000
_FROM_HOST: Final = b"null"
MOST: Final = 10_000
"""Entries that wait while neither bus nor record takes them; the oldest are given up for newer ones, and counted."""
RETRY_S: Final = 1.0
FORGET_S: Final = 3_600.0


def refusal_of(seen: Witnessed, now: datetime) -> Refusal | None:
    """A command of a person's that was refused or failed; None for what was done, which is on record with its effect.

    A piece of a package or of a file is nothing before that is pushed or imported. Workers ask for trials all the time, and are told no just as often: that is no change that anybody wanted. One that asks in another's
    name is an attempt.
    """
    if seen.problem is None:
        return None
    if seen.call in (PACKAGE_UPLOAD, CATALOG_UPLOAD) or (
        seen.call is TRIAL_CLAIM and seen.problem.code != FaultCode.FORBIDDEN
    ):
        return None
    body = blanked(seen.body)
    said = msgspec.json.decode(body) if body is not None else {}
    request_id = said.get("request_id")
    return Refusal(
        request_id=storable(request_id)[:100] if isinstance(request_id, str) else new_request_id(),
        subject=seen.call.subject,
        instance_id=_about(seen.call.subject, said),
        created_at=now,
        code=seen.problem.code,
        message=storable(blanked_text(seen.problem.message, seen.body))[:_LONGEST],
        caller=seen.caller,
        body=body,
    )


def entry_of_host(told: HostCommand) -> Command | Refusal:
    """What a host did, or refused, when it was asked directly. One request to several hosts is an entry for each."""
    request_id = _request_id(told)
    about = storable(told.about or "all")[:100]
    body = msgspec.json.encode(told.body) if told.body is not None else None
    if told.code is not None:
        return Refusal(
            request_id=request_id,
            subject=told.subject,
            instance_id=about,
            created_at=told.at,
            code=told.code,
            message=storable(blanked_text(told.message))[:_LONGEST],
            caller=told.caller,
            host=told.host,
            body=body,
        )
    return Command(
        request_id=request_id,
        subject=told.subject,
        body_hash=b"",
        instance_id=about,
        reply=_FROM_HOST,
        created_at=told.at,
        caller=told.caller,
        host=told.host,
        body=body,
        message=storable(blanked_text(told.message))[:_LONGEST],
    )


def entry_of_notifier(told: NotifierCommand) -> Command | Refusal:
    """What the notifier did about alerts, rules and channels, or refused."""
    about = storable(told.about)[:100]
    body = msgspec.json.encode(told.body) if told.body is not None else None
    if told.code is not None:
        return Refusal(
            request_id=storable(told.request_id)[:100],
            subject=storable(told.subject)[:200],
            instance_id=about,
            created_at=told.at,
            code=told.code,
            message=storable(blanked_text(told.message))[:_LONGEST],
            caller=told.caller,
            body=body,
        )
    return Command(
        # Its ids are the notifier's own: the same one may be known here, of another command.
        request_id=f"{storable(told.request_id)[:100]}@{Actor.NOTIFIER}",
        subject=storable(told.subject)[:200],
        body_hash=b"",
        instance_id=about,
        reply=_FROM_HOST,
        created_at=told.at,
        caller=told.caller,
        body=body,
    )


def alert_of(told: HostCommand) -> RaiseAlert | None:
    """People hear of each emergency stop, and of each that is lifted, whoever asked for it. Our own are told of as a whole."""
    is_stop = told.subject == HOST_EMERGENCY_STOP.subject
    if told.caller.credential == Actor.ORCHESTRATOR or not (
        is_stop or told.subject == HOST_LIFT_STOP.subject
    ):
        return None
    kind, text = _stop_text(told) if is_stop else _lift_text(told)
    alert = kind.fleet_alert(
        f"host {told.host}: {text}: {told.message}",
        told.at,
        instance_id=told.about if told.about != "all" and is_id(told.about) else None,
        host=told.host,
    )
    return once_per(_request_id(told), alert)


def entry_of_gateway(told: GatewayRefusal) -> Refusal:
    """Requests that the gateway turned away, which reached nobody else."""
    times = f" ({told.count} times)" if told.count > 1 else ""
    return Refusal(
        request_id=storable(told.request_id)[:100],
        subject=storable(told.subject)[:200],
        instance_id=storable(told.about)[:100],
        created_at=told.at,
        code=told.code,
        message=f"{storable(blanked_text(told.message))[:_LONGEST]}{times}",
        # Only the gateway may publish on its feed.
        caller=msgspec.structs.replace(told.caller, credential=Actor.GATEWAY),
    )


def entry_of_order(order: StopOrder) -> Command:
    """A stop or a lift as it was asked for, whatever comes of it: that is an entry of its own, of whoever carried it out."""
    body: dict[str, Any] = {"instance_id": order.instance_id}
    return Command(
        request_id=f"{storable(order.order_id)[:100]}@asked",
        subject=(LIFT_STOP if order.is_lift else EMERGENCY_STOP).subject,
        body_hash=b"",
        instance_id=order.instance_id or "all",
        reply=_FROM_HOST,
        created_at=order.at,
        caller=order.caller,
        body=msgspec.json.encode(body if order.is_lift else body | {"reason": storable(order.reason)}),
        message="asked for; an entry of its own says what came of it, and without one that is not known",
    )


def alert_of_order(order: StopOrder) -> RaiseAlert:
    """People hear of a stop and of a lift as soon as it is asked for: whoever carries it out may die of it."""
    kind = alerts.STOP_LIFT_ASKED if order.is_lift else alerts.EMERGENCY_STOP_ASKED
    of_whom = f"engine {order.instance_id}" if order.instance_id else "all engines"
    who = order.caller.name or order.caller.credential or "somebody"
    why = f" ({storable(order.reason)[:200]})" if order.reason else ""
    what = "the lift of the emergency stop" if order.is_lift else "an emergency stop"
    alert = kind.fleet_alert(
        f"{what} of {of_whom} is asked for by {storable(who)[:200]}{why}",
        order.at,
        instance_id=order.instance_id,
    )
    return once_per(f"{order.order_id}-{order.at}", alert)


def _stop_text(told: HostCommand) -> tuple[AlertKind, str]:
    stop = f"emergency stop of {_of_whom(told)}"
    if told.code is None:
        return alerts.EMERGENCY_STOP, f"{stop} by {_who(told)}"
    return alerts.EMERGENCY_STOP_FAILED, f"{stop}, asked for by {_who(told)}, failed"


def _lift_text(told: HostCommand) -> tuple[AlertKind, str]:
    if told.code is None:
        return alerts.STOP_LIFTED, f"emergency stop lifted of {_of_whom(told)} by {_who(told)}"
    return (
        alerts.STOP_NOT_LIFTED,
        f"emergency stop of {_of_whom(told)} not lifted, as {_who(told)} asked for",
    )


def _of_whom(told: HostCommand) -> str:
    return f"engine {storable(told.about)[:100]}" if told.about not in ("", "all") else "all engines"


def _who(told: HostCommand) -> str:
    return told.caller.name or told.caller.credential or "somebody"


def _request_id(told: HostCommand) -> str:
    """One for each host that was asked; what is no id of ours is cut to what an index can hold."""
    return f"{storable(told.request_id)[:100]}@{told.host}"


def _about(subject: str, said: dict[str, Any]) -> str:
    if subject in _OF_PACKAGES and isinstance(said.get("name"), str):
        # Told from an engine of the same name by the `@`; which number a push would have got is not known.
        return storable(f"{said['name']}@{said.get('version') or '?'}")[:100]
    config = said.get("config")
    places = (said, config if isinstance(config, dict) else {})
    found = (place[name] for name in _ABOUT for place in places if isinstance(place.get(name), str))
    return storable(next(found, ""))[:100]


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

    async def take_notifier(self, batch: Sequence[Delivery]) -> None:
        """Records what the notifier was asked for; raises when it must be tried again."""
        for delivery in batch:
            try:
                told = msgspec.json.decode(delivery.data, type=NotifierCommand)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("unreadable command of the notifier", error=str(error))
                continue
            await self._add(entry_of_notifier(told))

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
