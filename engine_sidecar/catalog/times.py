"""Turns the time texts of people's files into UNIX nanoseconds, without guessing a time zone."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError, shown
from flotilla.schemas.catalog import FOREVER

_NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _NS
_MOMENT: Final = re.compile(
    r"\A(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r"\s?(?P<zone>Z|z|UTC|[+-]\d\d:?\d\d)?\Z"
)
_DAY: Final = re.compile(r"\A\d{4}-?\d\d-?\d\d\Z")
# An integer is an epoch: how many digits it has tells its unit for every time from 1973 to 2286.
EPOCH_UNITS: Final = {9: _NS, 10: _NS, 12: 1_000_000, 13: 1_000_000, 15: 1_000, 16: 1_000, 18: 1, 19: 1}


_DAY_OR_MONTH_FIRST: Final = re.compile(r"\A\d{1,2}([/.-])\d{1,2}\1\d{4}(\s\d)?")
_TIME_OF_DAY: Final = re.compile(r"%[HIMSfXcT]")


def parse_time(
    text: str, zone: ZoneInfo | None, time_format: str | None = None, not_before: int = 0
) -> int | date:
    """UNIX nanoseconds of a moment, or the date when the text has no time of day.

    Takes ISO 8601 to the nanosecond, `YYYY-MM-DD`, and epochs in s, ms, us or ns; or what `time_format` says, in the
    directives of strptime. Where clocks go back a local time comes twice: it is the first, unless that lies before
    `not_before` (ns). Raises ValueError for anything else, and for a time without an offset when `zone` is None.
    """
    if time_format:
        return _by_format(text, time_format, zone, not_before)
    if _DAY.match(text):
        return _checked(text, date.fromisoformat, text)
    if text.isdecimal() and len(text) in EPOCH_UNITS:
        return int(text) * EPOCH_UNITS[len(text)]
    match = _MOMENT.match(text)
    if not match:
        raise ValueError(_unknown(text))
    local = _checked(text, datetime.fromisoformat, f"{match['day']}T{match['clock']}")
    fraction = int((match["fraction"] or "0").ljust(9, "0"))
    if match["zone"]:
        return _at_offset(local, match["zone"]) * _NS + fraction
    return _in_zone(local, zone, not_before - fraction) * _NS + fraction


def _checked[T](text: str, read: Callable[[str], T], part: str) -> T:
    """What `part` of the text says; the ValueError of a day or an hour that there is not shows the text."""
    try:
        return read(part)
    except ValueError as error:
        raise ValueError(f"{shown(text)}: {error}") from None


def _unknown(text: str) -> str:
    if match := _DAY_OR_MONTH_FIRST.match(text):
        clock, mark = " %H:%M:%S" if match[2] else "", match[1]
        month_first, day_first = (
            mark.join(parts) + clock for parts in (("%m", "%d", "%Y"), ("%d", "%m", "%Y"))
        )
        return f"{shown(text)} is no ISO 8601 time: give --time-format {month_first!r} or {day_first!r}, whichever it is"
    return f"{shown(text)} is neither an ISO 8601 time nor an epoch in s, ms, us or ns: give --time-format"


def _by_format(text: str, time_format: str, zone: ZoneInfo | None, not_before: int) -> int | date:
    try:
        moment = datetime.strptime(text, time_format)  # noqa: DTZ007  a zone comes from %z or from `zone`
    except ValueError:
        raise ValueError(f"{shown(text)} is not a time in the form {time_format!r}") from None
    if not _TIME_OF_DAY.search(time_format):
        return moment.date()
    fraction, moment = moment.microsecond * 1000, moment.replace(microsecond=0)
    if moment.tzinfo:
        return int(moment.timestamp()) * _NS + fraction
    return _in_zone(moment, zone, not_before - fraction) * _NS + fraction


def bound_ns(text: str, option: str, *, is_end: bool) -> int:
    """UNIX ns of a moment in UTC, or of the beginning or the end of a day, as near as data can have. Raises ImportRefusedError that names the option."""
    try:
        found = parse_time(text, ZoneInfo("UTC"))
    except OverflowError:
        raise ImportRefusedError(f"{option}: {shown(text)} is in none of the years 1 to 9999") from None
    except ValueError as error:
        raise ImportRefusedError(f"{option}: {error}") from None
    if not isinstance(found, int):
        found = midnight_ns(found, None) + (_DAY_NS - 1 if is_end else 0)
    return min(max(found, 0), FOREVER)


def moment_text(ns: int) -> str:
    """A moment (UNIX ns) as an error names it."""
    second, fraction = divmod(ns, _NS)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}{f'.{fraction:09}' if fraction else ''}Z"


def midnight_ns(day: date, zone: ZoneInfo | None) -> int:
    """The moment `day` begins, in `zone` or in UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone or UTC).timestamp()) * _NS


def _at_offset(local: datetime, offset: str) -> int:
    ahead = timedelta() if offset.upper() in ("Z", "UTC") else _offset(offset)
    return int((local.replace(tzinfo=UTC) - ahead).timestamp())


def _in_zone(local: datetime, zone: ZoneInfo | None, not_before: int) -> int:
    """UNIX seconds of a local time; of the two that it may be when clocks go back, the first that is not too early."""
    if zone is None:
        raise ValueError(f"{str(local)!r} has no time zone: give --timezone, such as UTC or America/New_York")
    moment = local.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise ValueError(f"{str(local)!r} does not exist in {zone.key}: clocks went forward")
    first, second = int(moment.timestamp()), int(moment.replace(fold=1).timestamp())
    return second if first * _NS < not_before else first


def _offset(text: str) -> timedelta:
    size = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return -size if text[0] == "-" else size
