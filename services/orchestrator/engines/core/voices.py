"""How many voices speak for a session: its sidecar's alone, or another's besides. Pure memory of what was heard; see ADR 31.

One sidecar gives each beat a number of its own and one beat a second, counts an event that it has made in each later beat, and its
figures do not go back to what they were. Each rule needs three breaches within half a minute, some time apart: what waited in a
connection that was given up may come after what was said on the next one, all at once. Only of a session whose end is on record one
beat that was made later is enough: there is no time for three, since its container is stopped soon.
"""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from flotilla.schemas.telemetry import EngineMetrics, Heartbeat
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort

SETTLED: Final = timedelta(seconds=3)
"""How long an event is on record until each beat must count it."""
_TIMES: Final = 3
_WITHIN: Final = timedelta(seconds=30)
_APART: Final = timedelta(seconds=1.5)
_CLOSE: Final = timedelta(seconds=0.5)
_KEPT: Final = 64
"""Beats that are remembered; none comes so late, or twice so late."""
_SLACK: Final = 120
"""By how many beats we may be late in hearing of one."""

type _Figures = tuple[int, int, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


class Voices:
    """What was heard of one session."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self._beats: dict[int, int] = {}
        self._highest_beat: tuple[int, datetime] | None = None
        self._highest: deque[tuple[datetime, int, int]] = deque()
        self._figures: deque[_Figures] = deque(maxlen=2)
        self._breaches: dict[Sort, deque[datetime]] = {}

    def recorded(self, seq: int, said_ns: int, now: datetime) -> None:
        """Takes note of an event that is on record. `said_ns` is when it was made, by the engine's clock or the bus server's if
        that is earlier."""
        if self._highest and seq <= self._highest[-1][1]:
            return
        noted_at = now
        if self._highest and now - self._highest[-1][0] < _CLOSE:
            noted_at = self._highest.pop()[0]
        self._highest.append((noted_at, seq, said_ns))
        self._settle(now)

    def beats(self, beat: Heartbeat, now: datetime, *, is_over: bool = False) -> Finding | None:
        """What a heartbeat of the session contradicts; `is_over` when its end is on record."""
        self._settle(now)
        if (text := self._odd_number(beat, now)) is not None:
            return self._breach(Sort.BEAT, text, now)
        if not self._highest or not beat.last_seq:
            return None  # one of an older release does not say how many events it has made
        noted_at, seq, said_ns = self._highest[0]
        if now - noted_at < SETTLED or beat.last_seq >= seq or beat.at_ns <= said_ns:
            return None
        text = f"events {beat.last_seq + 1} to {seq} are on record, and its sidecar has made {beat.last_seq}"
        return Finding(Sort.AHEAD, text) if is_over else self._breach(Sort.AHEAD, text, now)

    def measures(self, metrics: EngineMetrics, now: datetime) -> Finding | None:
        """What figures of the session contradict."""
        figures = (
            metrics.fills_total,
            metrics.positions_total,
            tuple(sorted(metrics.realized_pnl.items())),
            tuple(sorted(metrics.net_positions.items())),
        )
        before = tuple(self._figures)
        if before and before[-1] == figures:
            return None
        self._figures.append(figures)
        is_back = len(before) == 2 and before[0] == figures
        if not is_back and not (before and figures[0] < before[-1][0]):
            return None
        text = f"figures go back and forth: {before[-1][0]} fills, then {figures[0]}, with other results"
        return self._breach(Sort.FIGURES, text, now)

    def _odd_number(self, beat: Heartbeat, now: datetime) -> str | None:
        """What is wrong with the number of a heartbeat. One that comes late, or the same one twice, is as it should be."""
        number, (highest, at) = beat.beat, self._highest_beat or (beat.beat, now)
        if number <= highest - _KEPT or number > highest + _SLACK + (now - at).total_seconds():
            return f"heartbeat {number} comes after {highest}"
        if self._beats.setdefault(number, beat.at_ns) != beat.at_ns:
            return f"heartbeat {number} comes twice, each time otherwise"
        if number >= highest:
            self._highest_beat = number, now
            self._beats = {each: said for each, said in self._beats.items() if each > number - _KEPT}
        return None

    def _settle(self, now: datetime) -> None:
        """Leaves the highest number that has settled first."""
        while len(self._highest) > 1 and now - self._highest[1][0] >= SETTLED:
            self._highest.popleft()

    def _breach(self, sort: Sort, text: str, now: datetime) -> Finding | None:
        times = self._breaches.setdefault(sort, deque(maxlen=_TIMES))
        if times and now - times[-1] < _APART:
            return None
        times.append(now)
        is_told = len(times) == _TIMES and now - times[0] <= _WITHIN
        return Finding(sort, text) if is_told else None
