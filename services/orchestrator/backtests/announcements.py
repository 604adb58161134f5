"""Tells the fleet of every change of a backtest, in order for one backtest, and again when the bus did not take it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.mailbox import Mailboxes
from flotilla.schemas.contract import FLEET_BACKTEST
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.views import view
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.untold import Untold

log = get_logger(__name__)

_ROUND_S: Final = 2.0
_REMEMBERED: Final = 20_000
_TOLD_AGAIN: Final = timedelta(hours=1)


class Announcements:
    """`tell` is called after each change that is on record; listeners hear of it at once, the bus in the background."""

    def __init__(self, bus: Bus, record: BacktestRecord, clock: Clock) -> None:
        self._record = record
        self._clock = clock
        self._listeners: list[Callable[[Backtest], None]] = []
        self._outgoing = Mailboxes[str, Backtest](self._publish, name="backtest")
        self._untold = Untold[str](bus)
        self._doubted: set[str] = set()
        self._versions: OrderedDict[str, int] = OrderedDict()

    def listen(self, listener: Callable[[Backtest], None]) -> None:
        """Calls the listener after each change from now on."""
        self._listeners.append(listener)

    def tell(self, backtest: Backtest) -> None:
        """The backtest changed, and that is on record. Who made an earlier change may come later: that is no news any more."""
        if backtest.version < self._versions.get(backtest.backtest_id, 0):
            return
        self._versions[backtest.backtest_id] = backtest.version
        if len(self._versions) > _REMEMBERED:
            self._versions.popitem(last=False)
        for listener in self._listeners:
            listener(backtest)
        self._outgoing.post(backtest.backtest_id, backtest)

    def doubt(self, backtest_id: str) -> None:
        """The backtest may have changed: it is told how it is, once the record says so."""
        self._doubted.add(backtest_id)

    async def tell_of(self, backtest_ids: list[str]) -> None:
        """These changed by a statement of their own."""
        for backtest in (await self._record.backtests(backtest_ids)).values():
            self.tell(backtest)

    async def run(self) -> None:
        """Tells again what was not told: first what changed just before we began, then what the bus did not take."""
        for backtest in await self._record.changed_since(self._clock() - _TOLD_AGAIN):
            self._outgoing.post(backtest.backtest_id, backtest)
        while True:
            await asyncio.sleep(_ROUND_S)
            untold = {*self._doubted, *self._untold.take()}
            self._doubted = set()
            try:
                found = await self._record.backtests(sorted(untold)) if untold else {}
            except FaultError as error:
                log.warning("changes are not told yet", error=str(error))
                self._doubted |= untold
                continue
            for backtest in found.values():
                self.tell(backtest)

    async def close(self) -> None:
        """Gives up what is not told; the next orchestrator tells it."""
        await self._outgoing.close()

    async def _publish(self, backtest_id: str, backtest: Backtest) -> None:
        await self._untold.publish(
            backtest_id,
            FLEET_BACKTEST,
            view(backtest),
            message_id=f"backtest-{backtest_id}-{backtest.version}",
            backtest_id=backtest_id,
        )
