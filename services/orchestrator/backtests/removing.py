"""Deletes the result of a backtest that nobody wants any more. The backtest and its figures stay: studies rank by them."""

from flotilla.schemas.backtest import BacktestView, WhichBacktest
from flotilla.schemas.contract import BACKTEST_REMOVE_RESULT
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.ports import Command


class Removing:
    """A result goes whole: its lists, its manifest and its tear sheet."""

    def __init__(self, changes: Changes, clock: Clock, *, ledger: Ledger) -> None:
        self._changes = changes
        self._clock = clock
        self._ledger = ledger

    async def remove_result(self, request: WhichBacktest) -> BacktestView:
        """The backtest without its result. Raises FaultError: `conflict` unless it has completed, `not_found` when nothing is kept of it."""

        async def run(stamp: Stamp) -> BacktestView:
            def command(backtest: Backtest) -> Command:
                return command_of(stamp, backtest.backtest_id, view(backtest))

            changed = await self._changes.take(
                request.backtest_id,
                lambda each: lifecycle.without_result(each, self._clock()),
                command=command,
            )
            return view(changed)

        return await self._ledger.once(BACKTEST_REMOVE_RESULT, request, run)
