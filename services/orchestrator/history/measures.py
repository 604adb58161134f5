"""Keeps what engines measure each second: put together in memory, written every few seconds, made coarser and dropped with age."""

import asyncio
from collections import deque
from datetime import date, datetime, timedelta
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultError
from flotilla.schemas.telemetry import EngineMetrics, Resources
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.ports import Unstorable
from flotilla.services.orchestrator.history.core.buckets import STEP, Bucket, step_of
from flotilla.services.orchestrator.history.ports import Lost, MeasureRecord

log = get_logger(__name__)

MOST_WAITING: Final = 20_000
"""Rows that wait for the record, about 1 kB each: ten engines for nearly three hours, a thousand for a minute and a half."""
_AT_ONCE: Final = 500
_FLUSH_S: Final = 5.0
_ROLL_S: Final = 60.0
_DROP_S: Final = 3600.0
_LATE: Final = timedelta(seconds=15)
"""How long after its end a step may still be written."""


class Measures:
    """Hears, and never waits for the record; `run` writes."""

    def __init__(self, record: MeasureRecord, clock: Clock) -> None:
        self._record = record
        self._clock = clock
        self._open: dict[str, Bucket] = {}
        self._waiting: deque[Bucket] = deque()
        self._lost: Lost | None = None
        self._prepared: set[date] = set()
        self.rows_written = 0
        self.rows_lost = 0

    def heard(self, metrics: EngineMetrics, resources: Resources | None) -> None:
        """Takes what the present session of an engine measured."""
        at = step_of(wall(self._clock()))
        bucket = self._open.get(metrics.instance_id)
        if bucket is None or bucket.at != at:
            if bucket is not None:
                self._wait(bucket)
            bucket = Bucket(instance_id=metrics.instance_id, at=at, session_id=metrics.session_id)
            self._open[metrics.instance_id] = bucket
        bucket.take(metrics, resources)

    async def run(self) -> None:
        """Writes, makes coarser and drops, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(), name="measures")
            group.create_task(self._grow_coarser(), name="coarser measures")
            group.create_task(self._drop(), name="old measures")

    async def flush(self) -> None:
        """Writes all steps that are over. Raises FaultError while the record is away; what was not written waits."""
        now = wall(self._clock())
        for bucket in [one for one in self._open.values() if one.at + STEP <= now]:
            del self._open[bucket.instance_id]
            self._wait(bucket)
        if self._lost is not None:
            await self._record.add_lost(self._lost)
            self._lost = None
        while self._waiting:
            some = [self._waiting[place] for place in range(min(_AT_ONCE, len(self._waiting)))]
            await self._prepare(some)
            await self._add(some)
            # More may have been dropped meanwhile, from the same end.
            written = set(map(id, some))
            while self._waiting and id(self._waiting[0]) in written:
                self._waiting.popleft()
            await asyncio.sleep(0)

    def _wait(self, bucket: Bucket) -> None:
        if len(self._waiting) >= MOST_WAITING:
            gone = self._waiting.popleft()
            known = self._lost or Lost(gone.at, gone.at, 0)
            since, until = min(known.since, gone.at), max(known.until, gone.at + STEP)
            self._lost = Lost(since, until, known.rows + 1)
            self.rows_lost += 1
        self._waiting.append(bucket)

    async def _prepare(self, buckets: list[Bucket]) -> None:
        """Room for their days, and for the next one, so that nobody waits for it at midnight."""
        days = {moment.date() for one in buckets for moment in (one.at, one.at + timedelta(days=1))}
        for day in sorted(days - self._prepared):
            await self._record.prepare(
                datetime(day.year, day.month, day.day, 12, tzinfo=buckets[0].at.tzinfo)
            )
            self._prepared.add(day)

    async def _add(self, buckets: list[Bucket]) -> None:
        try:
            await self._record.add(buckets)
            self.rows_written += len(buckets)
        except Unstorable as error:
            if len(buckets) == 1:
                self.rows_lost += 1
                log.warning("measures passed over", instance_id=buckets[0].instance_id, reason=str(error))
                return
            for bucket in buckets:
                await self._add([bucket])

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            try:
                await self.flush()
            except FaultError as error:
                log.info("measures wait for the record", rows=len(self._waiting), error=str(error))

    async def _grow_coarser(self) -> None:
        while True:
            await asyncio.sleep(_ROLL_S)
            try:
                await self.roll()
            except FaultError as error:
                log.info("coarser measures wait for the record", error=str(error))

    async def roll(self) -> None:
        """Makes the coarser steps of all that was written. Raises FaultError while the record is away."""
        written = self._waiting[0].at if self._waiting else wall(self._clock()) - _LATE
        before, is_more = min(written, wall(self._clock()) - _LATE), True
        while is_more:
            is_more = await self._record.roll(before)

    async def _drop(self) -> None:
        while True:
            try:
                for name in await self._record.drop(wall(self._clock())):
                    log.info("old measures dropped", partition=name)
            except FaultError as error:
                log.info("old measures wait for the record", error=str(error))
            await asyncio.sleep(_DROP_S)
