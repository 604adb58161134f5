"""The book of one symbol: orders of accounts and the market's own liquidity, matched by price, then time."""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum

import msgspec

NOTHING = Decimal(0)

type Level = tuple[Decimal, Decimal]
"""A price and the quantity that stands there."""


class Side(StrEnum):
    """The side of an order."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def other(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    def reaches(self, limit: Decimal, price: Decimal) -> bool:
        """Whether an order of this side with `limit` may trade at `price`."""
        return limit >= price if self is Side.BUY else limit <= price


class Resting(msgspec.Struct):
    """An order of an account that waits. `turn` is its place among orders of one price: the lower is served first."""

    id: int
    side: Side
    price: Decimal
    left: Decimal
    turn: int


class Match(msgspec.Struct, frozen=True):
    """A trade that the book makes. `maker` is the id of the order that rested, None for the market's liquidity."""

    price: Decimal
    qty: Decimal
    maker: int | None = None


class Book:
    """What can be traded with, best price first. At one price the market's liquidity was there before the accounts' orders."""

    def __init__(self) -> None:
        self._market: dict[Side, list[Level]] = {Side.BUY: [], Side.SELL: []}
        self._resting: dict[int, Resting] = {}

    def quote(self, bids: list[Level], asks: list[Level]) -> None:
        """Replaces the market's liquidity. `crossed` then says which resting orders it reaches.

        Raises:
            ValueError: if the best bid is not below the best ask.
        """
        if bids and asks and bids[0][0] >= asks[0][0]:
            raise ValueError(f"the bid of {bids[0][0]} is not below the ask of {asks[0][0]}")
        self._market = {Side.BUY: list(bids), Side.SELL: list(asks)}

    def rest(self, order: Resting) -> None:
        """Lets `order` wait. What it could take at once must have been taken before."""
        self._resting[order.id] = order

    def remove(self, order_id: int) -> None:
        """Takes an order out; nothing happens if it is not there."""
        self._resting.pop(order_id, None)

    def waiting(self, side: Side) -> list[Resting]:
        """The accounts' orders of `side` in the order in which they are served."""
        orders = [order for order in self._resting.values() if order.side is side]
        return sorted(orders, key=lambda order: (-order.side.sign * order.price, order.turn))

    def depth(self, side: Side) -> list[Level]:
        """All that stands on `side`, one level per price, best first."""
        levels: dict[Decimal, Decimal] = {}
        for price, qty in self._market[side]:
            levels[price] = levels.get(price, NOTHING) + qty
        for order in self._resting.values():
            if order.side is side:
                levels[order.price] = levels.get(order.price, NOTHING) + order.left
        return sorted(((p, q) for p, q in levels.items() if q > 0), key=lambda level: -side.sign * level[0])

    def best(self, side: Side) -> Level | None:
        """The best price of `side` and the quantity there; None if the side is empty."""
        levels = self.depth(side)
        return levels[0] if levels else None

    def available(self, side: Side, limit: Decimal | None) -> Decimal:
        """How much an order of `side` finds at `limit` or better; None is any price."""
        levels = self.depth(side.other)
        return sum((q for p, q in levels if limit is None or side.reaches(limit, p)), NOTHING)

    def take(self, side: Side, qty: Decimal, limit: Decimal | None) -> list[Match]:
        """Trades up to `qty` for an order of `side` with what stands against it, at `limit` or better."""
        matches = []
        for match in self._against(side, limit):
            taken = min(qty, match.qty)
            if taken <= 0:
                break
            qty -= taken
            matches.append(Match(match.price, taken, match.maker))
        for match in matches:
            self._consume(side.other, match)
        return matches

    def crossed(self) -> list[Match]:
        """The trades of resting orders that the market's liquidity reaches, at the orders' own prices, in their turn."""
        matches = []
        for side in Side:
            for order in self.waiting(side):
                while order.left > 0 and self._market[side.other]:
                    price, qty = self._market[side.other][0]
                    if not side.reaches(order.price, price):
                        break
                    match = Match(order.price, min(order.left, qty), order.id)
                    self._reduce(side.other, price, match.qty)
                    self._consume(side, match)
                    matches.append(match)
        return matches

    def _against(self, side: Side, limit: Decimal | None) -> Iterator[Match]:
        """What an order of `side` meets, best first."""
        market = [(price, -1, Match(price, qty)) for price, qty in self._market[side.other]]
        orders = [(o.price, o.turn, Match(o.price, o.left, o.id)) for o in self.waiting(side.other)]
        found = sorted(market + orders, key=lambda offer: (side.sign * offer[0], offer[1]))
        return (match for price, _, match in found if limit is None or side.reaches(limit, price))

    def _consume(self, side: Side, match: Match) -> None:
        if match.maker is None:
            self._reduce(side, match.price, match.qty)
            return
        order = self._resting[match.maker]
        order.left -= match.qty
        if order.left <= 0:
            self.remove(order.id)

    def _reduce(self, side: Side, price: Decimal, qty: Decimal) -> None:
        levels = [(p, q - qty if p == price else q) for p, q in self._market[side]]
        self._market[side] = [(p, q) for p, q in levels if q > 0]
