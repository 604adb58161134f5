"""What an import does where the catalog has data already: equal rows are dropped, and all others named."""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, repeat
from typing import Any, Final

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

_NAMED: Final = 5

type Fields = Callable[[Any], Mapping[str, Any]]
"""An event's fields: two trade ticks from different sources are unequal to NautilusTrader even when all of them agree."""


class Overlap:
    """Holds the rows of an import, in time order, against those of a catalog whose files span `spans` (UNIX ns, both ends included)."""

    def __init__(self, spans: Iterable[tuple[int, int]], fields: Fields) -> None:
        # After an odd number of these edges a moment is within a file, after an even one between two.
        self._edges = [edge for first, last in sorted(spans) for edge in (first, last + 1)]
        self._fields = fields
        self._named: list[str] = []
        self._others = 0

    def touches(self, first: int, last: int) -> bool:
        """Whether a file has part of this time."""
        return self._place(first) != self._place(last) or bool(self._place(first) % 2)

    def new(self, rows: Sequence[Any], there: Iterable[Any]) -> list[list[Any]]:
        """Those of `rows` that the catalog, which has `there` from the first to the last of them, has not: a list for each new file."""
        found: list[Any] = []
        for at, known, read in _joined(there, rows):
            if not known and not self._place(at) % 2:
                found += read
            elif why := self._difference(known, read):
                self._named += [f"{_moment(at)}: {why}"] if self._others < _NAMED else []
                self._others += 1
        return [list(events) for _, events in groupby(found, key=lambda event: self._place(_time(event)))]

    def check(self, identifier: str) -> None:
        """Raises ImportRefusedError naming the rows that were not as the catalog has them."""
        if self._others:
            more = f"; and {self._others - _NAMED} more" if self._others > _NAMED else ""
            raise ImportRefusedError(
                f"the catalog has other data for {identifier} at {'; '.join(self._named)}{more}"
            )

    def _difference(self, known: Sequence[Any], read: Sequence[Any]) -> str | None:
        if not known:
            return "it has no such row, and none can be put into the middle of a file"
        if len(known) != len(read):
            return f"it has {len(known)} rows, the file {len(read)}"
        for before, after in zip(map(self._fields, known), map(self._fields, read), strict=True):
            for name, value in before.items():
                if after[name] != value:
                    return f"it has {name} {value}, the file {after[name]}"
        return None

    def _place(self, at: int) -> int:
        return bisect_right(self._edges, at)


def _joined(there: Iterable[Any], rows: Iterable[Any]) -> Iterator[tuple[int, list[Any], list[Any]]]:
    """Each moment with its events there and in the file."""
    both = heapq.merge(zip(repeat(False), there), zip(repeat(True), rows), key=lambda one: _time(one[1]))
    for at, events in groupby(both, key=lambda one: _time(one[1])):
        sides: tuple[list[Any], list[Any]] = [], []
        for is_read, event in events:
            sides[is_read].append(event)
        yield at, *sides


def _time(event: Any) -> int:
    return int(event.ts_init)


def _moment(ns: int) -> str:
    second, fraction = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}{f'.{fraction:09}' if fraction else ''}Z"
