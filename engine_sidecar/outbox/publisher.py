"""Takes durable events and log lines to the bus, in order, for as long as it takes."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.outbox.journal import Entry
from flotilla.engine_sidecar.outbox.log_book import Batch, LogBook
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.schemas.contract import ENGINE_EVENT_FEEDS, LOG, Feed
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.telemetry import EventKind, LogLines

log = get_logger(__name__)

WINDOW: Final = 64
"""Events in flight at once."""
REST_S: Final = 0.006
"""How long events of orders and accounts wait for others. Whoever hears of an order works at once, on a small machine where the order is still
on its way: on two cores that cost an order half a millisecond to its venue, and its fill three to the bus."""
_MAY_REST: Final = (EventKind.ORDER, EventKind.ACCOUNT)
BATCH_CHARACTERS: Final = 32 << 10
BATCH_S: Final = 0.25
_FEEDS: Final[Mapping[str, Feed[Any]]] = {feed.subject.rsplit(".", 1)[1]: feed for feed in ENGINE_EVENT_FEEDS}
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
OF_PROCESS: Final = secrets.token_hex(8)
"""Part of each message id, and of our connections' names. Whoever has nothing but our credential does not know it: the server takes no message of
ours for a repetition of theirs, and the supervisor tells their connection from ours."""


class EventPublisher:
    """Publishes what is in the outbox. An event leaves it only when it and all before it were acknowledged."""

    def __init__(self, spec: SessionSpec, outbox: Outbox) -> None:
        self._spec = spec
        self._outbox = outbox
        self._wake = asyncio.Event()
        self._is_resting = False

    def wake(self, kind: EventKind) -> None:
        """There is a new event of this kind in the outbox."""
        if kind not in _MAY_REST:
            self._wake.set()
        elif not self._is_resting:
            self._is_resting = True
            asyncio.get_running_loop().call_later(REST_S, self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        self._wake.set()

    async def run(self, bus: Bus) -> None:
        """Publishes until it is cancelled; the message id makes a repetition harmless. An event waits for no other's acknowledgement."""
        window, failures = WINDOW, 0
        while True:
            if await self._publish(bus, window):
                window, failures = WINDOW, 0
                continue
            # Nothing new goes out before the first that failed is stored: the stream keeps the order of the sequence.
            window, failures = 1, failures + 1
            await _pause(failures, "events wait for the bus", queued=len(self._outbox))

    async def _publish(self, bus: Bus, window: int) -> bool:
        """Publishes until a window of one is stored, or one is not; returns with none on its way."""
        sent: deque[asyncio.Task[bool]] = deque()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for entry in self._outbox.next(len(sent), window):
                    sent.append(task := tasks.create_task(self._publish_one(bus, entry), name="event"))
                    task.add_done_callback(lambda _: self._wake.set())
                await self._wake.wait()
                self._wake.clear()
                while sent and sent[0].done():
                    if not sent.popleft().result():
                        return False
                    self._outbox.settle(1)
                    if window == 1:
                        return True

    async def _publish_one(self, bus: Bus, entry: Entry) -> bool:
        try:
            await bus.publish_durable(
                _FEEDS[entry.kind],
                entry.payload,
                message_id=f"{self._spec.session_id}-{entry.seq}-{OF_PROCESS}",
                instance_id=self._spec.instance_id,
            )
        except FaultError as error:
            log.debug("event not acknowledged", seq=entry.seq, fault=error.fault.message)
            return False
        return True


class LogPublisher:
    """Publishes the log book in batches, one at a time."""

    def __init__(self, spec: SessionSpec, book: LogBook, now_ns: Callable[[], int]) -> None:
        self._spec = spec
        self._book = book
        self._now_ns = now_ns
        self._wake = asyncio.Event()
        self._is_full = asyncio.Event()
        self._is_hurried = False
        self._in_flight = 0

    @property
    def unpublished(self) -> int:
        """Lines that were not acknowledged yet."""
        return len(self._book) + self._in_flight

    def wake(self) -> None:
        """There are new lines in the book."""
        self._wake.set()
        if self._book.size >= BATCH_CHARACTERS:
            self._is_full.set()

    def hurry(self) -> None:
        """Nothing more is to come for which a batch could wait."""
        self._is_hurried = True
        self._is_full.set()

    async def run(self, bus: Bus) -> None:
        """Publishes until it is cancelled."""
        while True:
            await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_S):
                    await self._is_full.wait()
            self._wake.clear()
            while batch := self._book.take(BATCH_CHARACTERS):
                self._in_flight = len(batch.lines)
                await self._deliver(bus, batch)
                self._in_flight = 0
            if not self._is_hurried:
                self._is_full.clear()

    async def _deliver(self, bus: Bus, batch: Batch) -> None:
        payload = LogLines(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            first=batch.first,
            at_ns=self._now_ns(),
            lines=batch.lines,
        )
        failures = 0
        while not await self._has_stored(bus, payload):
            failures += 1
            await _pause(failures, "log lines wait for the bus", queued=len(self._book))

    async def _has_stored(self, bus: Bus, payload: LogLines) -> bool:
        try:
            message_id = f"{payload.session_id}-log-{payload.first}-{OF_PROCESS}"
            await bus.publish_durable(LOG, payload, message_id=message_id, instance_id=payload.instance_id)
        except FaultError:
            return False
        return True


async def _pause(failures: int, event: str, *, queued: int) -> None:
    if failures == 1:
        log.warning(event, queued=queued)
    await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S)) - 1])
