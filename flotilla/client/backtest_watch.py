"""A live view of backtests: what the fleet's record says after each change, and how far they are in between."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final, Self

from flotilla.bus.bus import Bus
from flotilla.bus.client import Listener
from flotilla.schemas import contract
from flotilla.schemas.backtest import BacktestView

QUEUE: Final = 65_536


class BacktestWatch:
    """An async context manager and iterator of BacktestView: of one backtest, of those of a study, or of all.

    Nothing is lost unless the reader falls more than QUEUE views behind; `dropped` counts what was.
    """

    def __init__(self, bus: Bus, backtest_id: str | None, study_id: str | None) -> None:
        self.dropped = 0
        self._bus = bus
        self._ids = {"backtest_id": backtest_id} if backtest_id else {}
        self._study_id = study_id
        self._queue: asyncio.Queue[BacktestView] = asyncio.Queue(QUEUE)
        self._listeners: list[Listener] = []

    async def __aenter__(self) -> Self:
        for feed in (contract.FLEET_BACKTEST, contract.FLEET_PROGRESS):
            self._listeners.append(await self._bus.listen(feed, self._receive, **self._ids))
        return self

    async def __aexit__(self, *_: object) -> None:
        for listener in self._listeners:
            await listener.close()

    def __aiter__(self) -> AsyncIterator[BacktestView]:
        return self

    async def __anext__(self) -> BacktestView:
        return await self._queue.get()

    async def next(self, timeout_s: float) -> BacktestView | None:
        """The next view, or None when none came in time."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    async def _receive(self, view: BacktestView, _ids: Mapping[str, str]) -> None:
        if self._study_id not in (None, view.study_id):
            return
        try:
            self._queue.put_nowait(view)
        except asyncio.QueueFull:
            self.dropped += 1
