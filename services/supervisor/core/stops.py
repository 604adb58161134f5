"""A stop under way, as it is written down: what its next supervisor must know of it. Pure.

Times are seconds of the monotonic clock, which all processes of one boot of a host share.
"""

import msgspec

from flotilla.schemas.ids import SessionId


class StopUnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was told to end, and is killed at `until`. `pulse` is its sidecar's as it was at `seen_at`, None until looked at."""

    session_id: SessionId
    until: float
    pulse: str | None = None
    seen_at: float = 0.0


def stopped_by(known: StopUnderWay | None, session_id: str, until: float) -> StopUnderWay:
    """The stop once it is ordered for `until`: of two ends of patience the earlier one holds. The same if it changes nothing."""
    if known is None:
        return StopUnderWay(session_id=session_id, until=until)
    return known if known.until <= until else msgspec.structs.replace(known, until=until)


def with_pulse(stop: StopUnderWay, pulse: str, now: float) -> StopUnderWay:
    """The stop with what was seen of its sidecar now."""
    return msgspec.structs.replace(stop, pulse=pulse, seen_at=now)
