"""Events that wait for the bus, in order and bounded: nothing leaves before it was acknowledged, and losses are counted."""

from collections import deque
from itertools import islice
from typing import Final

from flotilla.engine_sidecar.outbox.journal import Entry
from flotilla.schemas.telemetry import EventKind

RESERVE: Final = 1_000
"""Room beyond the limit for states and alerts: the news that events are being lost must not be lost."""
_VITAL: Final = (EventKind.STATE, EventKind.ALERT)


class Outbox:
    """A queue that drops the newest when it is full, because what is older explains it."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self.published = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> bool:
        """Queues the event; False, and counted, when there is no room."""
        reserve = RESERVE if entry.kind in _VITAL else 0
        is_full = len(self._entries) >= self._max_events or self._bytes + entry.size > self._max_bytes
        if is_full and (not reserve or len(self._entries) >= self._max_events + reserve):
            self.dropped += 1
            return False
        self._entries.append(entry)
        self._bytes += entry.size
        return True

    def head(self, count: int) -> list[Entry]:
        """The first `count` events, which stay queued."""
        return list(islice(self._entries, count))

    def settle(self, count: int) -> None:
        """The first `count` events were acknowledged."""
        for _ in range(count):
            self._bytes -= self._entries.popleft().size
        self.published += count
