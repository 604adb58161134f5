"""What an operator can ask of backtests: the calls of the typed client that `fleet.backtest.*` answers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.client.backtest_watch import BacktestWatch
from flotilla.client.frames import Rows
from flotilla.client.retry import patiently
from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestList,
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    CompareBacktests,
    Comparison,
    ListBacktests,
    ListStudies,
    ReadResult,
    ResultPart,
    RunBacktest,
    RunStudy,
    StudyConfig,
    StudyList,
    StudyView,
    VerifyBacktest,
    WhichBacktest,
    WhichStudy,
)
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.result_lists import LISTS, decoded
from flotilla.schemas.walk_forward import WalkForward
from flotilla.state.errors import BacktestFailedError

_POLL_S: Final = 1.0


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

    async def walk_forward(self, study_id: str) -> WalkForward:
        """The windows of a walk forward and its stitched curve, as they stand: `to_pandas(found.curve)` makes a frame. Raises `conflict` for another study."""
        return await self.bus.call(contract.STUDY_WALK_FORWARD, WhichStudy(study_id=study_id))

    async def studies(self, *, limit: int = 100) -> StudyList:
        """Studies, newest first."""
        return await self.bus.call(contract.STUDY_LIST, ListStudies(limit=limit))

    async def cancel_study(self, study_id: str, *, request_id: str | None = None) -> StudyView:
        """Cancels what has not ended of a study. Raises `conflict` for one that has ended."""
        request = WhichStudy(study_id=study_id, request_id=request_id)
        return await self.bus.call(contract.STUDY_CANCEL, request)


class BacktestCalls:
    """Backtests, by id. Every call raises FaultError when it is refused; a `request_id` sent twice has one effect."""

    bus: Bus

    async def run_backtest(
        self, backtest_id: str, config: BacktestConfig, *, request_id: str | None = None
    ) -> BacktestView:
        """Puts a backtest into the queue; returns when that is on record. `wait_for_backtest` tells what came of it."""
        request = RunBacktest(backtest_id=backtest_id, config=config, request_id=request_id)
        return await self.bus.call(contract.BACKTEST_RUN, request)

    async def backtest(self, backtest_id: str) -> BacktestView:
        """One backtest as it stands."""
        return await self.bus.call(contract.BACKTEST_GET, WhichBacktest(backtest_id=backtest_id))

    async def backtests(
        self,
        *,
        status: BacktestStatus | None = None,
        study_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> BacktestList:
        """Backtests of no study, or those of one, newest first; `cursor` is the `next` of the page before."""
        request = ListBacktests(status=status, study_id=study_id, limit=limit, cursor=cursor)
        return await self.bus.call(contract.BACKTEST_LIST, request)

    async def all_backtests(
        self, *, status: BacktestStatus | None = None, study_id: str | None = None
    ) -> list[BacktestView]:
        """The same, all pages."""
        found: list[BacktestView] = []
        cursor: str | None = None
        while True:
            page = await self.backtests(status=status, study_id=study_id, limit=1000, cursor=cursor)
            found += page.backtests
            if (cursor := page.next) is None:
                return found

    async def cancel_backtest(self, backtest_id: str, *, request_id: str | None = None) -> BacktestView:
        """Cancels a backtest; its process is gone when this returns. Raises `conflict` for one that has ended."""
        request = WhichBacktest(backtest_id=backtest_id, request_id=request_id)
        return await self.bus.call(contract.BACKTEST_CANCEL, request)

    async def backtest_result(self, backtest_id: str, part: ResultPart | str) -> Any:
        """A part of a completed backtest's result, whole.

        A list of what LISTS says, which can be had as a frame (flotilla.client.frames), a Manifest, the report's HTML as text, and the other documents (balances, fees, statistics) as plain dicts.
        """
        part = ResultPart(part)
        found = decoded(part, await self._entries(backtest_id, part))
        return Rows(found, LISTS[part]) if part in LISTS else found

    async def compare(self, backtest_ids: Sequence[str]) -> Comparison:
        """Two to sixteen completed backtests side by side."""
        request = CompareBacktests(backtest_ids=tuple(backtest_ids))
        return await self.bus.call(contract.BACKTEST_COMPARE, request)

    async def verify(
        self,
        backtest_id: str,
        verify_id: str | None = None,
        *,
        wants_report: bool = False,
        request_id: str | None = None,
    ) -> BacktestVerdict:
        """Runs a completed backtest again from its manifest; with the `verify_id` of the answer, how that stands.

        `wants_report`: the run again draws NautilusTrader's own tear sheet, for both where they are equal (`has_report`).
        """
        request = VerifyBacktest(
            backtest_id=backtest_id, verify_id=verify_id, wants_report=wants_report, request_id=request_id
        )
        return await self.bus.call(contract.BACKTEST_VERIFY, request)

    def watch_backtests(
        self, backtest_id: str | None = None, *, study_id: str | None = None
    ) -> BacktestWatch:
        """`async with fleet.watch_backtests() as views: async for view in views: …`."""
        return BacktestWatch(self.bus, backtest_id, study_id)

    async def follow_backtest(self, backtest_id: str) -> AsyncGenerator[BacktestView]:
        """The backtest as it is now and whenever something of it changes; the last view is the final one.

        Goes on for a minute when the orchestrator is away, then raises the fault.
        """
        async with self.watch_backtests(backtest_id) as updates:
            view = await self.backtest(backtest_id)
            while True:
                yield view
                if view.status.is_final:
                    return
                heard = await updates.next(_POLL_S)
                if heard is None:
                    heard = await patiently(partial(self.backtest, backtest_id))
                view = heard

    async def wait_for_backtest(self, backtest_id: str, *, timeout_s: float | None = None) -> BacktestView:
        """The backtest once it has completed.

        Raises BacktestFailedError when it failed or was cancelled, FaultError `outcome_unknown` when time ran out first.
        """
        try:
            async with asyncio.timeout(timeout_s), aclosing(self.follow_backtest(backtest_id)) as views:
                async for view in views:
                    last = view
        except TimeoutError:
            text = f"backtest {backtest_id} has not ended after {timeout_s:g} s"
            raise fault(FaultCode.OUTCOME_UNKNOWN, text) from None
        if last.status is not BacktestStatus.COMPLETED:
            raise BacktestFailedError(last)
        return last

    async def _entries(self, backtest_id: str, part: ResultPart) -> list[msgspec.Raw]:
        entries: list[msgspec.Raw] = []
        offset: int | None = 0
        while offset is not None:
            request = ReadResult(backtest_id=backtest_id, part=part, offset=offset, limit=5000)
            page = await self.bus.call(contract.BACKTEST_RESULT, request)
            entries += page.entries
            offset = page.next
        return entries
