"""Merges the events of several data sets into one order: by time, then by kind and identifier."""

import heapq
from collections.abc import Iterator
from typing import Any

from flotilla.engine_sidecar.replay.streams import DataSet


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
