"""Changes of one backtest: read, decided by the core, recorded as the next version, told. Who comes second decides anew."""

from collections.abc import Callable
from typing import Final

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.engines.ports import Command, StaleChange

_ATTEMPTS: Final = 8

type Decide = Callable[[Backtest], Backtest | None]


class Changes:
    """The one place where backtests are changed."""

    def __init__(self, record: BacktestRecord, announcements: Announcements) -> None:
        self._record = record
        self._announcements = announcements

    async def take(
        self,
        backtest_id: str,
        decide: Decide,
        *,
        result: bytes | None = None,
        report: bytes | None = None,
        command: Callable[[Backtest], Command] | None = None,
    ) -> Backtest:
        """Records what `decide` makes of the backtest (None: no change) and returns it as it is then.

        `result`, `report` and `command` are recorded with a change only. Raises what `decide` and the record raise, and FaultError
        `not_found`.
        """
        for _ in range(_ATTEMPTS):
            backtest = await self.known(backtest_id)
            if (changed := decide(backtest)) is None:
                return backtest
            try:
                await self._record.change(
                    changed,
                    result=result if changed.facts.has_result else None,
                    report=report,
                    command=command(changed) if command else None,
                )
            except StaleChange:
                continue
            except FaultError:
                # Perhaps it is on record nevertheless, and who tries again finds nothing to change.
                self._announcements.doubt(backtest_id)
                raise
            self._announcements.tell(changed)
            return changed
        raise fault(
            FaultCode.UNAVAILABLE, "the backtest is being changed by others all the time", retry_after_s=1.0
        )

    async def known(self, backtest_id: str) -> Backtest:
        """The backtest on record. Raises FaultError `not_found`."""
        found = (await self._record.backtests([backtest_id])).get(backtest_id)
        if found is None:
            raise unknown_backtest(backtest_id)
        return found


def unknown_backtest(backtest_id: str) -> FaultError:
    """The fault for an id that nothing has."""
    return fault(FaultCode.NOT_FOUND, f"no backtest {backtest_id} is known")
