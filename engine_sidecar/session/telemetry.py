"""What is told once a second and may be lost: the sidecar's heartbeat and the engine's metrics."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flotilla.bus.alive import say_alive
from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.engine_sidecar.process.ports import Meter
from flotilla.engine_sidecar.process.usage import OomCounter, Usage, resources
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.schemas.contract import HEARTBEAT, METRICS, Feed
from flotilla.schemas.heartbeats import BEAT_S
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.telemetry import Heartbeat, Resources
from flotilla.schemas.trading_hours import HoursView, hours_at

log = get_logger(__name__)

_MOST_WAITING: Final = 4


class Telemetry:
    """Publishes both, counts what was lost, and remembers the counters that both need."""

    def __init__(
        self,
        spec: SessionSpec,
        *,
        session: Callable[[], Session],
        outbox: Outbox,
        event_age_s: Callable[[], float | None],
        last_seq: Callable[[], int],
        logs_dropped: Callable[[], int],
        meter: Meter,
        heartbeat_file: Path,
        now: Callable[[], float],
        now_ns: Callable[[], int],
    ) -> None:
        self._spec = spec
        self._session = session
        self._outbox = outbox
        self._event_age_s = event_age_s
        self._last_seq = last_seq
        self._logs_dropped = logs_dropped
        self._meter = meter
        self._file = heartbeat_file
        self._now = now
        self._now_ns = now_ns
        self._metrics: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._new_metrics = asyncio.Event()
        self._usage: tuple[Usage, float] | None = None
        self._beat = 0
        self._dropped = 0
        self.oom = OomCounter()
        self.bus: Bus | None = None

    def measured(self, data: bytes) -> None:
        """Takes the engine's metrics; only the newest few wait: at a replay's end two measures come within a moment."""
        self._metrics.append(data)
        self._new_metrics.set()

    async def run_metrics(self) -> None:
        """Publishes metrics as they come, until it is cancelled."""
        while True:
            await self._new_metrics.wait()
            self._new_metrics.clear()
            while self._metrics:
                await self._publish(METRICS, self._metrics.popleft())

    async def run_heartbeat(self) -> None:
        """Publishes heartbeats until it is cancelled; also tells the container's health check that this loop turns."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.oom.sample(self._meter.oom_kills())
            self._touch()
            await self.beat()
            due = max(due + BEAT_S, loop.time())
            await asyncio.sleep(due - loop.time())

    async def beat(self) -> None:
        """Publishes one heartbeat."""
        await self._publish(HEARTBEAT, self._heartbeat(self._now()))

    def _heartbeat(self, now: float) -> Heartbeat:
        session = self._session()
        self._beat += 1
        return Heartbeat(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            generation=self._spec.generation,
            beat=self._beat,
            at_ns=self._now_ns(),
            state=session.state,
            is_frozen=session.is_frozen,
            tick_age_s=round(session.pulse.silent_s(now), 3) if session.pulse else None,
            loop_lag_ms=round(session.loop_lag_s * 1000, 1) if session.pulse else None,
            engine_pid=session.engine_pid,
            resources=self._resources(now),
            problems=session.problems,
            notes=session.notes,
            event_age_s=self._event_age_s(),
            lease_s=round(session.lease.left_s(now), 1) if session.lease else None,
            last_seq=self._last_seq(),
            events_published=self._outbox.published,
            events_queued=len(self._outbox),
            events_dropped=self._outbox.dropped,
            logs_dropped=self._logs_dropped(),
            telemetry_dropped=self._dropped,
            is_worker=self._spec.worker is not None,
            monotonic_s=round(now, 3),
            brake=session.brake,
            is_brake_taken=session.is_brake_taken,
            losses=session.losses_view,
            trading_hours=self._hours(),
            dead_man=self._spec.dead_man if session.contact is not None else None,
        )

    def _hours(self) -> HoursView | None:
        hours = self._spec.trading_hours
        if hours is None:
            return None
        return hours_at(hours, datetime.fromtimestamp(self._now_ns() / 1e9, UTC))

    def _resources(self, now: float) -> Resources | None:
        usage = self._meter.read()
        if usage is None:
            return None
        before, at = self._usage or (usage, now)
        self._usage = usage, now
        return resources(before, usage, now - at, self._spec.memory_bytes)

    def _touch(self) -> None:
        # A full or read-only file system makes the container unhealthy, which is the news; the engine trades on.
        with suppress(OSError):
            say_alive(self._file)

    async def _publish(self, feed: Feed[Any], payload: Heartbeat | bytes) -> None:
        ids = {"instance_id": self._spec.instance_id}
        if self.bus is None or not await self.bus.publish(feed, payload, **ids):
            self._dropped += 1
