"""Columns of times to UNIX nanoseconds at once: epochs, ISO 8601, and forms of strptime whose parts have a fixed width."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from flotilla.engine_sidecar.catalog.moments import Clock
from flotilla.engine_sidecar.catalog.times import EPOCH_UNITS

_WIDTHS: Final = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2}
_ISO_LEAST: Final = len("2024-01-02T10:00")
_NS: Final = pa.timestamp("ns")


class NotPlainError(Exception):
    """A file's rows have to be read one by one: something in them needs a closer look, or may be unsound."""


def moments(column: Any, times: Clock) -> Any:
    """UNIX ns (int64) of a column of text or timestamps, as `parse_time` has them. Raises NotPlainError, pa.ArrowInvalid."""
    if pa.types.is_timestamp(column.type):
        local = column.cast(pa.timestamp("ns", column.type.tz))
        if column.null_count or times.time_format:
            raise NotPlainError("empty times, or a form for what is no text")
        return local.cast(pa.int64()) if column.type.tz else _in_zone(local, times)
    if times.time_format:
        return _in_zone(_by_format(column, times.time_format), times)
    least, most = pc.min_max(pc.binary_length(column)).as_py().values()
    if least == most and least in EPOCH_UNITS and pc.all(pc.utf8_is_decimal(column)).as_py():
        return pc.multiply_checked(column.cast(pa.int64()), EPOCH_UNITS[least])
    if least < _ISO_LEAST:
        raise NotPlainError("dates, or what is no time")
    try:
        return column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    except pa.ArrowInvalid:  # they have no offset
        return _in_zone(column.cast(_NS), times)


def _in_zone(local: Any, times: Clock) -> Any:
    """Of zones only those whose clocks never change: which of two equal local times is meant the rows' reader finds out."""
    if times.zone is None or (ahead := _fixed_offset(times.zone)) is None:
        raise NotPlainError("times of a zone that is not known, or whose clocks change")
    return pc.subtract(local.cast(pa.int64()), ahead)


@cache
def _fixed_offset(zone: ZoneInfo) -> int | None:
    """How far a zone's clocks have been ahead of UTC (ns) in every month since 1970; None when that was not always the same."""
    months = (datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2040) for month in range(1, 13))
    offsets = {month.astimezone(zone).utcoffset() for month in months}
    only = offsets.pop() if len(offsets) == 1 else None
    return None if only is None else only // timedelta(seconds=1) * 1_000_000_000


def _by_format(column: Any, time_format: str) -> Any:
    """Local times (timestamp[ns]) of a form such as `%d.%m.%Y %H:%M:%S.%f`."""
    if not {"%Y", "%m", "%d", "%H", "%M"} <= set(re.findall("%.", time_format)):
        raise NotPlainError("forms of dates, or with parts that have no fixed width")
    found: dict[str, Any] = {}
    at = 0
    for part in re.findall("%.|[^%]", time_format):
        if part == "%f":
            found[part] = pc.utf8_slice_codeunits(column, at)
            at = -1
        elif at < 0 or (part[0] == "%" and part not in _WIDTHS):
            raise NotPlainError("a form with parts of no fixed width")
        else:
            width = _WIDTHS.get(part, 1)
            found[part] = pc.utf8_slice_codeunits(column, at, at + width)
            if part[0] != "%" and not pc.all(pc.equal(found[part], part)).as_py():
                raise NotPlainError("times of another form")
            at += width
    if at >= 0 and pc.max(pc.utf8_length(column)).as_py() != at:
        raise NotPlainError("times of another length")
    if "%f" in found and not pc.all(pc.match_substring_regex(found["%f"], r"^\d{1,6}$")).as_py():
        raise NotPlainError("fractions of another length")
    seconds = found.get("%S", "00")
    day = pc.binary_join_element_wise(found["%Y"], found["%m"], found["%d"], "-")
    clock = pc.binary_join_element_wise(found["%H"], found["%M"], seconds, ":")
    text = pc.binary_join_element_wise(day, clock, "T")
    if "%f" in found:
        text = pc.binary_join_element_wise(text, found["%f"], ".")
    return text.cast(_NS)
