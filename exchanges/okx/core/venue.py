"""The exchange at one moment: its state, its books, and what is to be sent. The rules that change it stand beside it."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from exchanges.core.book import Book, Level, Resting, Side
from exchanges.core.candles import Print, path_of
from exchanges.core.prices import to_step
from exchanges.okx.core import money
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import Account, Algo, Instrument, Order, Position, State, Trade

DEPTH = 20

type Params = Mapping[str, object]
"""What a request asks for, by the venue's names."""


class Conduct(msgspec.Struct, forbid_unknown_fields=True):
    """How the matching engine misbehaves. `parts` is in how many pieces a match is filled, `fill_after_cancel` how many cancelled orders are filled all the same."""

    hold_fills: bool = False
    parts: int = 1
    fill_after_cancel: int = 0


class News(msgspec.Struct, frozen=True):
    """Something that an account is told: an order with the trade that changed it, a conditional order, or its balance and a position."""

    account: str
    about: Order | Algo | Position | None
    trade: Trade | None = None


class Venue:
    """The exchange. Whoever calls it says first what time it is, with `at`, and takes what is to be sent from `drain`."""

    def __init__(self, state: State, now_ms: int) -> None:
        self.state = state
        self.now_ms = now_ms
        self.conduct = Conduct()
        self.books = {name: Book() for name in state.instruments}
        self.last = {name: to_step(i.level, i.tick) for name, i in state.instruments.items()}
        self.pinned: set[str] = set()
        self.prints: list[Print] = []
        self._codes = {str(i.code): i for i in state.instruments.values()}
        self._news: list[News] = []
        # Kept at hand because every request asks for them, and a long day has many orders that have ended.
        self._open = {order.id: order for order in state.orders.values() if order.is_open}
        self._waiting = {algo.id: algo for algo in state.algos.values() if algo.is_open}
        for order in self._open.values():
            if order.price:
                self.rest(order)
        for name in state.instruments:
            self.follow(name)
            self.last[name] = self.mark(name)

    def at(self, now_ms: int) -> None:
        """Says what time it is by the venue's clock, in Unix milliseconds."""
        self.now_ms = now_ms

    def next_id(self) -> int:
        """An id above all before."""
        self.state.next_id += 1
        return self.state.next_id

    # --- what is there

    def instrument(self, params: Params) -> Instrument:
        """The instrument that a request names, by `instId` or `instIdCode`.

        Raises:
            VenueError: 51001 if there is none of that name.
        """
        found = self._codes.get(str(params["instIdCode"])) if "instIdCode" in params else None
        found = found or self.state.instruments.get(str(params.get("instId", "")))
        if found is None:
            raise VenueError(51001)
        return found

    def open_orders(self, account: Account | None = None, instrument: str | None = None) -> list[Order]:
        """Open orders, of one account and instrument if they are given, oldest first."""
        orders = (o for o in self._open.values() if account is None or o.account == account.name)
        return [order for order in orders if instrument in (None, order.instrument)]

    def open_algos(self, account: Account | None = None, instrument: str | None = None) -> list[Algo]:
        """Conditional orders that wait, of one account and instrument if they are given, oldest first."""
        algos = (a for a in self._waiting.values() if account is None or a.account == account.name)
        return [algo for algo in algos if instrument in (None, algo.instrument)]

    def position(self, account: Account, instrument: str) -> Position:
        """The position of an account, flat if there never was one."""
        if instrument not in account.positions:
            account.positions[instrument] = Position(id=self.next_id(), instrument=instrument)
        return account.positions[instrument]

    def mark(self, name: str) -> Decimal:
        """The mark price: the middle of the book, the last price if a side is empty."""
        bid, ask = self.books[name].best(Side.BUY), self.books[name].best(Side.SELL)
        if bid is None or ask is None:
            return self.last[name]
        return to_step((bid[0] + ask[0]) / 2, self.state.instruments[name].tick)

    def marks(self) -> dict[str, Decimal]:
        """The mark price of every instrument."""
        return {name: self.mark(name) for name in self.state.instruments}

    def free_margin(self, account: Account) -> Decimal:
        """What may be used to open more: equity less the margin of positions and open orders."""
        instruments, marks = self.state.instruments, self.marks()
        used = money.position_margin(account, instruments, marks)
        used += money.order_margin(account, instruments, self.open_orders(account))
        return money.equity(account, instruments, marks) - used

    # --- the market

    def follow(self, name: str) -> None:
        """Puts the market's liquidity where the instrument's price path is now."""
        instrument = self.state.instruments[name]
        path = path_of(instrument, self.state.seed)
        self.books[name].quote(
            *path.levels(self.now_ms, instrument.tick, instrument.size, instrument.step, DEPTH)
        )

    def pin(self, name: str, bid: Decimal, ask: Decimal, size: Decimal) -> None:
        """Puts the market's liquidity about a touch, `size` at each level, and keeps it there.

        Raises:
            ValueError: if the bid is not below the ask.
        """
        tick = self.state.instruments[name].tick
        bids: list[Level] = [(to_step(bid, tick) - tick * n, size) for n in range(DEPTH)]
        asks: list[Level] = [(to_step(ask, tick) + tick * n, size) for n in range(DEPTH)]
        self.books[name].quote([level for level in bids if level[0] > 0], asks)
        self.pinned.add(name)

    def rest(self, order: Order) -> None:
        """Lets an order wait in its book."""
        waiting = Resting(id=order.id, side=order.side, price=order.price, left=order.left, turn=order.turn)
        self.books[order.instrument].rest(waiting)

    # --- what is said

    def tell_order(self, order: Order, trade: Trade | None = None) -> None:
        """Reports what happened to an order. Every change of one is reported here."""
        order.updated_ms = self.now_ms
        if order.is_open:
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)
        self._news.append(News(order.account, msgspec.structs.replace(order), trade))

    def tell_algo(self, algo: Algo) -> None:
        """Reports what happened to a conditional order. Every change of one is reported here."""
        algo.updated_ms = self.now_ms
        if algo.is_open:
            self._waiting[algo.id] = algo
        else:
            self._waiting.pop(algo.id, None)
        self._news.append(News(algo.account, msgspec.structs.replace(algo)))

    def tell_account(self, account: Account, position: Position | None = None) -> None:
        """Reports an account's balance, and a position of it."""
        self._news.append(News(account.name, None))
        if position is not None:
            self._news.append(News(account.name, position))

    @property
    def said(self) -> int:
        """How much there is to be sent."""
        return len(self._news)

    def unsay(self, since: int) -> None:
        """Forgets what was to be sent after the first `since`."""
        del self._news[since:]

    def print(self, instrument: str, price: Decimal, qty: Decimal, taker: Side) -> None:
        """Reports a trade to the market."""
        self.last[instrument] = price
        self.prints.append(Print(self.next_id(), instrument, price, qty, taker, self.now_ms))

    def drain(self) -> list[News]:
        """What is to be sent to accounts since the last call, in order."""
        news, self._news = self._news, []
        return news

    def drain_prints(self) -> list[Print]:
        """The market's trades since the last call, in order."""
        prints, self.prints = self.prints, []
        return prints
