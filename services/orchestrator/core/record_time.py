"""The record's time: a time line that no step of any clock moves, and how it relates to the wall clock. See docs/adr/0015.

All that is awaited, limited or counted goes by the record's time. What people are told is the wall clock's.
"""

from datetime import UTC, datetime, timedelta, tzinfo

import msgspec


class RecordTime(tzinfo):
    """UTC, but as the record counts it; `ahead` is by how much the wall clock is ahead of it."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def utcoffset(self, _: datetime | None) -> timedelta:
        """None to UTC, so that times of the record are compared, stored and sent as any other."""
        return timedelta()

    def dst(self, _: datetime | None) -> timedelta:
        """No summer time."""
        return timedelta()

    def tzname(self, _: datetime | None) -> str:
        """UTC."""
        return "UTC"


class KeptTime(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the record's time as it stands on record: what it was when a monotonic clock showed `monotonic_s`.

    `boot_id` names the boot of the machine whose clock that is: within it the clock can be asked again, after it never.
    """

    at: datetime
    boot_id: str
    monotonic_s: float


def resumed(kept: KeptTime, boot_id: str, monotonic_s: float) -> datetime:
    """The record's time now, for a reader that has just read `kept`.

    Within the same boot the time between is known to the microsecond. After another one nothing is known of it, so that it counts
    as none: what is awaited then takes longer, and nothing is ever taken to be over before its time has passed.
    """
    if kept.boot_id != boot_id:
        return kept.at
    return kept.at + timedelta(seconds=max(0.0, monotonic_s - kept.monotonic_s))


def on_wall(at: datetime, now: datetime) -> datetime:
    """What the wall clock says, said or will say at `at`, a time of the record, going by how the two relate `now`."""
    ahead = now.tzinfo.ahead if isinstance(now.tzinfo, RecordTime) else timedelta()
    return at.replace(tzinfo=UTC) + ahead


def wall(now: datetime) -> datetime:
    """What the wall clock says `now`, for people."""
    return on_wall(now, now)
