"""Verbs that act on an account as somebody else would: by hand, or as the venue does."""

from exchanges.asked import Fill, Money, Named, Permission, Place, Whose
from exchanges.binance.asked import Hand
from exchanges.binance.core import account_read, algos, batches, matching, orders_read, settling, trading
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.state import Account, Order
from exchanges.binance.server import Server
from exchanges.control import Control, Nothing

DAY_MS = 86_400_000


class HandVerbs:
    """Verbs about accounts, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._exchange = server.exchange
        self._venue = server.exchange.venue

    def add(self, control: Control) -> None:
        control.verb(
            "fill", Fill, self._fill, "fills an open order, in part with `qty`, though nobody is connected"
        )
        control.verb(
            "place", Place, self._place, "an order by hand on the account, by the parameters of REST"
        )
        control.verb("cancel", Named, self._cancel, "cancels an order by hand")
        control.verb("hand_position", Hand, self._hand, "a position by hand, `age_days` old: `qty` is signed")
        control.verb("transfer", Money, self._transfer, "a deposit, or with a negative amount a withdrawal")
        control.verb(
            "liquidate",
            Whose,
            self._liquidate,
            "closes all positions of an account as the venue does when margin is gone",
        )
        control.verb("permission", Permission, self._permission, "whether the account's key may trade")
        control.verb(
            "release",
            Nothing,
            self._release,
            "matches what `hold_fills` held back",
        )

    def _account(self, name: str | None) -> Account:
        accounts = self._venue.state.accounts
        return accounts[name] if name is not None else next(iter(accounts.values()))

    def _order(self, account: Account, order_id: int | None, client_id: str | None) -> Order:
        for order in reversed(self._venue.state.orders.values()):
            if order.account == account.name and (order.id == order_id or order.client_id == client_id):
                return order
        raise KeyError(order_id if order_id is not None else client_id)

    def _fill(self, asked: Fill) -> dict[str, object]:
        order = self._order(self._account(asked.account), asked.order_id, asked.client_id)
        qty = asked.qty if asked.qty is not None else order.left
        if not order.is_open or not 0 < qty <= order.left:
            raise ValueError(f"order {order.id} is {order.status}, with {order.left} left to fill")
        best = self._venue.books[order.symbol].best(order.side.other)
        if asked.price is not None and asked.price <= 0:
            raise ValueError("price is above 0")
        price = asked.price or order.price or (best[0] if best else self._venue.last[order.symbol])
        trade = matching.fill(self._venue, order, qty, price, maker=bool(order.price))
        self._server.follow_up()
        return orders_read.trade_body(trade, self._venue.state.symbols[order.symbol])

    def _place(self, asked: Place) -> dict[str, object]:
        account = self._account(asked.account)
        try:
            if asked.order.get("algoType"):
                algo = algos.place(self._venue, account, asked.order)
                body = orders_read.algo_body(algo, self._venue.state.symbols[algo.symbol])
            else:
                body = batches.body_of(self._venue, trading.place(self._venue, account, asked.order))
        except VenueError as error:
            raise ValueError(str(error)) from None
        self._server.follow_up()
        return body

    def _cancel(self, asked: Named) -> dict[str, object]:
        order = self._order(self._account(asked.account), asked.order_id, None)
        try:
            trading.cancel(self._venue, order)
        except VenueError as error:
            raise ValueError(str(error)) from None
        self._server.follow_up()
        return batches.body_of(self._venue, order)

    def _hand(self, asked: Hand) -> dict[str, object]:
        if asked.symbol not in self._venue.state.symbols:
            raise KeyError(asked.symbol)
        if asked.price <= 0:
            raise ValueError("price is above 0")
        at_ms = self._venue.now_ms - int(asked.age_days * DAY_MS)
        order = settling.adopt(
            self._venue, self._account(asked.account), asked.symbol, asked.qty, asked.price, at_ms=at_ms
        )
        self._server.follow_up()
        return batches.body_of(self._venue, order)

    def _transfer(self, asked: Money) -> object:
        account = self._account(asked.account)
        settling.book_income(self._venue, account, "TRANSFER", asked.amount)
        self._server.follow_up()
        return account_read.balance(self._venue, account, {})

    def _liquidate(self, asked: Whose) -> None:
        account = self._account(asked.account)
        for position in [p for p in account.positions.values() if p.amount]:
            settling.close_position(self._venue, account, position, "autoclose-", "CALCULATED")
        self._server.follow_up()

    def _release(self, _: Nothing) -> None:
        settling.release(self._venue)
        self._server.follow_up()

    def _permission(self, asked: Permission) -> None:
        self._account(asked.account).can_trade = asked.can_trade
        self._server.follow_up()
