"""The events of a trial in chunks of simulated time, so that memory stays flat and progress is known between them.

One data set is handed on as it is read. Several are cut at the same moments and merged by time; events of one moment come by data
set, so that a run is the same every time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, QuoteTick, TradeTick

from engine_sidecar.replay.streams import DataSet, files_of, read_file
from schemas.backtest import DataKind, TrialData
from schemas.catalog import file_interval

CHUNK: Final = 20_000
"""Events that are handed to the engine at once: enough for its full speed, few enough to hear of progress."""
KINDS: Final = {DataKind.BARS: Bar, DataKind.QUOTES: QuoteTick, DataKind.TRADES: TradeTick}


class WrongDataError(ValueError):
    """The catalog's data cannot be run: out of order, or not there."""


def data_set(data: TrialData) -> DataSet:
    """The same in the words of the catalog's reader."""
    return DataSet(KINDS[data.kind], data.identifier)


def span(catalog: Path, data: Sequence[TrialData], first: int, last: int) -> tuple[int, int]:
    """The moments (UNIX ns) between which the data sets have events, within `first` and `last`. Raises WrongDataError."""
    found = [
        interval
        for one in data
        for file in files_of(catalog, data_set(one), first, last)
        if (interval := file_interval(file.name))
    ]
    if not found:
        raise WrongDataError("the catalog holds no event of these data sets in this range")
    return max(first, min(start for start, _ in found)), min(last, max(end for _, end in found))


def chunks(
    catalog: Path, data: Sequence[TrialData], first: int, last: int, size: int = CHUNK
) -> Iterator[list[Any]]:
    """Lists of events in time order, about `size` long; no moment is split over two. Raises WrongDataError."""
    feeds = [_Feed(_batches(catalog, one, first, last)) for one in sorted(data)]
    while live := [feed for feed in feeds if feed.fill(size)]:
        until = min(feed.safe_until for feed in live)
        chunk = [event for feed in live for event in feed.take(until)]
        if len(live) > 1:
            chunk.sort(key=_time)  # stable: events of one moment keep the order of their data sets
        yield chunk


def _batches(catalog: Path, data: TrialData, first: int, last: int) -> Iterator[list[Any]]:
    one, before = data_set(data), 0
    for file in files_of(catalog, one, first, last):
        batch: list[Any] = []
        for event in read_file(one.kind, file):
            if event.ts_init < before:
                raise WrongDataError(f"{data.kind} of {data.identifier} are not in time order")
            before = event.ts_init
            if first <= before <= last:
                batch.append(event)
                if len(batch) == CHUNK:
                    yield batch
                    batch = []
        if batch:
            yield batch


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
