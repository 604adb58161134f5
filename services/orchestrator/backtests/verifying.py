"""Runs completed backtests again from their manifests, and says whether the same came of it."""

from typing import Final

import msgspec

from flotilla.schemas.backtest import (
    BacktestStatus,
    BacktestVerdict,
    Difference,
    Outcome,
    TrialJob,
    TrialPlan,
    VerifyBacktest,
)
from flotilla.schemas.contract import BACKTEST_VERIFY
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.ids import is_backtest_id
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.changes import Changes
from flotilla.services.orchestrator.backtests.core.comparing import verdict
from flotilla.services.orchestrator.backtests.core.model import Backtest, NewBacktest
from flotilla.services.orchestrator.backtests.ports import BacktestRecord, NewerCode, TakenError
from flotilla.services.orchestrator.backtests.reads import BacktestReads
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger

_ATTEMPTS: Final = 3


class Verifying:
    """The run again is a backtest of its own; the verdict follows from both whenever it is asked for."""

    def __init__(
        self,
        record: BacktestRecord,
        changes: Changes,
        announcements: Announcements,
        clock: Clock,
        *,
        reads: BacktestReads,
        ledger: Ledger,
        code: NewerCode,
    ) -> None:
        self._record = record
        self._changes = changes
        self._announcements = announcements
        self._clock = clock
        self._reads = reads
        self._ledger = ledger
        self._code = code

    async def verify(self, request: VerifyBacktest) -> BacktestVerdict:
        """Begins a run again, or tells how the one named (else the one under way) stands. Raises FaultError as reads do."""
        original = await self._changes.known(request.backtest_id)
        if request.verify_id is not None:
            there = await self._record.backtests([request.verify_id])
            if request.verify_id in there:
                return await self._standing(original, there[request.verify_id])

        async def run(stamp: Stamp) -> BacktestVerdict:
            return await self._begin(original, request, stamp)

        begun = await self._ledger.once(BACKTEST_VERIFY, request, run)
        return await self._standing(original, await self._changes.known(begun.verify_id))

    async def is_equal(self, again: Backtest) -> bool:
        """Whether a run again that has completed is the same as the run that it is of. Raises FaultError as reads do."""
        original = await self._changes.known(again.verifies or "")
        return (await self._standing(original, again)).is_equal is True

    async def _begin(self, original: Backtest, request: VerifyBacktest, stamp: Stamp) -> BacktestVerdict:
        outcome = await self._reads.outcome(original)
        for _ in range(_ATTEMPTS):
            earlier = await self._record.verifying(original.backtest_id)
            # Whether those draw a sheet is not looked up: one is begun that does.
            under_way = [each for each, status in earlier if not (status.is_final or request.wants_report)]
            chosen = request.verify_id or next(iter(under_way), _free_id(original, len(earlier) + 1))
            reply = BacktestVerdict(backtest_id=original.backtest_id, verify_id=chosen, is_equal=None)
            if chosen in under_way:
                await self._ledger.note(stamp, original.backtest_id, reply)
                return reply
            new = self._again(original, chosen, outcome, wants_report=request.wants_report)
            try:
                await self._record.add([new], command_of(stamp, original.backtest_id, reply))
            except TakenError:
                continue
            self._announcements.tell(new.backtest)
            return reply
        raise fault(FaultCode.CONFLICT, f"there is a backtest {chosen} already: give another verify_id")

    def _again(
        self, original: Backtest, verify_id: str, outcome: Outcome, *, wants_report: bool
    ) -> NewBacktest:
        now = self._clock()
        manifest = outcome.manifest
        backtest = Backtest(
            backtest_id=verify_id,
            config=original.config,
            created_at=wall(now),
            updated_at=now,
            verifies=original.backtest_id,
        )
        order = TrialJob(
            backtest_id=verify_id,
            plan=manifest.plan,
            seed=manifest.seed,
            timeout_s=original.config.timeout_s,
            wants_report=wants_report,
        )
        return NewBacktest(backtest=backtest, order=order)

    async def _standing(self, original: Backtest, again: Backtest) -> BacktestVerdict:
        if again.verifies != original.backtest_id:
            text = f"backtest {again.backtest_id} is no run again of {original.backtest_id}"
            raise fault(FaultCode.CONFLICT, text)
        if again.status is BacktestStatus.COMPLETED:
            first, second = await self._reads.outcome(original), await self._reads.outcome(again)
            asked = await self._asked(original)
            same = verdict(original.backtest_id, again.backtest_id, first, second, asked=asked)
            newer = await self._code.newer(first.manifest.plan.packages)
            return msgspec.structs.replace(same, newer=newer)
        if not again.is_final:
            return _verdict(original, again, is_equal=None)
        why = again.facts.error or str(again.status)
        found = Difference(where="status", first=str(original.status), second=f"{again.status}: {why}")
        return msgspec.structs.replace(_verdict(original, again, is_equal=False), differences=(found,))

    async def _asked(self, original: Backtest) -> TrialPlan | None:
        for work in await self._record.works([original.backtest_id]):
            return msgspec.json.decode(work.order, type=TrialJob).plan
        return None


def _verdict(original: Backtest, again: Backtest, *, is_equal: bool | None) -> BacktestVerdict:
    return BacktestVerdict(backtest_id=original.backtest_id, verify_id=again.backtest_id, is_equal=is_equal)


def _free_id(original: Backtest, number: int) -> str:
    verify_id = f"{original.backtest_id}-verify-{number}"
    if not is_backtest_id(verify_id):
        raise invalid(
            FieldError("verify_id", "must be given: the backtest's own id is too long for one made of it")
        )
    return verify_id
