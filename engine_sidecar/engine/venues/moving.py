"""What moves while a venue is asked, and which differences that cannot explain. Pure.

A strategy that sends one order after the other has one on its way at each look. So much of a difference as such orders may have been
filled is no difference yet; what is more, or is of another order, is one, if several looks in a row see it.
"""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from flotilla.engine_sidecar.engine.venues.comparison import Difference, Key, Side

LOOKS: Final = 3
"""In so many looks in a row a difference has to be that nothing on its way explains: the engine may have moved to and fro during one."""
_NONE: Final = Decimal()

type Orders = Mapping[tuple[str, str], Decimal]
"""What orders on their way may still be filled, signed, by instrument and id."""


class Moving(msgspec.Struct, frozen=True):
    """What the engine believed before and after the venue was asked, and the orders on their way then."""

    before: Side
    after: Side
    orders: Orders

    @property
    def instruments(self) -> set[str]:
        """Those of which anything moves."""
        return self.before.differs_in(self.after) | {instrument for instrument, _ in self.orders}

    def explains(self, found: Difference, accepted: Collection[Difference]) -> bool:
        """True where the difference, beyond what a person accepted, may be gone once all has come that is on its way."""
        if found.what == "order":
            key = found.instrument, found.order
            return key in self.orders or self.before.orders.get(key) != self.after.orders.get(key)
        low, high = self._reach(found.instrument)
        gaps = [one.gap for one in accepted if one.key == found.key]
        return any(low <= found.gap - gap <= high for gap in (_NONE, *gaps))

    def _reach(self, name: str) -> tuple[Decimal, Decimal]:
        moved = self.before.positions.get(name, _NONE) - self.after.positions.get(name, _NONE)
        left = [quantity for (instrument, _), quantity in self.orders.items() if instrument == name]
        low = sum((each for each in left if each < 0), min(moved, _NONE))
        return low, sum((each for each in left if each > 0), max(moved, _NONE))


class Lasting:
    """Counts the looks in a row in which nothing explains a difference."""

    def __init__(self) -> None:
        self._looks: dict[Key, int] = {}

    @property
    def is_any(self) -> bool:
        """True where the next look may tell more."""
        return any(count < LOOKS for count in self._looks.values())

    def after(self, unexplained: Iterable[Difference]) -> list[Difference]:
        """Those of one more look that have lasted."""
        found = list(unexplained)
        self._looks = {each.key: self._looks.get(each.key, 0) + 1 for each in found}
        return [each for each in found if self._looks[each.key] >= LOOKS]
