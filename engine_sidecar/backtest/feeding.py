"""The events of a trial in chunks of simulated time, so that memory stays flat.

One data set is handed on as it is read. Several are cut at the same moments and merged by time; events of one moment come by data
set, so that a run is the same every time.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.component import is_backtest_force_stop
from nautilus_trader.model.identifiers import ClientId

from flotilla.engine_sidecar.replay.kinds import FOLDERS, KINDS
from flotilla.engine_sidecar.replay.streams import (
    DataSet,
    Extent,
    WrongDataError,
    batches,
    class_of,
    extents,
    files_of,
    read,
)
from flotilla.schemas.backtest import TrialData, TrialPlan

CHUNK: Final = 20_000
"""Events that are read ahead of each data set."""


class Span(NamedTuple):
    """The simulated time of a run, both ends included (UNIX ns)."""

    first: int
    last: int


class Looks(NamedTuple):
    """Calls `look` before the event at `first`, and at the moments that `next_one` gives: the first one at or after a time (UNIX ns)."""

    first: int
    next_one: Callable[[int], int]
    look: Callable[[], None]


def data_set(data: TrialData) -> DataSet:
    """The same in the words of the catalog's reader."""
    return DataSet(KINDS[data.kind], data.identifier)


def data_sets(plan: TrialPlan) -> dict[DataSet, str | None]:
    """All that a run reads, events of one moment in this order; with the client of what is of a class of somebody's own.

    Such classes are imported for it. Raises WrongDataError.
    """
    found: dict[DataSet, str | None] = {data_set(one): None for one in plan.data}
    found |= {DataSet(class_of(one.path), one.identifier): one.client_id for one in plan.custom}
    return dict(sorted(found.items(), key=lambda one: one[0].rank))


def extent_of(catalog: Path, data: Collection[DataSet], first: int, last: int) -> Extent:
    """Of all events of the data sets from `first` to `last` (UNIX ns).

    Raises WrongDataError when there is none, and for a class of somebody's own that has no rows at all: the plan found them by their
    folder's name, and only its own process knows which folder NautilusTrader has for it.
    """
    for one in data:
        if one.kind not in FOLDERS and not files_of(catalog, one):
            raise WrongDataError(f"the catalog holds no {one.label} in data/{one.rank[0]}")
    found = [part for one in data for part in extents(catalog, one, first, last)]
    if not found:
        raise WrongDataError("the catalog holds no event of these data sets in this range")
    return Extent(
        sum(part.events for part in found),
        min(part.first for part in found),
        max(part.last for part in found),
    )


def feed(
    engine: BacktestEngine, catalog: Path, data: Mapping[DataSet, str | None], span: Span, looks: Looks
) -> None:
    """Runs the engine over all events of the span to its end. Raises WrongDataError, and whatever a strategy raises.

    The engine takes the events through its iterator: adding chunks one after the other costs it more than reading them, and
    would start its clocks anew at each.
    """
    _introduce(engine, catalog, data, span)
    stream = _Stream(watched(chunks(catalog, data, span.first, span.last), looks))
    engine.add_data_iterator("trial", stream.chunks())
    # As a stream, because an account that is overdrawn ends only such a run with an error.
    engine.run(start=span.first, end=span.last, streaming=True)
    if stream.error is not None:
        raise stream.error
    if not is_backtest_force_stop():
        # And on to the timers after the last event, one by one.
        engine.run(start=engine.kernel.clock.timestamp_ns(), end=span.last)


def _introduce(engine: BacktestEngine, catalog: Path, data: Mapping[DataSet, str | None], span: Span) -> None:
    """Has the engine know every data set from the start: it would ask a catalog for those that strategies subscribe to."""
    for one, client in data.items():
        for event in islice(read(catalog, one, span.first, span.last), 1):
            try:
                engine.add_data([event], client_id=ClientId(client) if client else None, sort=False)
            except ValueError as error:
                raise WrongDataError(str(error)) from error
    engine.clear_data()


def watched(chunks: Iterable[list[Any]], looks: Looks) -> Iterator[list[Any]]:
    """The same events, cut where a look is due: once the engine has done all events up to a moment, before the next event.

    The engine asks for a list when it takes the last event of the one before.
    """
    due = looks.first - 1
    for chunk in chunks:
        start = 0
        while (index := bisect_right(chunk, due, lo=start, key=_time)) < len(chunk):
            yield chunk[start : index + 1]
            looks.look()
            start = index + 1
            due = looks.next_one(_time(chunk[index]))
        if start < len(chunk):
            yield chunk[start:]


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
    catalog: Path, data: Iterable[DataSet], first: int, last: int, size: int = CHUNK
) -> Iterator[list[Any]]:
    """Lists of events in time order, about `size` long; no moment is split over two. Raises WrongDataError."""
    feeds = [_Feed(batches(catalog, one, first, last)) for one in sorted(data, key=lambda one: one.rank)]
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
        cut = bisect_right(self._events, until, key=_time)
        taken, self._events = self._events[:cut], self._events[cut:]
        return taken

    def _is_one_moment(self) -> bool:
        return bool(self._events) and _time(self._events[0]) == _time(self._events[-1])
