"""The gateway at one moment: its state, its books, and what is to be sent. The rules that change it stand beside it."""

from decimal import Decimal

import msgspec

from exchanges.core.book import Book, Resting, Side
from exchanges.core.prices import PricePath, to_step
from exchanges.interactive_brokers.core import messages
from exchanges.interactive_brokers.core.money import Funds, funds
from exchanges.interactive_brokers.core.state import Account, Contract, Fill, Order, State
from exchanges.interactive_brokers.core.wire import Message

DEPTH = 20


class Conduct(msgspec.Struct, forbid_unknown_fields=True):
    """How the matching engine misbehaves. `parts` is in how many pieces a match is filled, `fill_after_cancel` how many cancelled orders are filled all the same."""

    hold_fills: bool = False
    parts: int = 1
    fill_after_cancel: int = 0


class Print(msgspec.Struct, frozen=True):
    """A trade as the market sees it."""

    con_id: int
    price: Decimal
    qty: Decimal
    time_ms: int


class Out(msgspec.Struct, frozen=True):
    """What is to be sent: to one client, or, of `client` None, to all that follow positions."""

    client: int | None
    message: Message


class Touch(msgspec.Struct, frozen=True):
    """The best prices of a contract, and how much is there."""

    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal


def path_of(contract: Contract, seed: int) -> PricePath:
    """The price path of a contract: each has one of its own."""
    return PricePath(seed=seed + contract.con_id, level=contract.level)


class Venue:
    """The gateway. Whoever calls it says first what time it is, with `at`, and takes what is to be sent from `drain`."""

    def __init__(self, state: State, now_ms: int) -> None:
        self.state = state
        self.now_ms = now_ms
        self.conduct = Conduct()
        self.books = {con_id: Book() for con_id in state.contracts}
        self.last: dict[int, Decimal] = {}
        self.pinned: set[int] = set()
        self.prints: list[Print] = []
        self._out: list[Out] = []
        # Kept at hand because every move asks for them, and a long day has many orders that have ended.
        self._open = {order.perm_id: order for order in state.orders.values() if order.is_open}
        for con_id, contract in state.contracts.items():
            self.follow(contract)
            self.last[con_id] = self.touch(con_id).bid
        for order in self._open.values():
            self.rest(order)

    def at(self, now_ms: int) -> None:
        """Says what time it is, in Unix milliseconds."""
        self.now_ms = now_ms

    def next_number(self) -> int:
        """A number above all before."""
        self.state.next_number += 1
        return self.state.next_number

    # --- what is there

    def open_orders(self, con_id: int | None = None) -> list[Order]:
        """Open orders, of one contract if it is given, oldest first."""
        return [order for order in self._open.values() if con_id in (None, order.con_id)]

    def order(self, client: int, order_id: int) -> Order | None:
        """The newest order that a client has given an id. One that is yet to be used is not looked for: a new order costs the same after a long day."""
        if order_id >= self.state.next_order.get(client, 1):
            return None
        orders = reversed(self.state.orders.values())
        return next((o for o in orders if (o.client, o.id) == (client, order_id)), None)

    def touch(self, con_id: int) -> Touch:
        """The best prices; the last ones with no size where a side is empty."""
        bid, ask = (self.books[con_id].best(side) for side in (Side.BUY, Side.SELL))
        last = self.last.get(con_id, self.state.contracts[con_id].level)
        bid, ask = bid or (last, Decimal(0)), ask or (last, Decimal(0))
        return Touch(bid[0], bid[1], ask[0], ask[1])

    def prices(self) -> dict[int, Decimal]:
        """The middle price of every contract."""
        found = {}
        for con_id in self.state.contracts:
            touch = self.touch(con_id)
            found[con_id] = (touch.bid + touch.ask) / 2
        return found

    def funds(self, account: Account) -> Funds:
        """What an account is worth now."""
        return funds(account, self.state.contracts, self.prices())

    # --- the market

    def follow(self, contract: Contract) -> None:
        """Puts the market's liquidity where the contract's price path is now."""
        path = path_of(contract, self.state.seed)
        self.books[contract.con_id].quote(
            *path.levels(self.now_ms, contract.tick, contract.size, contract.step, DEPTH)
        )

    def pin(self, contract: Contract, bid: Decimal, ask: Decimal, size: Decimal) -> None:
        """Puts the market's liquidity about a touch, `size` at each level, and keeps it there.

        Raises:
            ValueError: if these are no prices of a market.
        """
        for name, price in (("bid", bid), ("ask", ask)):
            if price <= 0 or to_step(price, contract.tick) != price:
                raise ValueError(f"{name}: {price} is not a positive multiple of {contract.tick}")
        if size <= 0 or to_step(size, contract.step) != size:
            raise ValueError(f"size: {size} is not a positive multiple of {contract.step}")
        bids = [(bid - contract.tick * n, size) for n in range(DEPTH)]
        asks = [(ask + contract.tick * n, size) for n in range(DEPTH)]
        self.books[contract.con_id].quote([level for level in bids if level[0] > 0], asks)
        self.pinned.add(contract.con_id)

    def print(self, con_id: int, price: Decimal, qty: Decimal) -> None:
        """Lets the market see a trade."""
        self.last[con_id] = price
        self.prints.append(Print(con_id, price, qty, self.now_ms))

    # --- orders

    def add(self, order: Order) -> None:
        """Keeps a new order."""
        self.state.orders[order.perm_id] = order
        if order.is_open:
            self._open[order.perm_id] = order

    def rest(self, order: Order) -> None:
        """Lets an order wait in its book, if it is one that may: a limit order, at work."""
        if order.limit is not None and is_working(order):
            self.books[order.con_id].rest(
                Resting(order.perm_id, order.side, order.limit, order.left, order.turn)
            )

    def ended(self, order: Order) -> None:
        """Takes an order that has ended out of what is open."""
        self.books[order.con_id].remove(order.perm_id)
        self._open.pop(order.perm_id, None)

    # --- what is to be sent

    def tell_order(self, order: Order) -> None:
        """Tells an order and its status."""
        self._out.append(Out(order.client, messages.open_order(order, self.state.contracts[order.con_id])))
        self.tell_status(order)

    def tell_status(self, order: Order) -> None:
        """Tells where an order stands."""
        self._out.append(Out(order.client, messages.order_status(order)))

    def tell_error(self, order: Order, code: int, text: str) -> None:
        """Tells the client of an order a code about it."""
        self._out.append(Out(order.client, messages.error(order.id, code, text)))

    def tell_fill(self, fill: Fill, order: Order) -> None:
        """Tells a fill, where its order stands, what it cost, and the position."""
        contract = self.state.contracts[fill.con_id]
        self._out.append(Out(fill.client, messages.execution(fill, contract)))
        self.tell_status(order)
        self._out.append(Out(fill.client, messages.commission(fill, contract)))
        self.tell_position(self.state.accounts[fill.account], contract)

    def tell_position(self, account: Account, contract: Contract) -> None:
        """Tells a position to all that follow positions."""
        held = account.position(contract.con_id)
        self._out.append(Out(None, messages.position(account, contract, held)))

    def drain(self) -> list[Out]:
        """What is to be sent since the last call, in order."""
        out, self._out = self._out, []
        return out


def is_working(order: Order) -> bool:
    """Whether an order may trade now: not one that waits for its price or its parent."""
    return order.status == "Submitted" and (order.triggered or order.type in ("MKT", "LMT"))
