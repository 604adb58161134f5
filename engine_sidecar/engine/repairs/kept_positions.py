"""Positions of a kept state, which take the longer to read the more they were filled: by the square.

NautilusTrader compares each fill that it reads with all that it read before, to find one that was written twice. A position that never
became flat has all its fills since it was opened: 4,000 of them take 8 times as long as 1,000, and after ten minutes of `make soak` a
start took 40 s. No public report of it was found.
"""

from collections.abc import Sequence
from typing import Any

from nautilus_trader.model.position import Position


def position_of(instrument: Any, fills: Sequence[Any]) -> Any:
    """The position that these fills make, at least one, in the order in which they were kept. Raises RuntimeError for one that is there twice."""
    position = Position(instrument, fills[0])
    seen = {fills[0].id}
    for fill in fills[1:]:
        if fill.id in seen:
            raise RuntimeError(f"Corrupt cache with duplicate event for position {fill}")
        if position.is_closed:  # it begins anew, and forgets what it had
            seen.clear()
        seen.add(fill.id)
        position.apply(fill)
    return position
