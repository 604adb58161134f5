"""Searches the logs of all engines, from their stream's end backwards: so much for one answer, which says how far it came."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery, StreamSpan, first_since, read_back, span_of
from flotilla.schemas.contract import LOG, Durability
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.labels import matches
from flotilla.schemas.logs import FoundLogs, SearchLogs
from flotilla.schemas.subjects import parse, subject, wildcard
from flotilla.schemas.telemetry import LogLines
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.core.fleet import Fleet, unknown_engine
from flotilla.services.orchestrator.engines.core.log_search import (
    Batch,
    Found,
    Place,
    matching,
    place_of,
    text_of,
)

log = get_logger(__name__)

_MOST_BYTES: Final = 32 << 20
_PATIENCE_S: Final = 4.0
"""What one answer looks through, and for how long it goes on."""
_AT_ONCE: Final = 2
_WAIT_S: Final = 5.0
"""For a turn; who asks gives up after 15."""


class LogSearch:
    """The call `fleet.log.search`. Two are answered at a time: what they read passes through this process."""

    def __init__(self, bus: Bus, fleet: Fleet) -> None:
        self._bus = bus
        self._fleet = fleet
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def search(self, question: SearchLogs) -> FoundLogs:
        """Raises FaultError: `not_found` for an engine that never ran or has not the labels, `invalid` for a place that is not there any more,
        `busy` while others search."""
        meant = self._meant(question)
        if question.since and question.until and question.until <= question.since:
            raise invalid(FieldError("until", "is not after since"))
        try:
            await asyncio.wait_for(self._turns.acquire(), _WAIT_S)
        except TimeoutError:
            raise fault(FaultCode.BUSY, "other searches are on; try again", retry_after_s=2.0) from None
        try:
            kept = await span_of(self._bus, Durability.LOGS)
            begin, end = await self._span(question, kept)
            return await self._look(question, meant, kept, begin, end)
        finally:
            self._turns.release()

    def _meant(self, question: SearchLogs) -> set[str] | None:
        """The engines whose lines may be shown; None for all that ever were."""
        if (instance_id := question.instance_id) is not None:
            engine = self._fleet.known(instance_id)
            if question.labels and (
                engine.is_removed or not matches(engine.shown_config.labels, question.labels)
            ):
                raise unknown_engine(instance_id)
            return {instance_id}
        if not question.labels:
            return None
        return {
            engine.instance_id
            for engine in self._fleet.recent()
            if matches(engine.shown_config.labels, question.labels)
        }

    async def _span(self, question: SearchLogs, kept: StreamSpan) -> tuple[Place, Place]:
        """From where to where lines are looked for."""
        begins, ends = [Place(kept.first)], [Place(kept.last + 1)]
        if question.after is not None:
            begins.append(place_of(question.after, kept.epoch, "after"))
        if question.cursor is not None:
            ends.append(place_of(question.cursor, kept.epoch, "cursor"))
        for moment, places in ((question.since, begins), (question.until, ends)):
            if moment is not None:
                seq = await first_since(self._bus, Durability.LOGS, moment)
                places.append(Place(kept.last + 1 if seq is None else seq))
        return max(begins), min(ends)

    async def _look(
        self, question: SearchLogs, meant: set[str] | None, kept: StreamSpan, begin: Place, end: Place
    ) -> FoundLogs:
        found: list[Found] = []
        looked, back_to, goes_on = 0, None, begin
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        span = (begin.seq, end.seq + (1 if end.line else 0))
        if meant is None or meant:
            async for first, run in read_back(self._bus, Durability.LOGS, span, _subjects(meant)):
                found += matching(list(_batches(run)), question, meant, begin, end)
                looked += sum(len(one.data) for one in run)
                back_to = run[0].at if run else back_to
                goes_on = max(begin, Place(first))
                is_late = asyncio.get_running_loop().time() > deadline
                if len(found) >= question.limit or looked >= _MOST_BYTES or is_late:
                    break
        shown = fitting(one.line for one in found[: question.limit])
        if len(shown) < len(found):
            goes_on = found[len(shown) - 1].place
        return FoundLogs(
            lines=shown,
            next=text_of(goes_on, kept.epoch) if goes_on > begin else None,
            end=text_of(Place(kept.last + 1), kept.epoch),
            looked_back_to=_oldest(found, len(shown), back_to),
            looked_bytes=looked,
        )


def _oldest(found: Sequence[Found], shown: int, back_to: datetime | None) -> datetime | None:
    """Since when nothing was passed over that fits."""
    return found[shown - 1].line.at if shown < len(found) else back_to


def _subjects(meant: set[str] | None) -> str:
    if meant is not None and len(meant) == 1:
        return subject(LOG.subject, instance_id=next(iter(meant)))
    return wildcard(LOG.subject)


def _batches(run: Sequence[Delivery]) -> Iterator[Batch]:
    for one in run:
        try:
            said = msgspec.json.decode(one.data, type=LogLines)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("log lines passed over", seq=one.seq, error=str(error))
            continue
        if ids := parse(LOG.subject, one.subject):
            yield Batch(one.seq, one.at, ids["instance_id"], said.session_id, said.first, said.lines)
