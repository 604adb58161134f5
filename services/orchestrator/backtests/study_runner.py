"""The course of studies: what becomes of their backtests leads to more of them, and in the end to theirs.

All of it follows from the record, so that whoever comes after us goes on with it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.backtest import BacktestStatus
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.cancelling import Cancelling
from flotilla.services.orchestrator.backtests.core import study_plan
from flotilla.services.orchestrator.backtests.core.model import Backtest, NewBacktest, Study
from flotilla.services.orchestrator.backtests.core.study_ranking import Point, Points, point_of
from flotilla.services.orchestrator.backtests.plan_sources import PlanSources
from flotilla.services.orchestrator.backtests.ports import BacktestRecord, TakenError
from flotilla.services.orchestrator.backtests.study_backtests import new_members
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.ports import Command, StaleChange

log = get_logger(__name__)

ROUND_S: Final = 5.0
_RETRY_S: Final = 1.0


class _Open(msgspec.Struct):
    """A study that has not ended, and where its backtests are."""

    study: Study
    points: dict[int, Point]


class StudyRunner:
    """The studies that have not ended."""

    def __init__(
        self,
        record: BacktestRecord,
        announcements: Announcements,
        clock: Clock,
        *,
        plan_sources: PlanSources,
        cancelling: Cancelling,
    ) -> None:
        self._record = record
        self._announcements = announcements
        self._clock = clock
        self._plan_sources = plan_sources
        self._cancelling = cancelling
        self._open: dict[str, _Open] = {}
        self._due: set[str] = set()
        self._has_news = asyncio.Event()
        self._is_read = False

    async def begin(
        self, study: Study, points: dict[int, Point], new: Sequence[NewBacktest], command: Command
    ) -> None:
        """Records a study that is new, with its backtests. Raises FaultError `conflict` for an id that is taken."""
        # Known before it is on record: its first backtests may change before we hear that it is.
        mine = _Open(study, points)
        if self._open.setdefault(study.study_id, mine) is not mine:
            raise fault(FaultCode.CONFLICT, f"there is a study {study.study_id} already")
        try:
            await self._record.add_study(study, new, command)
        except BaseException as error:
            self._open.pop(study.study_id, None)
            self._is_read = False  # perhaps it is on record nevertheless
            if isinstance(error, TakenError):
                raise fault(FaultCode.CONFLICT, f"the id {error} is taken already") from None
            raise

    async def known(self, study_id: str) -> Study:
        """A study of the record. Raises FaultError `not_found`."""
        found = await self._record.studies(study_id=study_id, limit=1)
        if not found:
            raise fault(FaultCode.NOT_FOUND, f"no study {study_id} is known")
        return found[0]

    async def points(self, study: Study) -> Points:
        """Where the backtests of a study are now."""
        known = self._open.get(study.study_id)
        return known.points if known else await self._record.points(study)

    async def end(self, study: Study, step: study_plan.Step) -> None:
        """Ends a study with what is pending of it; what runs of it is ended next. Raises StaleChange when it had ended."""
        now = self._clock()
        ended = msgspec.structs.replace(
            study, status=step.end, version=study.version + 1, ended_at=wall(now), why_ended=step.why
        )
        cancelled = await self._record.change_study(ended, now)
        self._open.pop(study.study_id, None)
        self._has_news.set()
        await self._announcements.tell_of(cancelled)

    def saw(self, backtest: Backtest) -> None:
        """A backtest changed."""
        known = self._open.get(backtest.study_id or "")
        if known is not None:
            known.points[backtest.number] = point_of(backtest, known.study.config)
            if backtest.is_final:
                self._due.add(known.study.study_id)
                self._has_news.set()

    async def run(self) -> None:
        """Takes every study that has not ended on, until cancelled; waits for a record that is away."""
        while True:
            self._has_news.clear()
            try:
                if not self._is_read:
                    await self._read()
                for study_id in sorted(self._due):
                    await self._take_on(study_id)
                await self._cancelling.end_all(await self._record.strays())
            except FaultError as error:
                log.warning("studies wait", error=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                await asyncio.wait_for(self._has_news.wait(), ROUND_S)
            except TimeoutError:
                continue

    async def _read(self) -> None:
        for study in await self._record.studies(only_open=True):
            known = self._open.setdefault(study.study_id, _Open(study, {}))
            # What was heard meanwhile is newer than what is read.
            known.points = {**await self._record.points(study), **known.points}
        self._due |= set(self._open)
        self._is_read = True

    async def _take_on(self, study_id: str) -> None:
        # What is heard from here on makes it due again.
        self._due.discard(study_id)
        try:
            if (known := self._open.get(study_id)) is not None:
                await self._step(known)
        except FaultError:
            self._due.add(study_id)
            raise

    async def _step(self, known: _Open) -> None:
        study = known.study
        step = study_plan.step(study, known.points)
        try:
            if step.add:
                await self._add(study, step)
            if step.end is not None:
                await self.end(study, step)
        except StaleChange:
            log.info("study was ended by somebody else", study_id=study.study_id)
            self._open.pop(study.study_id, None)

    async def _add(self, study: Study, step: study_plan.Step) -> None:
        try:
            new = await new_members(study, step.add, await self._plan_sources.sources(), self._clock)
        except FaultError as error:
            if error.fault.code != FaultCode.INVALID:
                raise
            why = f"a choice cannot be tried: {error.fault.message}"
            await self.end(study, study_plan.Step(end=BacktestStatus.FAILED, why=why))
            return
        await self._record.add_missing(new)
        await self._announcements.tell_of([each.backtest.backtest_id for each in new])
