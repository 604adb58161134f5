"""What workers tell of trials, durably: begun, failed, cancelled, and results in pieces, which are recorded whole."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from flotilla.bus.logs import bind, get_logger
from flotilla.bus.streams import Delivery
from flotilla.schemas.backtest import (
    TrialCancelled,
    TrialEvent,
    TrialFailed,
    TrialPart,
    TrialStarted,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.result_parts import (
    BrokenResultError,
    joined,
    unpacked,
    unpacked_report,
)
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.backtests.progress import Progress
from flotilla.services.orchestrator.backtests.verifying import Verifying
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.ports import Unstorable

log = get_logger(__name__)


class Results:
    """Takes events as they come; each may come more than once."""

    def __init__(
        self,
        record: BacktestRecord,
        changes: Changes,
        progress: Progress,
        clock: Clock,
        *,
        verifying: Verifying,
    ) -> None:
        self._record = record
        self._verifying = verifying
        self._changes = changes
        self._progress = progress
        self._clock = clock

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Applies events in their order. Raises FaultError while the record is away, and then all of them come again."""
        for delivery in batch:
            try:
                event = msgspec.json.decode(delivery.data, type=TrialEvent)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("trial event passed over", subject=delivery.subject, error=str(error))
                continue
            with bind(backtest_id=event.backtest_id):
                await self._take(event, worker=delivery.subject.split(".")[1])

    async def _take(self, event: TrialEvent, worker: str) -> None:
        try:
            await self._apply(event, worker)
        except Unstorable as error:
            log.warning("trial event cannot be recorded", error=str(error))
            text = str(error)
            await self._changes.take(
                event.backtest_id, lambda each: lifecycle.unreadable(each, text, self._clock())
            )
        except FaultError as error:
            if error.fault.code != FaultCode.NOT_FOUND:
                raise
            log.warning("event of a backtest that is not on record")

    async def _apply(self, event: TrialEvent, worker: str) -> None:
        def decide(backtest: Backtest) -> Backtest | None:
            now, last = self._clock(), self._progress.of(event.backtest_id)
            match event.data:
                case TrialStarted() as data:
                    return lifecycle.started(backtest, data, now)
                case TrialFailed() as data:
                    return lifecycle.failed(backtest, worker, event.attempt, data, now, progress=last)
                case TrialCancelled():
                    return lifecycle.killed(backtest, worker, event.attempt, now, progress=last)
                case _:
                    return None

        if isinstance(event.data, TrialPart):
            await self._keep(event.backtest_id, event.data)
        else:
            await self._changes.take(event.backtest_id, decide)

    async def _keep(self, backtest_id: str, part: TrialPart) -> None:
        backtest = await self._changes.known(backtest_id)
        is_report = part.document == "report"
        if lifecycle.reported(backtest, self._clock()) is None if is_report else backtest.is_final:
            return
        pieces: Mapping[int, bytes] = {part.index: part.data}
        if part.count > 1:
            there = await self._record.add_part(backtest_id, part.sha256, part.index, part.data)
            if there < part.count:
                return
            pieces = await self._record.parts(backtest_id, part.sha256)
        if is_report:
            await self._report(backtest_id, part, pieces)
        else:
            await self._complete(backtest_id, part, pieces)

    async def _report(self, backtest_id: str, part: TrialPart, pieces: Mapping[int, bytes]) -> None:
        try:
            packed = joined(pieces, part.count, part.sha256)
            await asyncio.to_thread(unpacked_report, packed or b"")
        except BrokenResultError as error:
            log.warning("tear sheet is broken; there is none", error=str(error))
            return
        again = await self._changes.known(backtest_id)
        of_both = again.verifies is not None and await self._verifying.is_equal(again)
        # The other one's first: this one's is what says that both were dealt with.
        for each_id in (again.verifies, backtest_id) if of_both else (backtest_id,):
            await self._changes.take(
                each_id or "", lambda each: lifecycle.reported(each, self._clock()), report=packed
            )

    async def _complete(self, backtest_id: str, part: TrialPart, pieces: Mapping[int, bytes]) -> None:
        try:
            packed = joined(pieces, part.count, part.sha256)
            outcome = await asyncio.to_thread(unpacked, packed or b"")
        except BrokenResultError as error:
            log.warning("result is broken", error=str(error))
            text = str(error)
            await self._changes.take(
                backtest_id, lambda each: lifecycle.unreadable(each, text, self._clock())
            )
            return
        await self._changes.take(
            backtest_id, lambda each: lifecycle.completed(each, outcome, self._clock()), result=packed
        )
