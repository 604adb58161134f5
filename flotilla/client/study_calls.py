"""What an operator can ask of studies: the calls of the typed client that `fleet.study.*` answers."""

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.backtest import ListStudies, RunStudy, StudyConfig, StudyList, StudyView, WhichStudy


class StudyCalls:
    """Studies, by id; their backtests are listed by `backtests(study_id=…)`. Every call raises FaultError when refused."""

    bus: Bus

    async def run_study(
        self, study_id: str, config: StudyConfig, *, request_id: str | None = None
    ) -> StudyView:
        """Puts a study's backtests into the queue; returns when all that is known of them now is on record."""
        request = RunStudy(study_id=study_id, config=config, request_id=request_id)
        return await self.bus.call(contract.STUDY_RUN, request)

    async def study(self, study_id: str) -> StudyView:
        """How a study stands, and the best of it so far."""
        return await self.bus.call(contract.STUDY_GET, WhichStudy(study_id=study_id))

    async def studies(self, *, limit: int = 100) -> StudyList:
        """Studies, newest first."""
        return await self.bus.call(contract.STUDY_LIST, ListStudies(limit=limit))

    async def cancel_study(self, study_id: str, *, request_id: str | None = None) -> StudyView:
        """Cancels what has not ended of a study. Raises `conflict` for one that has ended."""
        request = WhichStudy(study_id=study_id, request_id=request_id)
        return await self.bus.call(contract.STUDY_CANCEL, request)
