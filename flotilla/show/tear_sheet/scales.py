"""Axes: round numbers and round times that fit a range, and how they are written."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

_NS: Final = 1_000_000_000
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_SECONDS: Final = (
    *(1, 2, 5, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 4 * _DAY, 7 * _DAY),
)
_MOST_TIMES: Final = 6
_SHORTENED: Final = 1e4
"""Smaller numbers of an axis are written out."""


class Scale(NamedTuple):
    """From `low` to `high`, with lines at `ticks` that are `step` apart."""

    low: float
    high: float
    step: float
    ticks: tuple[float, ...]

    def part(self, value: float) -> float:
        """Where a value is: 0 at the low end, 1 at the high one."""
        return (value - self.low) / (self.high - self.low)


def scale(low: float, high: float, *, count: int = 4, is_tight: bool = False) -> Scale:
    """About `count` steps of a round size that hold everything from `low` to `high`; `is_tight` ends where the values do."""
    if high <= low:
        room = abs(high) * 0.01 or 1.0
        low, high = low - room, high + room
    step = _round_step((high - low) / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(number * step for number in range(first, last + 1))
    if is_tight:
        return Scale(low, high, step, tuple(tick for tick in ticks if low <= tick <= high))
    return Scale(ticks[0], ticks[-1], step, ticks)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((each for each in _STEPS if each * power >= rough * (1 - 1e-9)), 10.0) * power


def short(value: float, step: float) -> str:
    """A number of an axis: `1.5M`, `250k`, `1,002.5k`, `1,250.5`, with as many digits as its `step` needs to be told apart."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, _SHORTENED) and step >= size / 100:
            return f"{_plain(value / size, step / size)}{unit}"
    return _plain(value, step)


def percent(value: float, step: float) -> str:
    """A share of an axis: `-12.5 %`."""
    return f"{_plain(value * 100, step * 100)} %"


def _plain(value: float, step: float) -> str:
    digits = max(0, min(8, -math.floor(math.log10(step) + 1e-9)))
    if digits < 8 and abs(round(step, digits) - step) > step * 1e-6:
        digits += 1
    written = f"{value:,.{digits}f}"
    return written.removeprefix("-") if not written.strip("-0.,") else written


def times(first: int, last: int, zone: tzinfo) -> list[tuple[int, str]]:
    """Some round moments between two (UNIX ns) with their names, by the calendar of `zone`; none in no time at all."""
    seconds = (last - first) / _NS
    if seconds <= 0:
        return []
    # Times of day alone would not tell days apart.
    least = _DAY if seconds > 1.5 * _DAY else 1
    step = next((each for each in _SECONDS if each >= least and seconds / each <= _MOST_TIMES), None)
    if step is not None:
        return list(_by_seconds(first, last, step, zone))
    months = next((each for each in _MONTHS if seconds / (each * 30.4 * _DAY) <= _MOST_TIMES), _MONTHS[-1])
    return list(_by_months(first, last, months, zone))


def _by_seconds(first: int, last: int, step: int, zone: tzinfo) -> Iterator[tuple[int, str]]:
    start = datetime.fromtimestamp(first // _NS, zone)
    shift = int((start.utcoffset() or timedelta(0)).total_seconds())
    form = "%d %b" if step >= _DAY else "%H:%M" if step >= _MINUTE else "%H:%M:%S"
    at = (-(-(first // _NS + shift) // step)) * step - shift
    while at * _NS <= last:
        if at * _NS >= first:
            yield at * _NS, f"{datetime.fromtimestamp(at, zone):{form}}"
        at += step


def _by_months(first: int, last: int, step: int, zone: tzinfo) -> Iterator[tuple[int, str]]:
    start = datetime.fromtimestamp(first // _NS, UTC)
    month = (start.year * 12 + start.month - 1) // step * step
    while month // 12 < 9999:
        there = datetime(max(1, month // 12), month % 12 + 1, 1, tzinfo=zone)
        at = int(there.timestamp()) * _NS
        if at > last:
            return
        if at >= first:
            yield at, f"{there:%Y}" if step >= 12 else f"{there:%b %Y}"
        month += step
