"""How much must go so that the record stays within its budget."""

from typing import Final

FULL: Final = 0.8
"""Of the budget: the rest is for rows that are deleted and not yet written over, and for what comes until the next look."""


def live_bytes(total: int, events_bytes: int, events: int, event_bytes: float) -> float:
    """What the database would take without the room of events that were deleted, which new ones fill again."""
    return total - events_bytes + min(events_bytes, events * event_bytes)


def too_many(live: float, budget: int, event_bytes: float) -> int:
    """How many events must go."""
    excess = live - FULL * budget
    return max(0, int(excess / event_bytes) + 1) if excess > 0 and event_bytes else 0
