"""What people ask of studies: run, look, cancel."""

import msgspec

from flotilla.schemas.backtest import (
    BacktestStatus,
    ListStudies,
    RunStudy,
    StudyList,
    StudyView,
    WhichStudy,
)
from flotilla.schemas.contract import STUDY_CANCEL, STUDY_RUN
from flotilla.schemas.fault import FaultCode, fault, invalid
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.cancelling import Cancelling
from flotilla.services.orchestrator.backtests.core import study_plan
from flotilla.services.orchestrator.backtests.core.chosen_strategy import with_version
from flotilla.services.orchestrator.backtests.core.cursors import cursor, place
from flotilla.services.orchestrator.backtests.core.model import Study
from flotilla.services.orchestrator.backtests.core.study_ranking import best, point_of
from flotilla.services.orchestrator.backtests.core.views import study_view
from flotilla.services.orchestrator.backtests.plan_sources import PlanSources
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.backtests.reads import BacktestReads
from flotilla.services.orchestrator.backtests.study_backtests import new_members
from flotilla.services.orchestrator.backtests.study_runner import StudyRunner
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.core.unhonoured import refuse_unhonoured
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.ports import StaleChange


class Studies:
    """A study is recorded with all its backtests or not at all; the rest is its course."""

    def __init__(
        self,
        record: BacktestRecord,
        announcements: Announcements,
        clock: Clock,
        *,
        ledger: Ledger,
        plan_sources: PlanSources,
        cancelling: Cancelling,
        runner: StudyRunner,
        reads: BacktestReads,
    ) -> None:
        self._record = record
        self._announcements = announcements
        self._clock = clock
        self._ledger = ledger
        self._plan_sources = plan_sources
        self._cancelling = cancelling
        self._reads = reads
        self._runner = runner

    async def start(self, request: RunStudy) -> StudyView:
        """A new study; every backtest of it is checked before any is recorded."""

        async def run(stamp: Stamp) -> StudyView:
            refuse_unhonoured(request.config.base, "config.base")
            sources, now = await self._plan_sources.sources(), self._clock()
            # All of its backtests run one version, also those that are planned later.
            base = with_version(request.config.base, sources.template_set)
            config = msgspec.structs.replace(request.config, base=base)
            study, errors = study_plan.settle(request.study_id, config, sources.template_set, now)
            if study is None:
                raise invalid(*errors)
            new = await new_members(study, study_plan.members(study), sources, self._clock)
            points = {each.backtest.number: point_of(each.backtest, study.config) for each in new}
            reply = study_view(study, points.values(), None)
            await self._runner.begin(study, points, new, command_of(stamp, study.study_id, reply))
            for each in new:
                self._announcements.tell(each.backtest)
            return reply

        return await self._ledger.once(STUDY_RUN, request, run)

    async def get(self, request: WhichStudy) -> StudyView:
        """One study."""
        return await self._view(await self._runner.known(request.study_id))

    async def list(self, request: ListStudies) -> StudyList:
        """Studies, newest first."""
        before = place(request.cursor) if request.cursor else None
        found = await self._record.studies(before=before, limit=request.limit + 1)
        shown = fitting([await self._view(each) for each in found[: request.limit]])
        last = found[len(shown) - 1] if shown and len(shown) < len(found) else None
        return StudyList(studies=shown, next=cursor(last.created_at, 0, last.study_id) if last else None)

    async def cancel(self, request: WhichStudy) -> StudyView:
        """Ends a study with all that has not ended of it; one that is cancelled stays so. Raises FaultError `conflict` when it had
        ended otherwise.
        """

        async def run(stamp: Stamp) -> StudyView:
            study = await self._runner.known(request.study_id)
            if study.status.is_final and study.status is not BacktestStatus.CANCELLED:
                why = f": {study.why_ended}" if study.why_ended else ""
                text = f"study {study.study_id} is {study.status} already{why}"
                raise fault(FaultCode.CONFLICT, text)
            try:
                if not study.status.is_final:
                    await self._runner.end(
                        study, study_plan.Step(end=BacktestStatus.CANCELLED, why="cancelled")
                    )
            except StaleChange:
                raise fault(FaultCode.CONFLICT, f"study {study.study_id} has just ended") from None
            await self._cancelling.end_all(await self._record.strays(study.study_id))
            reply = await self._view(await self._runner.known(study.study_id))
            await self._ledger.note(stamp, study.study_id, reply)
            return reply

        return await self._ledger.once(STUDY_CANCEL, request, run)

    async def _view(self, study: Study) -> StudyView:
        points = await self._runner.points(study)
        found = best(study, points)
        shown = (await self._record.backtests([found.backtest_id])) if found else {}
        view = self._reads.view(shown[found.backtest_id]) if found else None
        return study_view(study, points.values(), view)
