"""Asks the orchestrator whether trials shall be run. While it is away for long, what is in the queue is run unasked."""

import asyncio
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.backtest import ClaimTrial, TrialClaimed
from flotilla.schemas.contract import TRIAL_CLAIM
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import SessionSpec

log = get_logger(__name__)

RETRY_S: Final = 1.0
PATIENCE_S: Final = 5.0
"""How long the orchestrator may be away before trials are run unasked."""
_UNASKED: Final = 2
"""Only what the queue handed out no more often than this: what kills its workers is counted by the orchestrator alone."""


class Claims:
    """The claims of one worker. A trial that was run in vain does no harm: whichever result comes first counts."""

    def __init__(self, bus: Bus, spec: SessionSpec) -> None:
        self._bus, self._spec = bus, spec
        self._away_since: float | None = None

    async def ask(self, backtest_id: str, attempt: int) -> TrialClaimed:
        """The orchestrator's answer; ours after it was away for PATIENCE_S. `attempt` counts deliveries from 1."""
        request = ClaimTrial(
            backtest_id=backtest_id,
            worker=self._spec.instance_id,
            session_id=self._spec.session_id,
            attempt=attempt,
        )
        while True:
            try:
                answer = await self._bus.call(TRIAL_CLAIM, request)
            except FaultError as error:
                if error.fault.code == FaultCode.NOT_FOUND:
                    self._away_since = None
                    return TrialClaimed(is_wanted=False, why=error.fault.message)
                if self._is_long_away() and attempt <= _UNASKED:
                    log.warning("trial is run unasked", attempt=attempt, error=str(error))
                    return TrialClaimed(is_wanted=True, is_alone=attempt > 1)
                log.warning("trial cannot be claimed yet", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                self._away_since = None
                return answer

    def _is_long_away(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._away_since is None:
            self._away_since = now
        return now - self._away_since > PATIENCE_S
