"""The events of a trial in chunks of simulated time, so that memory stays flat and progress is known between them.

One data set is handed on as it is read. Several are cut at the same moments and merged by time; events of one moment come by data
set, so that a run is the same every time.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick

from engine_sidecar.replay.streams import DataSet, Extent, WrongDataError, batches, extents
from schemas.backtest import DataKind, TrialData

CHUNK: Final = 20_000
"""Events that are handed to the engine at once: enough for its full speed, few enough to hear of progress."""
KINDS: Final = {DataKind.BARS: Bar, DataKind.QUOTES: QuoteTick, DataKind.TRADES: TradeTick}


def data_set(data: TrialData) -> DataSet:
    """The same in the words of the catalog's reader."""
    return DataSet(KINDS[data.kind], data.identifier)


def extent_of(catalog: Path, data: Sequence[TrialData], first: int, last: int) -> Extent:
    """Of all events of the data sets from `first` to `last` (UNIX ns). Raises WrongDataError when there is none."""
    found = [part for one in data for part in extents(catalog, data_set(one), first, last)]
    if not found:
        raise WrongDataError("the catalog holds no event of these data sets in this range")
    return Extent(
        sum(part.events for part in found),
        min(part.first for part in found),
        max(part.last for part in found),
    )


def feed(engine: BacktestEngine, catalog: Path, data: Sequence[TrialData], extent: Extent) -> None:
    """Runs the engine over all events, and leaves it to be ended. Raises WrongDataError, and whatever a strategy raises.

    The first chunk goes the plain way, which makes the engine know the data sets; the others through its iterator, because
    adding a chunk costs the engine more than reading it.
    """
    rest = chunks(catalog, data, extent.first, extent.last)
    engine.add_data(next(rest), validate=False, sort=True)
    engine.run(streaming=True, end=extent.last)
    engine.clear_data()
    if (second := next(rest, None)) is None:
        return
    stream = _Stream(chain((second,), rest))
    engine.add_data_iterator("trial", stream.chunks())
    engine.run(streaming=True, start=_time(second[0]), end=extent.last)
    if stream.error is not None:
        raise stream.error


class _Stream:
    """Chunks for the engine, whose iterator does not hand on what reading them raises."""

    def __init__(self, chunks: Iterable[list[Any]]) -> None:
        self._chunks = chunks
        self.error: Exception | None = None

    def chunks(self) -> Generator[list[Any]]:
        try:
            yield from self._chunks
        except Exception as error:  # noqa: BLE001 - raised by `feed` when the engine has stopped
            self.error = error


def chunks(
    catalog: Path, data: Sequence[TrialData], first: int, last: int, size: int = CHUNK
) -> Iterator[list[Any]]:
    """Lists of events in time order, about `size` long; no moment is split over two. Raises WrongDataError."""
    feeds = [_Feed(batches(catalog, data_set(one), first, last)) for one in sorted(data)]
    while live := [feed for feed in feeds if feed.fill(size)]:
        until = min(feed.safe_until for feed in live)
        chunk = [event for feed in live for event in feed.take(until)]
        if len(live) > 1:
            chunk.sort(key=_time)  # stable: events of one moment keep the order of their data sets
        yield chunk


def _time(event: Any) -> int:
    return int(event.ts_init)


class _Feed:
    """One data set, read ahead as far as a chunk needs."""

    def __init__(self, batches: Iterator[list[Any]]) -> None:
        self._batches = batches
        self._events: list[Any] = []
        self._is_done = False

    def fill(self, size: int) -> bool:
        """Reads until there is more than a chunk, or nothing left to read; false when nothing is left at all."""
        while not self._is_done and (len(self._events) <= size or self._is_one_moment()):
            batch = next(self._batches, None)
            if batch is None:
                self._is_done = True
            else:
                self._events += batch
        return bool(self._events)

    @property
    def safe_until(self) -> int:
        """Up to this moment, included, nothing more will be read. Later than all when everything was read."""
        if self._is_done:
            return 1 << 63
        return _time(self._events[-1]) - 1

    def take(self, until: int) -> list[Any]:
        """Removes and returns the events up to `until`."""
        events = self._events
        low, high = 0, len(events)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if _time(events[middle]) <= until else (low, middle)
        taken, self._events = events[:low], events[low:]
        return taken

    def _is_one_moment(self) -> bool:
        return bool(self._events) and _time(self._events[0]) == _time(self._events[-1])
