"""Backtests put together: what answers which call, and what goes on behind."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import asked
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Follower
from flotilla.schemas import contract
from flotilla.schemas.backtest import BacktestView, ClaimTrial, RunBacktest, TrialClaimed
from flotilla.schemas.contract import BACKTEST_RUN, Call
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.cancelling import Cancelling
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.chosen_strategy import with_version
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.backtests.enqueuer import Enqueuer
from flotilla.services.orchestrator.backtests.plan_sources import PlanSources, new_backtest
from flotilla.services.orchestrator.backtests.ports import BacktestRecord, NewerCode, TakenError
from flotilla.services.orchestrator.backtests.progress import Progress
from flotilla.services.orchestrator.backtests.reads import BacktestReads
from flotilla.services.orchestrator.backtests.removing import Removing
from flotilla.services.orchestrator.backtests.results import Results
from flotilla.services.orchestrator.backtests.studies import Studies
from flotilla.services.orchestrator.backtests.study_runner import StudyRunner
from flotilla.services.orchestrator.backtests.verifying import Verifying
from flotilla.services.orchestrator.backtests.walk_forward import WalkForwards
from flotilla.services.orchestrator.backtests.workers import WorkerLiveness, Workers
from flotilla.services.orchestrator.core.unhonoured import refuse_unhonoured
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes, Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.planner import Planner
from flotilla.services.orchestrator.engines.ports import Record
from flotilla.services.orchestrator.templates.library import Library
from flotilla.services.orchestrator.templates.ports import Catalog

log = get_logger(__name__)
_BATCH: Final = 16
"""Events of trials at once: a piece of a result is most of a megabyte."""
_RETRY_S: Final = 1.0


class BacktestCommands:
    """What puts a backtest on record."""

    def __init__(
        self,
        record: BacktestRecord,
        announcements: Announcements,
        clock: Clock,
        *,
        ledger: Ledger,
        plan_sources: PlanSources,
    ) -> None:
        self._record = record
        self._announcements = announcements
        self._clock = clock
        self._ledger = ledger
        self._plan_sources = plan_sources

    async def run(self, request: RunBacktest) -> BacktestView:
        """A new backtest, checked as far as that goes without NautilusTrader. Raises FaultError `conflict` for an id that is taken."""

        async def run(stamp: Stamp) -> BacktestView:
            refuse_unhonoured(request.config)
            sources = await self._plan_sources.sources()
            config = with_version(request.config, sources.template_set)
            new = new_backtest(request.backtest_id, config, sources, self._clock())
            reply = view(new.backtest)
            try:
                await self._record.add([new], command_of(stamp, request.backtest_id, reply))
            except TakenError:
                text = f"there is a backtest {request.backtest_id} already"
                raise fault(FaultCode.CONFLICT, text) from None
            self._announcements.tell(new.backtest)
            return reply

        return await self._ledger.once(BACKTEST_RUN, request, run)


class Claims:
    """Every claim is on record before it is answered."""

    def __init__(self, changes: Changes, progress: Progress, liveness: WorkerLiveness, clock: Clock) -> None:
        self._changes = changes
        self._progress = progress
        self._liveness = liveness
        self._clock = clock

    async def claim(self, request: ClaimTrial) -> TrialClaimed:
        """Whether to run it. Raises FaultError: `not_found` for a backtest that nobody knows, `forbidden` for another worker's claim."""
        _require_own(request)
        answer = TrialClaimed(is_wanted=False)

        def decide(backtest: Backtest) -> Backtest | None:
            nonlocal answer
            heard_at = self._progress.heard_at(backtest.backtest_id)
            held = backtest.facts.claim
            is_over = held is not None and self._liveness.is_over(held)
            changed, answer = lifecycle.claim(
                backtest, request, heard_at=heard_at, is_over=is_over, now=self._clock()
            )
            return changed

        await self._changes.take(request.backtest_id, decide)
        return answer


def _require_own(request: ClaimTrial) -> None:
    """What a worker says of itself is held against what the server says of it; on a bus without accounts that is nothing."""
    crossing = asked().crossing
    if crossing is None:
        return
    if (crossing.name, crossing.session_id) != (request.worker, request.session_id):
        raise fault(FaultCode.FORBIDDEN, f"this claim is not made by worker {request.worker}")


class Backtests:
    """All that the orchestrator does about backtests and studies."""

    def __init__(
        self,
        bus: Bus,
        record: BacktestRecord,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        ledger: Ledger,
        planner: Planner,
        library: Library,
        catalog: Catalog,
        engines: Record,
        code: NewerCode,
    ) -> None:
        plan_sources = PlanSources(library, catalog)
        self._announcements = Announcements(bus, record, clock)
        self._changes = Changes(record, self._announcements)
        self._progress = Progress(bus, record, clock)
        liveness = WorkerLiveness(fleet)
        self._claims = Claims(self._changes, self._progress, liveness, clock)
        self._cancelling = Cancelling(bus, self._changes, self._progress, liveness, clock, ledger=ledger)
        self._removing = Removing(self._changes, clock, ledger=ledger)
        self._reads = BacktestReads(record, self._changes, self._progress)
        known = (record, self._announcements, clock)
        self._commands = BacktestCommands(*known, ledger=ledger, plan_sources=plan_sources)
        self._verifying = Verifying(
            record, self._changes, self._announcements, clock, reads=self._reads, ledger=ledger, code=code
        )
        self._runner = StudyRunner(*known, plan_sources=plan_sources, cancelling=self._cancelling)
        self._studies = Studies(
            *known,
            ledger=ledger,
            plan_sources=plan_sources,
            cancelling=self._cancelling,
            runner=self._runner,
            reads=self._reads,
        )
        self._walk_forwards = WalkForwards(record, self._runner)
        self._enqueuer = Enqueuer(bus, record, self._changes, liveness, clock)
        self._workers = Workers(
            record, engines, fleet, sightings, clock, mailboxes=mailboxes, planner=planner
        )
        results = Results(record, self._changes, self._progress, clock, verifying=self._verifying)
        self._follower = Follower(
            bus, [contract.TRIAL_EVENT], results.take, durable="backtests", batch=_BATCH
        )
        for listener in (self._progress.saw, self._runner.saw, self._saw):
            self._announcements.listen(listener)

    def handlers(self) -> dict[Call[Any, Any], Callable[[Any], Awaitable[Any]]]:
        """Every call about backtests, with its handler."""
        return {
            contract.BACKTEST_RUN: self._commands.run,
            contract.BACKTEST_GET: self._reads.get,
            contract.BACKTEST_LIST: self._reads.list,
            contract.BACKTEST_RESULT: self._reads.result,
            contract.BACKTEST_CANCEL: self._cancelling.cancel,
            contract.BACKTEST_REMOVE_RESULT: self._removing.remove_result,
            contract.BACKTEST_VERIFY: self._verifying.verify,
            contract.BACKTEST_COMPARE: self._reads.compare,
            contract.STUDY_RUN: self._studies.start,
            contract.STUDY_GET: self._studies.get,
            contract.STUDY_LIST: self._studies.list,
            contract.STUDY_CANCEL: self._studies.cancel,
            contract.STUDY_WALK_FORWARD: self._walk_forwards.get,
            contract.TRIAL_CLAIM: self._claims.claim,
        }

    async def listen(self) -> None:
        """Hears how far trials are."""
        await self._progress.listen()

    async def run(self) -> None:
        """Follows trials and takes on what is not done, until cancelled; needs the record read and the streams made."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follower.run(), name="trials")
            group.create_task(self._enqueuer.run(), name="queue")
            group.create_task(self._runner.run(), name="studies")
            group.create_task(self._workers.run(), name="workers")
            group.create_task(self._tell(), name="announcements")

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._announcements.close()
        await self._progress.close()

    @property
    def running(self) -> int:
        """How many backtests run."""
        return len(self._progress)

    def _saw(self, backtest: Backtest) -> None:
        self._enqueuer.wake()
        if not backtest.is_final:
            self._workers.wake()

    async def _tell(self) -> None:
        while True:
            try:
                await self._announcements.run()
            except FaultError as error:
                log.warning("changes are not told yet", error=str(error))
                await asyncio.sleep(_RETRY_S)
