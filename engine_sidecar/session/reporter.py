"""All that a sidecar tells of its session: events on record, lines of log, heartbeats and metrics."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.outbox.journal import Journal
from flotilla.engine_sidecar.outbox.log_book import LogBook
from flotilla.engine_sidecar.outbox.outbox import EventRecord, Outbox
from flotilla.engine_sidecar.outbox.publisher import EventPublisher, LogPublisher
from flotilla.engine_sidecar.outbox.redaction import Redaction, secrets_of
from flotilla.engine_sidecar.process.echo import Echo
from flotilla.engine_sidecar.process.ports import Meter, Surroundings
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.engine_sidecar.session.telemetry import Telemetry
from flotilla.schemas.session import Launch

log = get_logger(__name__)

RETRY_S: Final = 1.0
_LOOK_S: Final = 0.01


class Reporter:
    """Tells for an engine or for a worker; nothing leaves with a secret in it. `session` is what is known of it now.

    Events are written to `record`; lines that processes print come through `add_line`, an engine's metrics through
    `telemetry`.
    """

    def __init__(
        self,
        launch: Launch,
        settings: Settings,
        around: Surroundings,
        meter: Meter,
        session: Callable[[], Session],
    ) -> None:
        spec = launch.spec
        self.redaction = Redaction(secrets_of(launch))
        self._book = LogBook(max_lines=settings.log_lines, max_bytes=settings.log_bytes)
        self._echo = Echo(around.stdout)
        self._outbox = Outbox(max_events=settings.queue_events, max_bytes=settings.queue_bytes)
        self._events = EventPublisher(spec, self._outbox)
        self._logs = LogPublisher(spec, self._book, around.now_ns)
        self.record = EventRecord(
            Journal(spec, self.redaction),
            self._outbox,
            now=around.now,
            now_ns=around.now_ns,
            wake=self._events.wake,
        )
        self.telemetry = Telemetry(
            spec,
            session=session,
            outbox=self._outbox,
            event_age_s=self.record.age_s,
            last_seq=lambda: self.record.last_seq,
            logs_dropped=lambda: self._book.dropped,
            meter=meter,
            heartbeat_file=settings.heartbeat_file,
            now=around.now,
            now_ns=around.now_ns,
        )

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The last lines, whether they were published or not."""
        return self._book.tail

    def add_line(self, line: str) -> None:
        """A line that a process of the session printed."""
        line = self.redaction.text(line)
        self._book.add(line)
        self._logs.wake()
        self._echo.add(line)

    async def run(self) -> None:
        """What needs no bus, until it is cancelled: the beat that the health check sees, and lines on stdout."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_keep_going("heartbeat", self.telemetry.run_heartbeat), name="heartbeat")
            tasks.create_task(_keep_going("echo", self._echo.run), name="echo")

    async def appear(self, bus: Bus) -> None:
        """Publishes the first heartbeat; the others follow on this bus."""
        self.telemetry.bus = bus
        await self.telemetry.beat()

    async def publish(self, bus: Bus) -> None:
        """Publishes until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_keep_going("events", lambda: self._events.run(bus)), name="events")
            tasks.create_task(_keep_going("logs", lambda: self._logs.run(bus)), name="logs")
            tasks.create_task(_keep_going("metrics", self.telemetry.run_metrics), name="metrics")

    async def flush(self, patience_s: float) -> None:
        """Waits until all was delivered, or nothing was for `patience_s`; then the rest is given up, and counted."""
        loop = asyncio.get_running_loop()
        self._logs.hurry()
        least, deadline = math.inf, 0.0
        while left := len(self._outbox) + self._logs.unpublished:
            if left < least:
                least, deadline = left, loop.time() + patience_s
            if loop.time() > deadline:
                log.error("not delivered", events=len(self._outbox), log_lines=self._logs.unpublished)
                return
            await asyncio.sleep(_LOOK_S)

    def finish(self) -> None:
        """Writes to stdout what can be written at once."""
        self._echo.finish()


async def _keep_going(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Starts `run` again when it fails: an engine that trades is worth more than what it tells."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("task failed and is started again", task=name)
        await asyncio.sleep(RETRY_S)
