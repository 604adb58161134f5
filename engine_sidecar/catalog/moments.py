"""When a row became known: for a bar its close, so that no strategy ever sees a price before its time."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from flotilla.engine_sidecar.catalog.columns import Layout
from flotilla.engine_sidecar.catalog.reading import Stamp
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.times import midnight_ns, parse_time

_DAY: Final = timedelta(days=1)
_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3600 * _NS
_NEVER: Final = 1 << 63
"""Readers of a catalog take times before this one, in April 2262."""


class Clock(msgspec.Struct, kw_only=True):
    """How a file's times are read: `step` is the length of a bar, None for what has no fixed one; `stamp` of None is not known.

    Where clocks go back a local time comes twice, and only the order of the rows tells which of the two it is: `in_doubt` was
    read as the first, and stays so once a row after it is of the second. One that nothing tells of is refused.
    `may_repeat`: bars of the same time are not refused here. `is_dated_at_midnight`: the midnight of a bar of days is its date.
    """

    zone: ZoneInfo | None
    time_format: str | None
    step: timedelta | None
    stamp: Stamp | None
    is_bars: bool
    may_repeat: bool = False
    is_dated_at_midnight: bool = False
    in_doubt: str | None = None

    def known_at(self, text: str, close_text: str, last: int) -> int:
        """UNIX ns at which the row of time `text` became known; `close_text` is a bar's close by the file, if it has one.

        A date names a whole day: its bar closes at the midnight that ends it, in the zone given or in UTC; of a bar of
        several days it is the first day or the last, as `stamp` says. Raises ValueError for what is no time,
        and for one that does not come after `last`, the row before.
        """
        not_before = last + (1 if self.is_bars and not self.may_repeat else 0)
        if close_text:
            ts = self._file_close(text, close_text, not_before)
        else:
            ts = self._close(text, not_before) if self.is_bars else self._instant(text, not_before)
        self._check_order(last, ts)
        return ts

    def check_doubt(self) -> None:
        """After the last row. Raises ValueError when there was a local time of which the rows do not tell which one it is."""
        if self.in_doubt is not None:
            zone = self.zone.key if self.zone else ""
            raise ValueError(
                f"{self.in_doubt!r} comes twice in {zone}, where clocks go back, and the rows do not tell which one it is: "
                "give times with their offset, or in UTC"
            )

    def _weigh(self, text: str, moment: int) -> None:
        """Whether `text` is the first or the second of two equal local times."""
        if self.zone is None or not _is_in_two(moment, self.zone) or not self._comes_twice(text):
            self.check_doubt()
        elif parse_time(text, self.zone, self.time_format, moment + 1) == moment:
            self.in_doubt = None
        else:
            self.in_doubt = self.in_doubt or text

    def _comes_twice(self, text: str) -> bool:
        """False also of one that has an offset."""
        first, second = (parse_time(text, self.zone, self.time_format, bound) for bound in (0, _NEVER))
        return first != second

    def _check_order(self, last: int, ts: int) -> None:
        """Two bars are never nearer to each other than half of a bar's length."""
        if ts < 0:
            raise ValueError("is before 1970")
        if ts >= _NEVER:
            raise ValueError("is after 11 April 2262, where the nanoseconds end that a catalog can hold")
        if ts < last:
            raise ValueError("is earlier than the row before")
        if ts == last and self.is_bars and not self.may_repeat:
            raise ValueError("is the same as in the row before")
        if self.is_bars and 0 <= last < ts and 2 * (ts - last) < self._step_ns:
            apart = timedelta(microseconds=(ts - last) // 1000)
            raise ValueError(f"is {apart} after the row before, and a bar of this type lasts {self.step}")

    @property
    def _step_ns(self) -> int:
        return int(self.step / timedelta(microseconds=1)) * 1000 if self.step else 0

    def _instant(self, text: str, not_before: int) -> int:
        moment = self._moment(text, not_before)
        self._weigh(text, moment)
        return moment

    def _moment(self, text: str, not_before: int) -> int:
        match parse_time(text, self.zone, self.time_format, not_before):
            case int(moment):
                return moment
            case day:
                raise ValueError(f"{day} has no time of day, which only bars of whole days may lack")

    def _close(self, text: str, not_before: int) -> int:
        shift = self._step_ns if self.stamp is Stamp.OPEN else 0
        moment = self._day(text) or parse_time(text, self.zone, self.time_format, not_before - shift)
        if isinstance(moment, date):
            return self._end_of_days(moment, text)
        if self.stamp is None:
            raise ValueError(_which(text))
        self._weigh(text, moment)
        return self._after(moment) if self.stamp is Stamp.OPEN else moment

    def _day(self, text: str) -> date | None:
        """The date that the midnight of a bar of days stands for, where it does."""
        if not self.is_dated_at_midnight or self.step is None or self.step % _DAY:
            return None
        moment = parse_time(text, ZoneInfo("UTC"), self.time_format)
        if isinstance(moment, date) or moment % int(_DAY.total_seconds() * _NS):
            return None
        return datetime.fromtimestamp(moment // _NS, UTC).date()

    def _file_close(self, text: str, close_text: str, not_before: int) -> int:
        """The close by the file. Of local times that come twice, open and close tell each other unless both are such."""
        longest = self._longest_ns
        closed = self._moment(close_text, not_before)
        opened = self._moment(text, closed - longest if longest else 0)
        if opened >= closed:  # clocks went back in between
            closed = self._moment(close_text, opened + 1)
        if closed <= opened or (longest and not self._step_ns / 2 < closed - opened <= longest):
            raise ValueError(f"{text!r} to {close_text!r} is no bar of {self.step or 'any length'}")
        if self.zone is not None and _is_in_two(opened, self.zone):
            self._weigh(close_text, closed)
        else:
            self.check_doubt()
        return closed

    @property
    def _longest_ns(self) -> int:
        """Of a bar by the file: one of whole days may have the hour more of a day on which clocks go back."""
        is_days = self.step is not None and not self.step % _DAY
        return self._step_ns + (_HOUR_NS if is_days else 0)

    def _after(self, opened: int) -> int:
        """A bar's length after its open; whole days in a zone end with its midnights, which may be 23 or 25 hours away."""
        if self.step is None:
            raise ValueError("is of the open, and when such a bar closes only a column close_time can tell")
        if self.zone is None or self.step % _DAY:
            return opened + self._step_ns
        local = datetime.fromtimestamp(opened // _NS, self.zone) + self.step
        return int(local.timestamp()) * _NS + opened % _NS

    def _end_of_days(self, day: date, text: str) -> int:
        if self.step is None or self.step % _DAY:
            raise ValueError(f"{day} has no time of day, which only bars of whole days may lack")
        if self.step > _DAY and self.stamp is None:
            raise ValueError(_which(text))
        return midnight_ns(day + (self.step if self.stamp is Stamp.OPEN else _DAY), self.zone)


def _is_in_two(moment: int, zone: ZoneInfo) -> bool:
    """Whether what clocks show at a moment they show twice."""
    local = datetime.fromtimestamp(moment // _NS, zone)
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def _which(text: str) -> str:
    return f"{text!r} may be when a bar opens or when it closes: give --stamp open or --stamp close"


def clock(
    where: Layout,
    *,
    zone: ZoneInfo | None,
    time_format: str | None,
    step: timedelta | None,
    stamp: Stamp | None,
    is_bars: bool,
    may_repeat: bool = False,
) -> Clock:
    """What was asked for and what the header tells, together; raises ImportRefusedError when they contradict each other."""
    if stamp and where.stamp and stamp is not where.stamp and "close_time" not in where.positions:
        raise ImportRefusedError(
            f"column {where.titles['timestamp']!r} is of the {where.stamp}: leave out --stamp {stamp}"
        )
    return Clock(
        zone=zone or (ZoneInfo(where.timezone) if where.timezone else None),
        time_format=time_format or where.time_format,
        step=step,
        stamp=where.stamp or stamp,
        is_bars=is_bars,
        may_repeat=may_repeat,
        is_dated_at_midnight=where.is_dated_at_midnight,
    )
