"""Times of day in a time zone, as people write them."""

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Meta

LocalTime: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
        description="A time of day such as 17:00, of a time zone.",
    ),
]


def check_timezone(name: str) -> None:
    """Raises ValueError naming the field `timezone` unless it is a zone of the IANA database, such as America/New_York."""
    try:
        zone(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"`timezone` must be a time zone such as America/New_York, not {name!r}") from None


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of that name; raises KeyError, ValueError or OSError for what is none."""
    return ZoneInfo(name)


def time_of(text: str) -> time:
    """The time of day that `17:00` is."""
    return time.fromisoformat(text)


def moment(day: date, at: time, timezone: str) -> datetime:
    """That time of that day. One that a change of clocks leaves out is as much later; of one that comes twice the first is meant."""
    return datetime.combine(day, at, zone(timezone))


def trading_day(at: datetime, timezone: str, rollover: str) -> date:
    """The date on which the trading day of `at` began, by the last rollover before it."""
    local = at.astimezone(zone(timezone))
    starts = moment(local.date(), time_of(rollover), timezone)
    return local.date() if at.timestamp() >= starts.timestamp() else local.date() - timedelta(days=1)
