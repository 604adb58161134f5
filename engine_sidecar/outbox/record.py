"""Puts durable events on record: numbers them, queues them, and says aloud when that is not possible."""

from collections.abc import Callable

from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.outbox.journal import Entry, Journal
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.schemas.alerts import EVENTS_DROPPED, UNREADABLE_EVENT
from flotilla.schemas.telemetry import Alert, EventKind, StateChange

log = get_logger(__name__)


class EventRecord:
    """The one way into the outbox."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        *,
        now: Callable[[], float],
        now_ns: Callable[[], int],
        wake: Callable[[], None],
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
        self._wake()
