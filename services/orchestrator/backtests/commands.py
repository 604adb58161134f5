"""Runs backtests. Each is recorded with the answer in one transaction, and goes into the queue after that."""

from flotilla.schemas.backtest import BacktestView, RunBacktest
from flotilla.schemas.contract import BACKTEST_RUN
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.backtests.plan_sources import PlanSources, new_backtest
from flotilla.services.orchestrator.backtests.ports import BacktestRecord, TakenError
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger


class Commands:
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
            sources = await self._plan_sources.sources()
            new = new_backtest(request.backtest_id, request.config, sources, self._clock())
            reply = view(new.backtest)
            try:
                await self._record.add([new], command_of(stamp, request.backtest_id, reply))
            except TakenError:
                text = f"there is a backtest {request.backtest_id} already"
                raise fault(FaultCode.CONFLICT, text) from None
            self._announcements.tell(new.backtest)
            return reply

        return await self._ledger.once(BACKTEST_RUN, request, run)
