"""What engines measured, as it is asked for."""

from datetime import datetime, timedelta

import msgspec

from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.history import DayStart, DayStarts, History, ReadDays, ReadHistory
from flotilla.schemas.local_times import check_timezone, zone
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.core.replies import MAX_REPLY_BYTES
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.history.core.curves import WIDTH, Cut, cut, gaps, lists, with_breaks
from flotilla.services.orchestrator.history.ledgers import engines_meant
from flotilla.services.orchestrator.history.ports import MeasureRecord

_A_DAY = timedelta(days=1)


class Curves:
    """The calls `fleet.history.*`."""

    def __init__(self, record: MeasureRecord, fleet: Fleet, clock: Clock) -> None:
        self._record = record
        self._fleet = fleet
        self._clock = clock

    async def read(self, question: ReadHistory) -> History:
        """What an engine measured, with as many points as fit. Raises FaultError: `not_found`, `invalid` for a time without length."""
        self._fleet.known(question.instance_id)
        now = wall(self._clock())
        until = question.until or now
        since = question.since or until - _A_DAY
        if since >= until:
            raise invalid(FieldError("since", "must be before until"))
        points = question.points
        while True:
            made = await self._history(question, since, until, cut(since, until, points, now))
            if points == 1 or len(msgspec.json.encode(made)) <= MAX_REPLY_BYTES:
                return made
            points = max(1, points // 2)

    async def days(self, question: ReadDays) -> DayStarts:
        """The equity with which engines began the day. Raises FaultError `invalid` for a time zone that is none."""
        since = self._midnight(question.timezone)
        meant = engines_meant(self._fleet, question)
        instance_ids = [one.instance_id for one in self._fleet.recent()] if meant is None else meant
        found = await self._record.day_starts(sorted(instance_ids), since) if instance_ids else {}
        days: dict[str, DayStart] = {}
        room = MAX_REPLY_BYTES
        for instance_id, start in found.items():
            room -= len(msgspec.json.encode(start)) + len(instance_id) + 4
            if room < 0:
                break
            days[instance_id] = start
        return DayStarts(since=since, days=days, is_whole=len(days) == len(found))

    def _midnight(self, timezone: str) -> datetime:
        try:
            check_timezone(timezone)
        except ValueError as error:
            raise fault(FaultCode.INVALID, str(error), FieldError("timezone", "is no time zone")) from None
        local = wall(self._clock()).astimezone(zone(timezone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    async def _history(self, question: ReadHistory, since: datetime, until: datetime, chosen: Cut) -> History:
        rows = await self._record.rows(question.instance_id, since, until, chosen)
        lost = await self._record.lost(since, until) if rows else ()
        shown = with_breaks(rows, chosen.width)
        return History(
            instance_id=question.instance_id,
            since=since,
            until=until,
            width_s=chosen.width.total_seconds(),
            step_s=WIDTH[chosen.step].total_seconds(),
            at=tuple(row.at for row in shown),
            samples=tuple(row.samples for row in shown),
            gaps=gaps(rows, chosen.width, lost),
            **lists(shown, question.measures),
        )
