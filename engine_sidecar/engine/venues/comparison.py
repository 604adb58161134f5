"""What an engine and a venue say of orders and positions, side by side. Pure."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal

import msgspec

MOST_SHOWN: Final = 10
_NONE: Final = Decimal()


class Side(msgspec.Struct, frozen=True):
    """What one side says of an account: net positions by instrument, and the quantity filled of each open order by the venue's id."""

    positions: Mapping[str, Decimal]
    orders: Mapping[str, Decimal]


class Difference(msgspec.Struct, frozen=True, order=True):
    """One thing of which the two sides do not say the same. `engine` and `venue` are quantities, null where a side has no such order.

    `change`: the venue's position is not what the engine's was, with what the engine's own orders were filled since; `engine` is what
    was to be expected.
    """

    client: str
    what: Literal["position", "order", "change"]
    name: str
    engine: Decimal | None
    venue: Decimal | None

    def __str__(self) -> str:
        match self.what:
            case "position":
                return f"{self.client}: position of {self.name} is {self.venue} at the venue, {self.engine} in the engine"
            case "change":
                return (
                    f"{self.client}: position of {self.name} is {self.venue}, and by the engine's own orders it would be"
                    f" {self.engine}"
                )
            case "order":
                return f"{self.client}: order {self.name} {self._of_order()}"

    def _of_order(self) -> str:
        if self.engine is None:
            return f"is open at the venue (filled {self.venue}), and the engine has no such open order"
        if self.venue is None:
            return f"is open in the engine (filled {self.engine}), and the venue has no such open order"
        return f"is filled {self.venue} at the venue, {self.engine} in the engine"


def differences(client: str, engine: Side, venue: Side) -> tuple[Difference, ...]:
    """All of which engine and venue do not say the same, in order. A position of zero is none."""
    found = [*_positions(client, engine, venue), *_orders(client, engine, venue)]
    return tuple(sorted(found, key=lambda each: (each.what, each.name)))


def _positions(client: str, engine: Side, venue: Side) -> Iterator[Difference]:
    for name in engine.positions.keys() | venue.positions.keys():
        here, there = engine.positions.get(name, _NONE), venue.positions.get(name, _NONE)
        if here != there:
            yield Difference(client, "position", name, here, there)


def _orders(client: str, engine: Side, venue: Side) -> Iterator[Difference]:
    for name in engine.orders.keys() | venue.orders.keys():
        here, there = engine.orders.get(name), venue.orders.get(name)
        if here != there:
            yield Difference(client, "order", name, here, there)


def unexplained(
    client: str, before: Mapping[str, Decimal], filled: Mapping[str, Decimal], after: Mapping[str, Decimal]
) -> tuple[Difference, ...]:
    """The positions that are not what they were `before` with what the engine's own orders were `filled` (signed) since."""
    expected = {
        name: before.get(name, _NONE) + filled.get(name, _NONE) for name in before.keys() | filled.keys()
    }
    return tuple(
        Difference(client, "change", name, expected.get(name, _NONE), after.get(name, _NONE))
        for name in sorted(expected.keys() | after.keys())
        if expected.get(name, _NONE) != after.get(name, _NONE)
    )


def in_words(found: Collection[Difference]) -> str:
    """The first of them, and how many more there are."""
    shown = [str(each) for each in list(found)[:MOST_SHOWN]]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def without(found: Collection[Difference], accepted: Collection[Difference]) -> tuple[Difference, ...]:
    """What is found and was not accepted as it is."""
    return tuple(each for each in found if each not in accepted)
