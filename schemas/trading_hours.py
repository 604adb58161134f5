"""When an engine may open or add: a schedule by weekdays and local times. Outside of it only orders that reduce pass, and cancels."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from flotilla.schemas.local_times import LocalTime, check_timezone, moment, time_of, zone


class Weekday(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_DAYS: Final = tuple(Weekday)
_AHEAD: Final = 8
"""Days ahead in which a weekly schedule changes, if it ever does."""
_DAY_S: Final = 86_400


class TradingWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `opens` to `closes`, local times, on each of `days`; until the next day where it closes no later than it opens."""

    days: Annotated[tuple[Weekday, ...], Meta(min_length=1, max_length=7)]
    opens: LocalTime
    closes: LocalTime


class TradingHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The windows in which an engine may open or add."""

    windows: Annotated[tuple[TradingWindow, ...], Meta(min_length=1, max_length=32)]
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        check_timezone(self.timezone)


class HoursView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether orders that open or add pass now, and until when that is so; null for ever."""

    is_open: bool
    until: datetime | None


def hours_at(hours: TradingHours, at: datetime) -> HoursView:
    """The hours at a moment (with a time zone)."""
    spans = list(_spans(hours, at))
    is_open = any(opens <= at.timestamp() < closes for opens, closes in spans)
    until = at.timestamp() + _AHEAD * _DAY_S
    changes = sorted({edge for span in spans for edge in span if at.timestamp() < edge < until})
    for edge in changes:
        if any(opens <= edge < closes for opens, closes in spans) != is_open:
            return HoursView(is_open=is_open, until=datetime.fromtimestamp(edge, zone(hours.timezone)))
    return HoursView(is_open=is_open, until=None)


def _spans(hours: TradingHours, at: datetime) -> Iterator[tuple[float, float]]:
    """The windows around `at`, as UNIX seconds: the day before reaches into the present one."""
    today = at.astimezone(zone(hours.timezone)).date()
    for ahead in range(-1, _AHEAD + 2):
        day = today + timedelta(days=ahead)
        for window in hours.windows:
            if _DAYS[day.weekday()] not in window.days:
                continue
            opens, closes = time_of(window.opens), time_of(window.closes)
            ends_on = day if closes > opens else day + timedelta(days=1)
            yield (
                moment(day, opens, hours.timezone).timestamp(),
                moment(ends_on, closes, hours.timezone).timestamp(),
            )
