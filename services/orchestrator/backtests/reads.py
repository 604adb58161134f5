"""What people ask of backtests: one, many, parts of a result, several side by side."""

import asyncio
from collections import OrderedDict
from typing import Final

import msgspec

from flotilla.schemas.backtest import (
    BacktestList,
    BacktestView,
    CompareBacktests,
    Comparison,
    ListBacktests,
    Outcome,
    ReadResult,
    ResultPage,
    WhichBacktest,
)
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.orchestrator.backtests.changes import Changes, unknown_backtest
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.comparing import parameters
from flotilla.services.orchestrator.backtests.core.cursors import cursor, place
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.pages import page
from flotilla.services.orchestrator.backtests.core.result_parts import unpacked, unpacked_report
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.backtests.progress import Progress
from flotilla.services.orchestrator.core.replies import fitting

_KEPT: Final = 4
"""Results that are kept unpacked, because they are read page by page."""


class BacktestReads:
    """The calls that change nothing."""

    def __init__(self, record: BacktestRecord, changes: Changes, progress: Progress) -> None:
        self._record = record
        self._changes = changes
        self._progress = progress
        self._outcomes: OrderedDict[tuple[str, bool], Outcome] = OrderedDict()

    async def get(self, request: WhichBacktest) -> BacktestView:
        """One backtest, with its progress as it is now."""
        # Heard before the record is read: the progress of a trial that ends meanwhile is forgotten, and it would be back at nothing.
        heard = self._progress.of(request.backtest_id)
        backtest = await self._changes.known(request.backtest_id)
        return view(backtest, self._progress.of(request.backtest_id) or heard)

    async def list(self, request: ListBacktests) -> BacktestList:
        """Backtests, newest first."""
        before = place(request.cursor) if request.cursor else None
        found = await self._record.page(request.study_id, request.status, before, request.limit + 1)
        shown = fitting(self.view(each) for each in found[: request.limit])
        total = await self._record.count(request.study_id, request.status)
        last = found[len(shown) - 1] if shown and len(shown) < len(found) else None
        following = cursor(last.created_at, last.number, last.backtest_id) if last else None
        return BacktestList(backtests=shown, total_count=total, next=following)

    async def result(self, request: ReadResult) -> ResultPage:
        """A part of a result. Raises FaultError: `conflict` when it has not completed, `not_found` when nothing was saved."""
        return page(await self.outcome(await self._changes.known(request.backtest_id)), request)

    async def compare(self, request: CompareBacktests) -> Comparison:
        """Completed backtests side by side, in the order asked for."""
        found = await self._record.backtests(request.backtest_ids)
        ordered = []
        for backtest_id in request.backtest_ids:
            if backtest_id not in found:
                raise unknown_backtest(backtest_id)
            lifecycle.require_completed(found[backtest_id])
            ordered.append(found[backtest_id])
        return Comparison(
            backtests=tuple(view(each) for each in ordered),
            parameters=parameters([each.config for each in ordered]),
        )

    async def outcome(self, backtest: Backtest) -> Outcome:
        """The whole result of a completed backtest. Raises FaultError as `result` does."""
        lifecycle.require_result(backtest)
        # The tear sheet comes after the rest: what is kept without it is not the whole any more then.
        key = backtest.backtest_id, backtest.facts.has_report
        if key not in self._outcomes:
            self._outcomes[key] = await self._read(backtest)
            while len(self._outcomes) > _KEPT:
                self._outcomes.popitem(last=False)
        self._outcomes.move_to_end(key)
        return self._outcomes[key]

    async def _read(self, backtest: Backtest) -> Outcome:
        backtest_id = backtest.backtest_id
        packed = await self._record.result(backtest_id)
        if packed is None:
            text = f"the result of backtest {backtest_id} was deleted by the rules of retention"
            raise fault(FaultCode.NOT_FOUND, text)
        outcome = await asyncio.to_thread(unpacked, packed)
        report = await self._record.report(backtest_id) if backtest.facts.has_report else None
        if report is None:
            return outcome
        return msgspec.structs.replace(outcome, report=await asyncio.to_thread(unpacked_report, report))

    def view(self, backtest: Backtest) -> BacktestView:
        """The backtest as people see it now."""
        return view(backtest, self._progress.of(backtest.backtest_id))
