"""Tells when a strategy has lost in one day what it may lose in a day."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import msgspec

_NS: Final = 1_000_000_000


class _Day(msgspec.Struct, frozen=True):
    """The profit at the end of the day before, and at the last bar so far."""

    date: date
    before: Decimal
    last: Decimal
    is_over: bool


class DailyLoss:
    """Counts from the profit at the last bar of the day before; once the limit is reached, it stays so until the next day."""

    def __init__(self, limit: Decimal | None) -> None:
        self._limit = limit
        self._day: _Day | None = None

    @property
    def is_reached(self) -> bool:
        """True when no more may be lost on the day of the last bar."""
        return self._day is not None and self._day.is_over

    def update(self, ts: int, profit: Decimal) -> None:
        """Takes note of the profit so far (realized and open) at the close of a bar at `ts` (UNIX ns)."""
        today, day = _day_of(ts), self._day
        if day is None:
            day = _Day(today, profit, profit, is_over=False)
        elif day.date != today:
            day = _Day(today, day.last, profit, is_over=False)
        is_over = day.is_over or (self._limit is not None and day.before - profit >= self._limit)
        self._day = msgspec.structs.replace(day, last=profit, is_over=is_over)

    def save(self) -> bytes:
        """What it knows, for `restore`."""
        return msgspec.json.encode(self._day)

    def restore(self, saved: bytes) -> None:
        """Goes on where another left off, so that a restart gives no second allowance on the same day."""
        self._day = msgspec.json.decode(saved, type=_Day | None)


def _day_of(ts: int) -> date:
    """The UTC day that a bar closing at `ts` is of: midnight ends a day."""
    return datetime.fromtimestamp((ts - 1) // _NS, UTC).date()
