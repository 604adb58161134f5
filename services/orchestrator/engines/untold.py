"""What the fleet must hear of is published until the bus has taken it."""

from collections.abc import Iterator
from typing import Any

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import Feed
from flotilla.schemas.fault import FaultError

log = get_logger(__name__)


class Untold[K]:
    """Keys of what the bus has not taken, in the order in which it did not; their owner publishes them again, as they are by then."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._keys: dict[K, None] = {}

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._keys))

    def add(self, key: K) -> None:
        """Something of this key has changed, and may not have been told."""
        self._keys[key] = None

    def take(self) -> tuple[K, ...]:
        """All of them, which are the caller's to publish now."""
        taken, self._keys = tuple(self._keys), {}
        return taken

    async def publish(self, key: K, feed: Feed[Any], payload: Any, *, message_id: str, **ids: Any) -> None:
        """Publishes in the feed's stream, which stores one `message_id` once. What the bus does not take is logged, and its key kept.

        A key leaves once the bus has taken a message of it.
        """
        try:
            await self._bus.publish_durable(feed, payload, message_id=message_id, **ids)
        except FaultError as error:
            log.warning("not published yet", subject=feed.subject, message_id=message_id, error=str(error))
            self.add(key)
        else:
            self._keys.pop(key, None)
