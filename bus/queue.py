"""A durable queue of work on JetStream: any number of takers share one consumer, and what a taker loses is handed out again."""

from collections.abc import Awaitable
from typing import Final, Generic, Self, TypeVar

from nats import errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import Feed

T = TypeVar("T")

log = get_logger(__name__)

KEEP_S: Final = 10.0
"""How often a taker must say that it is still at work."""
ACK_WAIT_S: Final = 3 * KEEP_S
"""How soon the work of a taker that fell silent is handed out again."""
PENDING: Final = 4096
"""How much may be under way at once, over all takers."""


class Taken:
    """A piece of work. `attempt` counts from 1 how often it was handed out."""

    def __init__(self, message: Msg) -> None:
        self._message = message
        self.data = bytes(message.data)
        self.attempt = int(message.metadata.num_delivered)

    async def done(self) -> bool:
        """It need not be handed out again. False when the server could not be told: then it will be."""
        return await self._tell(self._message.ack_sync(), "done")

    async def keep(self) -> bool:
        """It is still being worked at. False when the server could not be told."""
        return await self._tell(self._message.in_progress(), "kept")

    async def give_back(self, delay_s: float) -> bool:
        """Somebody shall have it after `delay_s`; that counts as an attempt. False: it takes ACK_WAIT_S instead."""
        return await self._tell(self._message.nak(delay=delay_s), "given back")

    async def _tell(self, telling: Awaitable[object], what: str) -> bool:
        try:
            await telling
        except (errors.Error, js_errors.Error, TimeoutError) as error:
            log.warning("the queue was not told", what=what, error=repr(error))
            return False
        return True


class WorkQueue(Generic[T]):
    """The queue of one durable feed. `consumer` names the takers' common place in it."""

    def __init__(self, bus: Bus, feed: Feed[T], consumer: str) -> None:
        self._js = bus.client.jetstream(timeout=10)
        self._stream = str(feed.durability)
        self._consumer = consumer
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def ensure(self, *, ack_wait_s: float = ACK_WAIT_S) -> Self:
        """Makes the consumer; for whoever owns the feed, because takers have no right to. Returns itself."""
        config = api.ConsumerConfig(
            durable_name=self._consumer,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            deliver_policy=api.DeliverPolicy.ALL,
            max_ack_pending=PENDING,
        )
        await self._js.add_consumer(self._stream, config)
        return self

    async def take(self, wait_s: float) -> Taken | None:
        """The next piece of work; None when there is none within `wait_s`, or the server is away."""
        try:
            if self._subscription is None:
                self._subscription = await self._js.pull_subscribe_bind(self._consumer, self._stream)
            messages = await self._subscription.fetch(1, timeout=wait_s)
        except (errors.TimeoutError, TimeoutError):
            return None
        except (errors.Error, js_errors.Error) as error:
            log.warning("queue cannot be reached", consumer=self._consumer, error=repr(error))
            await self._forget()
            return None
        return Taken(messages[0]) if messages else None

    async def left(self) -> int | None:
        """How much was put in and is not done with; None when the server does not say."""
        try:
            info = await self._js.consumer_info(self._stream, self._consumer)
        except (errors.Error, js_errors.Error, TimeoutError) as error:
            log.warning("queue cannot be looked at", consumer=self._consumer, error=repr(error))
            return None
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def _forget(self) -> None:
        """A subscription that an outage left hanging would go on hanging."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except errors.Error as error:
                log.info("subscription was gone already", consumer=self._consumer, error=repr(error))
