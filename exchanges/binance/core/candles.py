"""The intervals of bars."""

from exchanges.binance.core.errors import VenueError
from exchanges.core.candles import MINUTE_MS

INTERVALS_MS = {
    f"{count}{unit}": count * MINUTE_MS * minutes
    for unit, minutes, counts in (
        ("m", 1, (1, 3, 5, 15, 30)),
        ("h", 60, (1, 2, 4, 6, 8, 12)),
        ("d", 1440, (1, 3)),
        ("w", 10080, (1,)),
    )
    for count in counts
}


def length(interval: str) -> int:
    """The length of a bar in milliseconds.

    Raises:
        VenueError: -1120 if there are no such bars.
    """
    if interval not in INTERVALS_MS:
        raise VenueError(-1120)
    return INTERVALS_MS[interval]
