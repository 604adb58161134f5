"""Plays the events of the subscribed data sets, one at a time: each is dealt with by all before the next is shown."""

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.model.data import CustomData
from nautilus_trader.model.identifiers import Venue

from flotilla.engine_sidecar.replay.barrier import Barrier
from flotilla.engine_sidecar.replay.config import ReplayDataClientConfig
from flotilla.engine_sidecar.replay.sandbox import SandboxClient
from flotilla.engine_sidecar.replay.streams import DataSet, count, files_of, read


class Merge:
    """Data sets may come and go while it runs. It reads one event ahead of each."""

    def __init__(self) -> None:
        self._open: dict[DataSet, Iterator[Any]] = {}
        self._next: list[tuple[int, tuple[str, str], DataSet, Any]] = []

    def add(self, data_set: DataSet, events: Iterator[Any]) -> None:
        """Takes in a data set."""
        self._open[data_set] = events
        self._advance(data_set)

    def remove(self, data_set: DataSet) -> None:
        """Leaves a data set out from now on; absent ones are passed over."""
        self._open.pop(data_set, None)
        self._next = [entry for entry in self._next if entry[2] != data_set]
        heapq.heapify(self._next)

    def peek(self) -> int | None:
        """The time of the next event, or None when all data sets are exhausted."""
        return self._next[0][0] if self._next else None

    def pop(self) -> tuple[DataSet, Any]:
        """The next event and its data set; raises IndexError when all are exhausted."""
        _, _, data_set, event = heapq.heappop(self._next)
        self._advance(data_set)
        return data_set, event

    def _advance(self, data_set: DataSet) -> None:
        event = next(self._open[data_set], None)
        if event is None:
            del self._open[data_set]
        else:
            heapq.heappush(self._next, (event.ts_init, data_set.rank, data_set, event))


_NS: Final = 1_000_000_000


class Wiring(msgspec.Struct, frozen=True):
    """What a replay has to wait for, the sandbox venues it drives, and who may object to what is subscribed."""

    barrier: Barrier
    venues: dict[Venue, SandboxClient]
    check: Callable[[], None]


class ReplayFeed:
    """Where a replay is, and what it plays. `show` hands an event to the data engine; `now` is the loop's time (s).

    Events keep the times of the catalog. They are not restamped to the present: fills then carry the time of the price that
    made them, results equal those of a backtest, and a strategy that looks at a bar's time sees the time it was recorded.
    The price is that `strategy.clock` is the wall clock, as in all live trading, and apart from the events' times: timers,
    good-till-date orders and time bars made inside NautilusTrader do not follow a replay.

    `is_finished`: every event that is subscribed was shown.
    """

    def __init__(
        self, config: ReplayDataClientConfig, show: Callable[[Any], None], now: Callable[[], float]
    ) -> None:
        self._config, self._show, self._now = config, show, now
        self._catalog = Path(config.catalog_path)
        self._merge = Merge()
        self._totals: dict[DataSet, int] = {}
        self._done: dict[DataSet, int] = {}
        self._opened = asyncio.Event()
        self._pace_from: tuple[float, int] | None = None
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._paused_at = 0.0
        self._is_changed = False
        self._subscribed: dict[DataSet, int] = {}
        self.is_finished = False
        self.position: int | None = None
        self.last_shown: float | None = None

    @property
    def done(self) -> int:
        """Events shown so far."""
        return sum(self._done.values())

    @property
    def total(self) -> int:
        """Events shown and still to come."""
        return sum(self._totals.values())

    @property
    def not_there(self) -> tuple[DataSet, ...]:
        """What is subscribed and had nothing to play when it was."""
        return tuple(data_set for data_set, events in self._subscribed.items() if not events)

    @property
    def history_end(self) -> int:
        """The time up to which events are the past (ns): asking for later ones would be looking ahead."""
        return self._config.first_ns - 1 if self.position is None else self.position

    def open(self, data_set: DataSet) -> bool:
        """Plays a data set from the present position on; False when the catalog has nothing of it there."""
        first = self._config.first_ns if self.position is None else self.position + 1
        events = count(self._catalog, data_set, first, self._config.last_ns)
        self._totals[data_set] = self._done.get(data_set, 0) + events
        self._subscribed[data_set] = events
        self.is_finished = self.is_finished and not events
        self._done.setdefault(data_set, 0)
        self._merge.add(data_set, read(self._catalog, data_set, first, self._config.last_ns))
        self._is_changed = True
        self._opened.set()
        return events > 0

    def close(self, data_set: DataSet) -> None:
        """Plays a data set no longer."""
        self._merge.remove(data_set)
        self._subscribed.pop(data_set, None)
        self._totals[data_set] = self._done.get(data_set, 0)

    def pause(self) -> None:
        """Lets simulated time stand still from the next event on."""
        if self._may_run.is_set():
            self._may_run.clear()
            self._paused_at = self._now()

    def resume(self) -> None:
        """Goes on after `pause`, without catching up."""
        if not self._may_run.is_set():
            self._may_run.set()
            if self._pace_from is not None:
                began, first = self._pace_from
                self._pace_from = began + self._now() - self._paused_at, first

    def history(self, data_set: DataSet, first: int, last: int, limit: int, now_ns: int) -> list[Any]:
        """The last `limit` (0: all) events from `first` to `last` that are already the past.

        What begins after all that the catalog has was counted back from `now_ns`, the engine's clock, and means so long before the
        present position.
        """
        if first > self.history_end and not files_of(self._catalog, data_set, first):
            back = now_ns - self.history_end
            first, last = first - back, last - back
        events = list(read(self._catalog, data_set, first, min(last, self.history_end)))
        return events[-limit:] if limit else events

    async def play(self, wiring: Wiring, on_end: Callable[[], None]) -> None:
        """Plays until cancelled; calls `on_end` each time there is nothing left.

        Strategies subscribe in their `on_start`, all within one step of the loop, or when a request they made there is
        answered: when the first subscription has come and the node is quiet, all have.
        """
        barrier, venues = wiring.barrier, wiring.venues
        await self._opened.wait()
        await barrier.wait()
        await asyncio.sleep(self._config.start_delay)
        while True:
            await self._may_run.wait()
            await barrier.wait()
            if self._is_changed:
                self._is_changed = False
                wiring.check()
            ts = self._merge.peek()
            if ts is None:
                self._opened.clear()
                # What nobody wants any more is not through: its strategy was stopped, and may be started again.
                if self._subscribed and self.done == self.total:
                    self.is_finished = True
                    on_end()
                await self._opened.wait()
            elif not await self._must_wait(ts):
                try:
                    await self._step(ts, barrier, venues)
                except BaseException:
                    for venue in venues.values():
                        venue.abandon_step()
                    raise

    async def _must_wait(self, ts: int) -> bool:
        """Waits for the time of an event at the chosen speed; True when it waited, because something may have changed."""
        if not self._config.speed:
            return False
        if self._pace_from is None:
            self._pace_from = self._now(), ts
        began, first = self._pace_from
        left = began + (ts - first) / _NS / self._config.speed - self._now()
        if left <= 0:
            return False
        await asyncio.sleep(left)
        return True

    async def _step(self, ts: int, barrier: Barrier, venues: Mapping[Venue, SandboxClient]) -> None:
        data_set, event = self._merge.pop()
        self.position = ts
        for venue in venues.values():
            venue.open_step(ts)
        if (its_venue := _venue(event, venues)) is not None:
            its_venue.move_market(event)
            await barrier.wait()
        self._show(event)
        self._done[data_set] += 1
        self.last_shown = self._now()
        await barrier.wait()
        await settle(ts, barrier, list(venues.values()))


async def settle(ts: int, barrier: Barrier, venues: list[SandboxClient]) -> None:
    """Has the venues execute all commands that wait, in the order in which a BacktestEngine would."""
    while any(venue.has_held for venue in venues):
        for venue in venues:
            while venue.has_held:
                venue.execute_next()
                await barrier.wait()
        for venue in venues:
            venue.iterate(ts)
        await barrier.wait()
    for venue in venues:
        venue.close_step(ts)


def _venue(event: Any, venues: Mapping[Venue, SandboxClient]) -> SandboxClient | None:
    """Where an event moves the market; data of somebody's own moves none, as in a BacktestEngine."""
    if isinstance(event, CustomData):
        return None
    of = event.instrument_id if hasattr(event, "instrument_id") else event.bar_type.instrument_id
    return venues.get(of.venue)
