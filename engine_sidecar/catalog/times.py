"""Turns the time texts of people's files into UNIX nanoseconds, without guessing a time zone."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_NS: Final = 1_000_000_000
_MOMENT: Final = re.compile(
    r"\A(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r"\s?(?P<zone>Z|z|UTC|[+-]\d\d:?\d\d)?\Z"
)
_DAY: Final = re.compile(r"\A\d{4}-?\d\d-?\d\d\Z")
# An integer is an epoch: how many digits it has tells its unit for every time from 1973 to 2286.
_EPOCH_UNITS: Final = {9: _NS, 10: _NS, 12: 1_000_000, 13: 1_000_000, 15: 1_000, 16: 1_000, 18: 1, 19: 1}


def parse_time(text: str, zone: ZoneInfo | None) -> int | date:
    """UNIX nanoseconds of a moment, or the date when the text has no time of day.

    Takes ISO 8601 to the nanosecond, `YYYY-MM-DD`, and epochs in s, ms, us or ns. Raises ValueError for anything else, and
    for a time without an offset when `zone` is None.
    """
    if _DAY.match(text):
        return date.fromisoformat(text)
    if text.isdecimal() and len(text) in _EPOCH_UNITS:
        return int(text) * _EPOCH_UNITS[len(text)]
    match = _MOMENT.match(text)
    if not match:
        raise ValueError(f"{text!r} is neither an ISO 8601 time nor an epoch in s, ms, us or ns")
    local = datetime.fromisoformat(f"{match['day']}T{match['clock']}")
    fraction = int((match["fraction"] or "0").ljust(9, "0"))
    return _seconds(local, match["zone"], zone) * _NS + fraction


def midnight_ns(day: date, zone: ZoneInfo | None) -> int:
    """The moment `day` begins, in `zone` or in UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone or UTC).timestamp()) * _NS


def _seconds(local: datetime, offset: str | None, zone: ZoneInfo | None) -> int:
    if offset:
        ahead = timedelta() if offset.upper() in ("Z", "UTC") else _offset(offset)
        return int((local.replace(tzinfo=UTC) - ahead).timestamp())
    if zone is None:
        raise ValueError(f"{str(local)!r} has no time zone: give --timezone, such as UTC or America/New_York")
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local:
        raise ValueError(f"{str(local)!r} does not exist in {zone.key}: clocks went forward")
    return int(moment.timestamp())


def _offset(text: str) -> timedelta:
    size = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return -size if text[0] == "-" else size
