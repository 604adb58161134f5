"""A subscription to a feed whose messages are decoded and handled in order."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import Feed
from flotilla.schemas.subjects import parse

log = get_logger(__name__)

PENDING_MESSAGES: Final = 65_536
PENDING_BYTES: Final = 64 << 20


class Listener:
    """Hands messages of one feed to a handler; one that cannot be decoded or handled is logged and passed over."""

    def __init__(
        self,
        feed: Feed[Any],
        pattern: str,
        handler: Callable[[Any, Mapping[str, str]], Awaitable[None]],
    ) -> None:
        self._feed = feed
        self._pattern = pattern
        self._handler = handler
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(feed.payload)
        self._subscription: Subscription | None = None

    async def start(self, client: Client) -> None:
        """Subscribes, and returns when the server knows of it."""
        self._subscription = await client.subscribe(
            self._pattern,
            cb=self._receive,
            pending_msgs_limit=PENDING_MESSAGES,
            pending_bytes_limit=PENDING_BYTES,
        )
        await client.flush(timeout=5)

    async def close(self) -> None:
        """Unsubscribes; closing twice is fine."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not subscription._closed:
            await subscription.unsubscribe()

    async def _receive(self, message: Msg) -> None:
        try:
            payload = self._decoder.decode(message.data)
            await self._handler(payload, parse(self._feed.subject, message.subject) or {})
        except Exception:  # a poisoned message must not end the subscription
            log.exception("message failed", subject=message.subject, bytes=len(message.data))
