"""The rows of the fleet with the number of each one's last change: what a stream goes on from, wherever its client left off.

Nothing waits in a queue for a client. Who is behind is given every row that has changed since, as it is now: fewer changes, and newer.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from flotilla.services.gateway.live.rows import Row, Topic, changed_fields

KEPT_GONE: Final = 10_000
"""Rows that are gone of which that is remembered; who left off before the oldest of them was forgotten begins anew."""

type Key = tuple[Topic, str]
type Sees = Callable[[Topic, Row], bool]
"""Whether somebody may see a row, and wants to."""


class FleetChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row that changed: the fields to `set`, all of them for a row that is new; null for a row that is gone."""

    topic: Topic
    id: str
    set: Mapping[str, Any] | None


class _Entry(msgspec.Struct):
    row: Row
    number: int


class NumberedRows:
    """All rows. A batch of changes has one number; `number` is that of the last batch."""

    def __init__(self) -> None:
        self.number = 0
        self._rows: dict[Key, _Entry] = {}
        self._waiting: dict[Key, Row | None] = {}
        self._gone: dict[Key, tuple[int, Row]] = {}
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, topic: Topic, row_id: str, row: Row) -> None:
        """Takes a row as it is now; it counts from the next batch on."""
        self._waiting[topic, row_id] = row

    def drop(self, topic: Topic, row_id: str) -> None:
        """There is no such row any more, from the next batch on."""
        self._waiting[topic, row_id] = None

    def ids(self, topic: Topic) -> list[str]:
        """The ids of the rows of a topic, those that wait for the next batch too."""
        known = {key for key in self._rows if key not in self._waiting}
        waiting = {key for key, row in self._waiting.items() if row is not None}
        return [row_id for of, row_id in (*known, *waiting) if of == topic]

    def close_batch(self) -> "Batch | None":
        """Numbers what has changed since the last batch; None when nothing has."""
        changes: list[Changed] = []
        number = self.number + 1
        for key, row in self._waiting.items():
            if change := self._apply(key, row, number):
                changes.append(change)
        self._waiting.clear()
        if not changes:
            return None
        self.number = number
        return Batch(number=number, changes=changes)

    def since(self, number: int, sees: Sees) -> list[FleetChange] | None:
        """Each row that changed after `number`, whole; None when that is not known any more."""
        if number < self._forgotten or number > self.number:
            return None
        gone = [
            FleetChange(topic=topic, id=row_id, set=None)
            for (topic, row_id), (at, row) in self._gone.items()
            if at > number and sees(topic, row)
        ]
        changed = [
            FleetChange(topic=topic, id=row_id, set=changed_fields(None, entry.row))
            for (topic, row_id), entry in self._rows.items()
            if entry.number > number and sees(topic, entry.row)
        ]
        return gone + changed

    def rows(self, sees: Sees) -> Iterator[tuple[Topic, str, Row]]:
        """Every row, as of the last batch."""
        for (topic, row_id), entry in self._rows.items():
            if sees(topic, entry.row):
                yield topic, row_id, entry.row

    def _apply(self, key: Key, row: Row | None, number: int) -> "Changed | None":
        topic, row_id = key
        known = self._rows.get(key)
        if row is None:
            if known is None:
                return None
            del self._rows[key]
            self._remember(key, number, known.row)
            return Changed(before=known.row, after=None, change=FleetChange(topic=topic, id=row_id, set=None))
        before = known.row if known else None
        changed = changed_fields(before, row)
        if not changed:
            return None
        self._gone.pop(key, None)
        self._rows[key] = _Entry(row=row, number=number)
        return Changed(before=before, after=row, change=FleetChange(topic=topic, id=row_id, set=changed))

    def _remember(self, key: Key, number: int, row: Row) -> None:
        self._gone.pop(key, None)
        self._gone[key] = (number, row)
        while len(self._gone) > KEPT_GONE:
            oldest = next(iter(self._gone))
            self._forgotten = max(self._forgotten, self._gone.pop(oldest)[0])


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A change with the row before and after it; null for a row that was not there, or is not any more."""

    before: Row | None
    after: Row | None
    change: FleetChange


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What changed at once."""

    number: int
    changes: list[Changed]

    def seen(self, sees: Sees) -> list[FleetChange]:
        """The changes as somebody sees them: a row that came into sight is new to them, one that went out of sight is gone."""
        return [change for changed in self.changes if (change := _seen(changed, sees)) is not None]


def _seen(changed: Changed, sees: Sees) -> FleetChange | None:
    topic, row_id = changed.change.topic, changed.change.id
    saw = changed.before is not None and sees(topic, changed.before)
    if changed.after is None or not sees(topic, changed.after):
        return FleetChange(topic=topic, id=row_id, set=None) if saw else None
    if saw:
        return changed.change
    return FleetChange(topic=topic, id=row_id, set=changed_fields(None, changed.after))
