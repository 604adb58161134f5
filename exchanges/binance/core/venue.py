"""The exchange at one moment: its state, its books, and what is to be sent. The rules that change it stand beside it."""

from decimal import Decimal

import msgspec

from exchanges.binance.core import events
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.events import Message
from exchanges.binance.core.params import Params
from exchanges.binance.core.state import Account, Algo, Order, State, Symbol, Trade
from exchanges.core.book import Book, Level, Resting, Side
from exchanges.core.candles import Print, path_of
from exchanges.core.prices import to_step

DEPTH = 20


class Conduct(msgspec.Struct, forbid_unknown_fields=True):
    """How the matching engine misbehaves. `parts` is in how many pieces a match is filled, `fill_after_cancel` how many cancelled orders are filled all the same."""

    hold_fills: bool = False
    parts: int = 1
    fill_after_cancel: int = 0


class Venue:
    """The exchange. Whoever calls it says first what time it is, with `at`, and takes what is to be sent from `drain`."""

    def __init__(self, state: State, now_ms: int) -> None:
        self.state = state
        self.now_ms = now_ms
        self.conduct = Conduct()
        self.books = {name: Book() for name in state.symbols}
        self.last = {name: to_step(symbol.level, symbol.tick) for name, symbol in state.symbols.items()}
        self.pinned: set[str] = set()
        self.called: set[str] = set()  # accounts that have had their margin call
        self.prints: list[Print] = []
        self._private: list[tuple[str, Message]] = []
        # Kept at hand because every request asks for them, and a long day has many orders that have ended.
        self._open = {order.id: order for order in state.orders.values() if order.is_open}
        self._alive = {algo.id: algo for algo in state.algos.values() if algo.is_alive}
        for order in self._open.values():
            if order.price:
                self.rest(order)
        for name in state.symbols:
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

    def symbol(self, params: Params) -> Symbol:
        """The symbol that a request names.

        Raises:
            VenueError: -1121 if there is none of that name.
        """
        if symbol := self.state.symbols.get(params.get("symbol", "")):
            return symbol
        raise VenueError(-1121)

    def open_orders(self, account: Account | None = None, symbol: str | None = None) -> list[Order]:
        """Open orders, of one account and symbol if they are given, oldest first."""
        orders = (o for o in self._open.values() if account is None or o.account == account.name)
        return [order for order in orders if symbol in (None, order.symbol)]

    def alive_algos(self) -> list[Algo]:
        """Conditional orders that wait or whose order is not known to have ended, oldest first."""
        return list(self._alive.values())

    def open_algos(self, account: Account, symbol: str | None = None) -> list[Algo]:
        """The conditional orders of an account that wait, oldest first."""
        algos = (a for a in self._alive.values() if a.is_open and a.account == account.name)
        return [algo for algo in algos if symbol in (None, algo.symbol)]

    def mark(self, name: str) -> Decimal:
        """The mark price: the middle of the book, the last price if a side is empty."""
        bid, ask = self.books[name].best(Side.BUY), self.books[name].best(Side.SELL)
        if bid is None or ask is None:
            return self.last[name]
        return to_step((bid[0] + ask[0]) / 2, self.state.symbols[name].tick)

    def marks(self) -> dict[str, Decimal]:
        """The mark price of every symbol."""
        return {name: self.mark(name) for name in self.state.symbols}

    # --- the market

    def follow(self, name: str) -> None:
        """Puts the market's liquidity where the symbol's price path is now."""
        symbol = self.state.symbols[name]
        path = path_of(symbol, self.state.seed)
        self.books[name].quote(*path.levels(self.now_ms, symbol.tick, symbol.size, symbol.step, DEPTH))

    def pin(self, name: str, bid: Decimal, ask: Decimal, size: Decimal) -> None:
        """Puts the market's liquidity about a touch, `size` at each level, and keeps it there.

        Raises:
            ValueError: if the bid is not below the ask.
        """
        symbol = self.state.symbols[name]
        bids: list[Level] = [(to_step(bid, symbol.tick) - symbol.tick * n, size) for n in range(DEPTH)]
        asks: list[Level] = [(to_step(ask, symbol.tick) + symbol.tick * n, size) for n in range(DEPTH)]
        self.books[name].quote([level for level in bids if level[0] > 0], asks)
        self.pinned.add(name)

    def rest(self, order: Order) -> None:
        """Lets an order wait in its book."""
        waiting = Resting(id=order.id, side=order.side, price=order.price, left=order.left, turn=order.turn)
        self.books[order.symbol].rest(waiting)

    # --- what is said

    def tell_order(self, order: Order, execution: str, trade: Trade | None = None) -> None:
        """Reports what happened to an order. Every change of one is reported here."""
        order.updated_ms = self.now_ms
        if order.is_open:
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)
        message = events.order_update(order, self.state.symbols[order.symbol], execution, self.now_ms, trade)
        self.tell(order.account, message)

    def tell_algo(self, algo: Algo, order: Order | None = None) -> None:
        """Reports what happened to a conditional order, with the order that it became. Every change of one is reported here."""
        algo.updated_ms = self.now_ms
        if algo.is_alive:
            self._alive[algo.id] = algo
        else:
            self._alive.pop(algo.id, None)
        self.tell(algo.account, events.algo_update(algo, self.state.symbols[algo.symbol], self.now_ms, order))

    def tell_account(
        self, account: Account, reason: str, symbol: str | None = None, change: Decimal = Decimal(0)
    ) -> None:
        """Reports an account's balance, and its positions in `symbol`."""
        positions = [p for p in account.positions.values() if p.symbol == symbol]
        self.tell(
            account.name,
            events.account_update(account, reason, positions, self.marks(), self.now_ms, change=change),
        )

    def tell(self, account: str, message: Message) -> None:
        """Reports `message` to an account."""
        self._private.append((account, message))

    @property
    def said(self) -> int:
        """How many messages wait to be sent."""
        return len(self._private)

    def unsay(self, since: int) -> None:
        """Forgets the messages after the first `since`."""
        del self._private[since:]

    def print(self, symbol: str, price: Decimal, qty: Decimal, taker: Side) -> None:
        """Reports a trade to the market."""
        self.last[symbol] = price
        self.prints.append(Print(self.next_id(), symbol, price, qty, taker, self.now_ms))

    def drain(self) -> list[tuple[str, Message]]:
        """What is to be sent to accounts since the last call, in order: (account, message)."""
        private, self._private = self._private, []
        return private

    def drain_prints(self) -> list[Print]:
        """The market's trades since the last call, in order."""
        prints, self.prints = self.prints, []
        return prints
