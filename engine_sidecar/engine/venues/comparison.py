"""What an engine and a venue say of orders and positions, side by side, and which differences last. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from decimal import Decimal
from typing import Final, Literal

import msgspec

MOST_SHOWN: Final = 10
_NONE: Final = Decimal()

type Key = tuple[str, str, str, str]


class Side(msgspec.Struct, frozen=True):
    """What one side says of an account: net positions by instrument, and the quantity filled of each open order by instrument and id.

    The id is the engine's own where it has the order, else the venue's.
    """

    positions: Mapping[str, Decimal]
    orders: Mapping[tuple[str, str], Decimal]

    def of_orders(self, instruments: Collection[str]) -> "Side":
        """The same with the orders of these instruments only."""
        kept = {key: filled for key, filled in self.orders.items() if key[0] in instruments}
        return Side(self.positions, kept)

    def differs_in(self, other: "Side") -> set[str]:
        """The instruments of which the two do not say the same."""
        positions = {
            name
            for name in self.positions.keys() | other.positions.keys()
            if self.positions.get(name, _NONE) != other.positions.get(name, _NONE)
        }
        orders = {
            key[0]
            for key in self.orders.keys() | other.orders.keys()
            if self.orders.get(key) != other.orders.get(key)
        }
        return positions | orders


class Difference(msgspec.Struct, frozen=True, order=True):
    """One thing of which the two sides do not say the same. `engine` and `venue` are quantities, null where a side has no such order.

    `change`: the position was changed by what no order of the engine did; `engine` is what it would be without that.
    """

    client: str
    what: Literal["position", "order", "change"]
    instrument: str
    order: str = ""
    engine: Decimal | None = None
    venue: Decimal | None = None

    @property
    def key(self) -> Key:
        """What it is about, whatever the quantities are."""
        return self.client, self.what, self.instrument, self.order

    def is_like(self, other: "Difference") -> bool:
        """True for a difference by the same quantity: both sides may have moved together since."""
        sides = (self.engine is None, self.venue is None)
        return (
            self.key == other.key
            and sides == (other.engine is None, other.venue is None)
            and (any(sides) or self.gap == other.gap)
        )

    @property
    def gap(self) -> Decimal:
        """How much more the venue has; what a side does not have is nothing."""
        return (self.venue or _NONE) - (self.engine or _NONE)

    def __str__(self) -> str:
        match self.what:
            case "position":
                return f"{self.client}: position of {self.instrument} is {self.venue} at the venue, {self.engine} in the engine"
            case "change":
                return (
                    f"{self.client}: position of {self.instrument} is {self.venue}, and by the engine's own orders it would be"
                    f" {self.engine}"
                )
            case "order":
                return f"{self.client}: order {self.order} of {self.instrument} {self._of_order()}"

    def _of_order(self) -> str:
        if self.engine is None:
            return f"is open at the venue (filled {self.venue}), and the engine has no such open order"
        if self.venue is None:
            return f"is open in the engine (filled {self.engine}), and the venue has no such open order"
        return f"is filled {self.venue} at the venue, {self.engine} in the engine"


def differences(client: str, engine: Side, venue: Side) -> tuple[Difference, ...]:
    """All of which engine and venue do not say the same, in order. A position of zero is none."""
    return tuple(
        sorted([*_positions(client, engine, venue), *_orders(client, engine, venue)], key=lambda one: one.key)
    )


def _positions(client: str, engine: Side, venue: Side) -> Iterator[Difference]:
    for name in engine.positions.keys() | venue.positions.keys():
        here, there = engine.positions.get(name, _NONE), venue.positions.get(name, _NONE)
        if here != there:
            yield Difference(client, "position", name, engine=here, venue=there)


def _orders(client: str, engine: Side, venue: Side) -> Iterator[Difference]:
    for instrument, order in engine.orders.keys() | venue.orders.keys():
        here, there = engine.orders.get((instrument, order)), venue.orders.get((instrument, order))
        if here != there:
            yield Difference(client, "order", instrument, order, here, there)


class Seen(msgspec.Struct, frozen=True):
    """What was seen so far: `told` to people, and `suspected`, seen once."""

    told: tuple[Difference, ...] = ()
    suspected: frozenset[Key] = frozenset()

    def after(self, found: Iterable[Difference], unsure: Set[str]) -> "Seen":
        """After one more look. A difference is told once two looks in a row see it, by whatever quantity; a change at once.

        `unsure` are the instruments, and the clients, of which this look can say nothing: what is known of them stays as it was.
        """
        seen = {each.key: each for each in found}
        known = {each.key: each for each in self.told}
        told = {
            key: each
            for key, each in seen.items()
            if each.what == "change" or key in known or key in self.suspected
        }
        kept = {key: each for key, each in known.items() if key not in told and not unsure.isdisjoint(key)}
        suspected = frozenset(seen) | {key for key in self.suspected if not unsure.isdisjoint(key)}
        return Seen(tuple(sorted((told | kept).values(), key=lambda one: one.key)), suspected)


def in_words(found: Collection[Difference]) -> str:
    """Positions before orders, as many as a person reads, and how many more there are."""
    first = sorted(found, key=lambda each: each.what == "order")
    shown = [str(each) for each in first[:MOST_SHOWN]]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def without(found: Iterable[Difference], accepted: Collection[Difference]) -> tuple[Difference, ...]:
    """What is found and was not accepted as it is."""
    return tuple(each for each in found if not any(each.is_like(one) for one in accepted))
