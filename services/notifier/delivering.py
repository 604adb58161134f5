"""Sends what waits, one message at a time to each channel: on record as begun, then sent, then on record as sent."""

import asyncio
from collections.abc import Callable
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.alerting import ChannelList, ChannelTested, ChannelView
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.telemetry import Severity
from flotilla.services.notifier.core import deliveries
from flotilla.services.notifier.core.deliveries import Delivery, Message
from flotilla.services.notifier.ledger import Ledger
from flotilla.services.notifier.ports import Sender

log = get_logger(__name__)

_LOOK_S: Final = 0.1
_TRY: Final = Message(
    title="Flotilla: a test of this channel",
    body="Somebody asked for this message: `flotilla alert channel test`.",
    severity=Severity.INFO,
)


class Deliveries:
    """The messages that go out."""

    def __init__(self, ledger: Ledger, sender: Sender) -> None:
        self._ledger = ledger
        self._sender = sender
        self._tasks = Tasks()
        self._busy: set[str] = set()
        self.sent = 0
        self.failed = 0

    async def run(self) -> None:
        """Looks for what is due, until cancelled."""
        try:
            while True:
                for delivery in self._due():
                    self._busy.add(delivery.channel)
                    self._tasks.start(self._deliver(delivery), name=f"deliver:{delivery.channel}")
                await asyncio.sleep(_LOOK_S)
        finally:
            await self._tasks.close()

    def _due(self) -> list[Delivery]:
        """The oldest of each channel, where it is due and nothing else is being sent there."""
        now, first = self._ledger.clock(), dict[str, Delivery]()
        for one in self._ledger.deliveries.values():
            kept = first.get(one.channel)
            if kept is None or one.created_at < kept.created_at:
                first[one.channel] = one
        return [one for name, one in first.items() if one.due_at <= now and name not in self._busy]

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._attempt(delivery.delivery_id)
        except FaultError as error:
            log.warning("delivery waits for the record", delivery=delivery.delivery_id, error=str(error))
            await asyncio.sleep(1.0)
        finally:
            self._busy.discard(delivery.channel)

    async def _attempt(self, delivery_id: str) -> None:
        ledger = self._ledger
        async with ledger.turn() as turn:
            # Changes may have come to it since.
            delivery = ledger.deliveries.get(delivery_id)
            channel = ledger.channels.get(delivery.channel) if delivery else None
            if delivery is None:
                return
            if channel is None or deliveries.is_given_up(delivery, turn.now):
                log.error("delivery given up", delivery=delivery_id, problem=delivery.problem)
                turn.batch.given_up.append(delivery_id)
                return
            message = deliveries.message(delivery)
            delivery = deliveries.begun(delivery)
            turn.batch.deliveries.append(delivery)
        done = await self._sender.send(channel.secret, message)
        async with ledger.turn() as turn:
            if delivery_id not in ledger.deliveries:
                return
            if done.is_sent:
                self.sent += 1
                turn.batch.sent.append((delivery_id, turn.now))
                log.info("delivered", delivery=delivery_id, channel=channel.name, attempts=delivery.attempts)
                return
            self.failed += 1
            log.warning("not delivered", delivery=delivery_id, channel=channel.name, problem=done.problem)
            turn.batch.deliveries.append(
                deliveries.failed(delivery, done.problem, turn.now, is_unsure=done.is_unsure)
            )

    async def test(self, name: str) -> ChannelTested:
        """Sends a message of its own. Raises FaultError `not_found`."""
        channel = self._ledger.channels.get(name)
        if channel is None:
            raise fault(FaultCode.NOT_FOUND, f"no channel {name}")
        loop = asyncio.get_running_loop()
        began = loop.time()
        done = await self._sender.send(channel.secret, _TRY)
        elapsed_ms = round((loop.time() - began) * 1e3, 1)
        return ChannelTested(name=name, is_sent=done.is_sent, problem=done.problem, elapsed_ms=elapsed_ms)

    def channels(self) -> ChannelList:
        """The channels by name, and how they do."""
        views = []
        for name, channel in sorted(self._ledger.channels.items()):
            waiting = [one for one in self._ledger.deliveries.values() if one.channel == name]
            problem = next((one.problem for one in waiting if one.problem), "")
            views.append(
                ChannelView(
                    channel=channel,
                    waiting=len(waiting),
                    problem=problem,
                    sent_at=self._ledger.last_sent.get(name),
                )
            )
        return ChannelList(channels=tuple(views))


async def say_alive(sender: Sender, secret: str, every_s: float, is_well: Callable[[], bool]) -> None:
    """Calls the owner's address every so many seconds while all is well, until cancelled: who hears nothing there knows that nobody is told."""
    while True:
        if is_well():
            done = await sender.call(secret)
            if not done.is_sent:
                log.warning("the heartbeat address was not reached", problem=done.problem)
        await asyncio.sleep(every_s)
