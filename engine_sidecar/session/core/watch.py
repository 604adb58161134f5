"""Tells a frozen engine from a busy one, by how long its loop has been silent."""

from enum import StrEnum, auto
from typing import Final

import msgspec

PAUSE_S: Final = 1.0
"""A longer gap between two checks means that we were suspended ourselves, and the engine most likely with us."""
MIN_FROZEN_S: Final = 1.0
"""Ticks come every 0.25 s, so less silence than this says nothing."""


class Pulse(msgspec.Struct, frozen=True):
    """`alive_at`: when the engine's loop was last known to turn; times in seconds of one monotonic clock."""

    alive_at: float
    checked_at: float
    is_frozen: bool = False

    def silent_s(self, now: float) -> float:
        """How long the loop has been silent."""
        return max(0.0, now - self.alive_at)


class Finding(StrEnum):
    """What a check found."""

    SAME = auto()
    FROZEN = auto()
    RECOVERED = auto()
    KILL = auto()


def started(now: float) -> Pulse:
    """The pulse of an engine that has just shown life."""
    return Pulse(alive_at=now, checked_at=now)


def ticked(pulse: Pulse, loop_age_s: float, now: float) -> Pulse:
    """The pulse after a tick; a tick of a stuck loop carries its age and so proves nothing new, and none is of the future."""
    return msgspec.structs.replace(pulse, alive_at=max(pulse.alive_at, now - max(0.0, loop_age_s)))


def check(pulse: Pulse, now: float, *, frozen_after_s: float, kill_after_s: float) -> tuple[Pulse, Finding]:
    """Looks at the pulse several times a second. KILL is said at every check until somebody acts on it."""
    gap = now - pulse.checked_at
    forgiven = gap if gap > PAUSE_S else 0.0
    alive_at = pulse.alive_at + forgiven
    silent = now - alive_at
    is_frozen = silent > max(frozen_after_s, MIN_FROZEN_S)
    finding = Finding.SAME
    if is_frozen and silent > kill_after_s:
        finding = Finding.KILL
    if is_frozen != pulse.is_frozen:
        finding = Finding.FROZEN if is_frozen else Finding.RECOVERED
    return Pulse(alive_at, now, is_frozen), finding
