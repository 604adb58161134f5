"""Studies: recorded with their backtests, driven by what becomes of these, ended when all have, or when enough is known."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from bus.logs import get_logger
from schemas.backtest import (
    BacktestStatus,
    ListStudies,
    RunStudy,
    StudyList,
    StudyView,
    WhichStudy,
)
from schemas.contract import STUDY_CANCEL, STUDY_RUN
from schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from services.orchestrator.actions import Clock
from services.orchestrator.backtests.announcements import Announcements
from services.orchestrator.backtests.cancelling import Cancelling
from services.orchestrator.backtests.ports import BacktestRecord, TakenError
from services.orchestrator.backtests.reads import Reads
from services.orchestrator.backtests.sources import Shelves, new_backtest
from services.orchestrator.conductor import Stamp
from services.orchestrator.core.backtests import studies as core
from services.orchestrator.core.backtests.model import Backtest, NewBacktest, Study
from services.orchestrator.core.backtests.plans import Sources
from services.orchestrator.core.backtests.tally import Point, Points, best, point_of
from services.orchestrator.core.backtests.views import study_view
from services.orchestrator.core.replies import fitting
from services.orchestrator.ledger import Ledger, command_of
from services.orchestrator.ports import StaleChange

log = get_logger(__name__)

ROUND_S: Final = 5.0
_BREATH: Final = 50
"""Plans that are rendered before others get their turn."""


class _Open(msgspec.Struct):
    """A study that has not ended, and where its backtests are."""

    study: Study
    points: dict[int, Point]


class Studies:
    """What goes on follows from the record, so that whoever comes after us goes on with it."""

    def __init__(
        self,
        record: BacktestRecord,
        announcements: Announcements,
        clock: Clock,
        *,
        ledger: Ledger,
        shelves: Shelves,
        cancelling: Cancelling,
        reads: Reads,
    ) -> None:
        self._record = record
        self._announcements = announcements
        self._clock = clock
        self._ledger = ledger
        self._shelves = shelves
        self._cancelling = cancelling
        self._reads = reads
        self._open: dict[str, _Open] = {}
        self._due: set[str] = set()
        self._has_news = asyncio.Event()

    async def start(self, request: RunStudy) -> StudyView:
        """A new study; every backtest of it is checked before any is recorded."""

        async def run(stamp: Stamp) -> StudyView:
            sources, now = await self._shelves.sources(), self._clock()
            study, errors = core.settle(request.study_id, request.config, sources.shelf, now)
            if study is None:
                raise invalid(*errors)
            new = await self._rendered(study, core.members(study), sources)
            points = {each.backtest.number: point_of(each.backtest, study.config) for each in new}
            reply = study_view(study, points.values(), None)
            try:
                await self._record.add_study(study, new, command_of(stamp, study.study_id, reply))
            except TakenError as error:
                raise fault(FaultCode.CONFLICT, f"the id {error} is taken already") from None
            self._open.setdefault(study.study_id, _Open(study, points))
            for each in new:
                self._announcements.tell(each.backtest)
            return reply

        return await self._ledger.once(STUDY_RUN, request, run)

    async def get(self, request: WhichStudy) -> StudyView:
        """One study."""
        return await self._view(await self._known(request.study_id))

    async def list(self, request: ListStudies) -> StudyList:
        """Studies, newest first."""
        studies = await self._record.studies(limit=request.limit)
        return StudyList(studies=fitting([await self._view(each) for each in studies]))

    async def cancel(self, request: WhichStudy) -> StudyView:
        """Ends a study with all that has not ended of it. Raises FaultError `conflict` when it had ended."""

        async def run(stamp: Stamp) -> StudyView:
            study = await self._known(request.study_id)
            if study.status.is_final:
                why = f": {study.why_ended}" if study.why_ended else ""
                text = f"study {study.study_id} is {study.status} already{why}"
                raise fault(FaultCode.CONFLICT, text)
            try:
                await self._end(study, core.Step(end=BacktestStatus.CANCELLED, why="cancelled"))
            except StaleChange:
                raise fault(FaultCode.CONFLICT, f"study {study.study_id} has just ended") from None
            await self._cancelling.end_all(await self._record.strays(study.study_id))
            reply = await self._view(await self._known(study.study_id))
            await self._ledger.note(stamp, study.study_id, reply)
            return reply

        return await self._ledger.once(STUDY_CANCEL, request, run)

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
        is_read = False
        while True:
            self._has_news.clear()
            try:
                is_read = is_read or await self._read()
                for study_id in sorted(self._due):
                    await self._step(self._open[study_id])
                    self._due.discard(study_id)
                await self._cancelling.end_all(await self._record.strays())
            except FaultError as error:
                log.warning("studies wait", error=str(error))
                await asyncio.sleep(1.0)
                continue
            try:
                await asyncio.wait_for(self._has_news.wait(), ROUND_S)
            except TimeoutError:
                continue

    async def _read(self) -> bool:
        for study in await self._record.studies(only_open=True):
            self._open[study.study_id] = _Open(study, dict(await self._record.points(study)))
        self._due |= set(self._open)
        return True

    async def _step(self, known: _Open) -> None:
        study = known.study
        step = core.step(study, known.points)
        try:
            if step.add:
                await self._add(study, step)
            if step.end is not None:
                await self._end(study, step)
        except StaleChange:
            log.info("study was ended by somebody else", study_id=study.study_id)
            self._open.pop(study.study_id, None)

    async def _add(self, study: Study, step: core.Step) -> None:
        try:
            new = await self._rendered(study, step.add, await self._shelves.sources())
        except FaultError as error:
            if error.fault.code != FaultCode.INVALID:
                raise
            why = f"a choice cannot be tried: {error.fault.message}"
            await self._end(study, core.Step(end=BacktestStatus.FAILED, why=why))
            return
        added = await self._record.add_missing(new)
        await self._announcements.tell_of(added)

    async def _end(self, study: Study, step: core.Step) -> None:
        now = self._clock()
        ended = msgspec.structs.replace(
            study, status=step.end, version=study.version + 1, ended_at=now, why_ended=step.why
        )
        cancelled = await self._record.change_study(ended, now)
        self._open.pop(study.study_id, None)
        self._has_news.set()
        await self._announcements.tell_of(cancelled)

    async def _rendered(
        self, study: Study, members: Sequence[core.Member], sources: Sources
    ) -> Sequence[NewBacktest]:
        """The backtests to record. Raises FaultError `invalid` for the first that cannot be run, in the words of the study."""
        new: list[NewBacktest] = []
        for index, member in enumerate(members):
            if index % _BREATH == 0:
                await asyncio.sleep(0)
            name = core.member_id(study, member.number)
            chosen = {"study_id": study.study_id, "number": member.number}
            try:
                new.append(new_backtest(name, member.config, sources, self._clock(), **chosen))  # type: ignore[arg-type]
            except FaultError as error:
                raise _in_words(study, error) from error
        return new

    async def _known(self, study_id: str) -> Study:
        found = await self._record.studies(study_id=study_id, limit=1)
        if not found:
            raise fault(FaultCode.NOT_FOUND, f"no study {study_id} is known")
        return found[0]

    async def _view(self, study: Study) -> StudyView:
        known = self._open.get(study.study_id)
        points: Points = known.points if known else await self._record.points(study)
        found = best(study, points)
        shown = (await self._record.backtests([found.backtest_id])) if found else {}
        view = self._reads.view(shown[found.backtest_id]) if found else None
        return study_view(study, points.values(), view)


def _in_words(study: Study, error: FaultError) -> FaultError:
    """A fault of one backtest, named as the study was asked for: what comes of an axis stands under it."""
    renamed = []
    for each in error.fault.errors:
        name = each.field.removeprefix("config.strategy_config.")
        under = "config.axes." if name in study.config.axes else "config.base."
        renamed.append(
            FieldError(
                under + (name if "axes" in under else each.field.removeprefix("config.")), each.message
            )
        )
    return invalid(*renamed)
