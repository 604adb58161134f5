"""When a row became known: for a bar its close, so that no strategy ever sees a price before its time."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from engine_sidecar.catalog.columns import Layout, Stamp
from engine_sidecar.catalog.refusal import ImportRefusedError
from engine_sidecar.catalog.times import midnight_ns, parse_time

_DAY: Final = timedelta(days=1)
_NS: Final = 1_000_000_000


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """How a file's times are read: `step` is the length of a bar, None for what has no fixed one; `stamp` of None is not known."""

    zone: ZoneInfo | None
    time_format: str | None
    step: timedelta | None
    stamp: Stamp | None
    is_bars: bool

    def known_at(self, text: str, close_text: str, last: int) -> int:
        """UNIX ns at which the row of time `text` became known; `close_text` is a bar's close by the file, if it has one.

        A date names a whole day: its bar closes at the midnight that ends it, in the zone given or in UTC; of a bar of
        several days it is the first day or the last, as `stamp` says. Raises ValueError for what is no time,
        and for one that does not come after `last`, the row before.
        """
        not_before = last + (1 if self.is_bars else 0)
        if close_text:
            ts = self._file_close(text, close_text, not_before)
        else:
            ts = self._close(text, not_before) if self.is_bars else self._instant(text, not_before)
        self._check_order(last, ts)
        return ts

    def _check_order(self, last: int, ts: int) -> None:
        """Two bars are never nearer to each other than half of a bar's length."""
        if ts < 0:
            raise ValueError("is before 1970")
        if ts < last:
            raise ValueError("is earlier than the row before")
        if ts == last and self.is_bars:
            raise ValueError("is the same as in the row before")
        if self.is_bars and last >= 0 and 2 * (ts - last) < self._step_ns:
            apart = timedelta(microseconds=(ts - last) // 1000)
            raise ValueError(f"is {apart} after the row before, and a bar of this type lasts {self.step}")

    @property
    def _step_ns(self) -> int:
        return int(self.step / timedelta(microseconds=1)) * 1000 if self.step else 0

    def _instant(self, text: str, not_before: int) -> int:
        match parse_time(text, self.zone, self.time_format, not_before):
            case int(moment):
                return moment
            case day:
                raise ValueError(f"{day} has no time of day, which only bars of whole days may lack")

    def _close(self, text: str, not_before: int) -> int:
        shift = self._step_ns if self.stamp is Stamp.OPEN else 0
        moment = parse_time(text, self.zone, self.time_format, not_before - shift)
        if isinstance(moment, date):
            return self._end_of_days(moment, text)
        if self.stamp is None:
            raise ValueError(_which(text))
        return self._after(moment) if self.stamp is Stamp.OPEN else moment

    def _file_close(self, text: str, close_text: str, not_before: int) -> int:
        opened, closed = self._instant(text, -1), self._instant(close_text, not_before)
        step = self._step_ns
        if closed <= opened or (step and not step / 2 < closed - opened <= step):
            raise ValueError(f"{text!r} to {close_text!r} is no bar of {self.step or 'any length'}")
        return closed

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
    )
