"""Durable events on their way to the record: numbered, then kept in order, and bounded, until the bus has them."""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.outbox.journal import Entry, Journal
from flotilla.schemas.alerts import EVENTS_DROPPED, UNREADABLE_EVENT
from flotilla.schemas.telemetry import Alert, EventKind, StateChange

log = get_logger(__name__)

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

    def next(self, first: int, end: int) -> list[Entry]:
        """The events from the one at `first` to that before `end`, which stay queued."""
        return list(islice(self._entries, first, end))

    def settle(self, count: int) -> None:
        """The first `count` events were acknowledged."""
        for _ in range(count):
            self._bytes -= self._entries.popleft().size
        self.published += count


class EventRecord:
    """The one way into the outbox: numbers events, queues them, and says aloud when that is not possible."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        *,
        now: Callable[[], float],
        now_ns: Callable[[], int],
        wake: Callable[[EventKind], None],
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._now = now
        self._now_ns = now_ns
        self._wake = wake
        self._unreadable: set[EventKind] = set()
        self._is_full = False
        self._last_s: float | None = None

    def age_s(self) -> float | None:
        """Seconds since the last event came; None before the first."""
        return None if self._last_s is None else round(self._now() - self._last_s, 3)

    @property
    def last_seq(self) -> int:
        """The number given last; 0 before the first."""
        return self._journal.last_seq

    def write(self, data: StateChange | Alert) -> None:
        """Something that the sidecar tells of itself."""
        if isinstance(data, Alert):
            self._add(self._journal.alert(data, self._now_ns()))
        else:
            self._add(self._journal.state(data, self._now_ns()))

    def copy(self, kind: EventKind, data: bytes) -> None:
        """Something that the engine told; what cannot be read is told as an alert instead, once for each kind."""
        try:
            entry = self._journal.happened(kind, data, self._now_ns())
        except ValueError as error:
            if kind not in self._unreadable:
                self._unreadable.add(kind)
                log.exception("event unreadable", kind=kind)
                self.write(UNREADABLE_EVENT.alert(f"an event of kind {kind} was not published: {error}"))
            return
        self._add(entry)

    def _add(self, entry: Entry) -> None:
        self._last_s = self._now()
        if not len(self._outbox):
            self._is_full = False
        if not self._outbox.add(entry) and not self._is_full:
            self._is_full = True
            log.error("events are being dropped", queued=len(self._outbox), seq=entry.seq)
            self.write(EVENTS_DROPPED.alert(f"the queue is full; events from seq {entry.seq} on are lost"))
        self._wake(entry.kind)
