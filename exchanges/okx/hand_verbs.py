"""Verbs that act on an account as somebody else would: by hand, or as the venue does."""

from exchanges.asked import Fill, Money, Named, Permission, Place, Whose
from exchanges.control import Control, Nothing
from exchanges.okx.asked import Hand
from exchanges.okx.core import account_read, algos, matching, orders_read, settling, trading
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import Account, Order
from exchanges.okx.server import Server

DAY_MS = 86_400_000


class HandVerbs:
    """Verbs about accounts, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
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
        control.verb("release", Nothing, self._release, "matches what `hold_fills` held back")

    def _account(self, name: str | None) -> Account:
        accounts = self._venue.state.accounts
        return accounts[name] if name is not None else next(iter(accounts.values()))

    def _order(self, account: Account, order_id: int | None, client_id: str | None) -> Order:
        for order in reversed(self._venue.state.orders.values()):
            same = order.id == order_id if order_id is not None else order.client_id == client_id
            if same and order.account == account.name:
                return order
        raise KeyError(order_id if order_id is not None else client_id)

    def _fill(self, asked: Fill) -> dict[str, object]:
        order = self._order(self._account(asked.account), asked.order_id, asked.client_id)
        qty = asked.qty if asked.qty is not None else order.left
        if not order.is_open or not 0 < qty <= order.left:
            raise ValueError(f"order {order.id} is {order.status}, with {order.left} left to fill")
        if asked.price is not None and asked.price <= 0:
            raise ValueError("price is above 0")
        best = self._venue.books[order.instrument].best(order.side.other)
        price = asked.price or order.price or (best[0] if best else self._venue.last[order.instrument])
        trade = matching.fill(self._venue, order, qty, price, maker=bool(order.price))
        self._server.follow_up()
        return orders_read.trade_body(self._venue, trade)

    def _place(self, asked: Place) -> dict[str, object]:
        account = self._account(asked.account)
        try:
            if asked.order.get("ordType") in algos.TYPES:
                body = orders_read.algo_body(self._venue, algos.place(self._venue, account, asked.order))
            else:
                body = orders_read.order_body(self._venue, trading.place(self._venue, account, asked.order))
        except VenueError as error:
            raise ValueError(str(error)) from None
        self._server.follow_up()
        return body

    def _cancel(self, asked: Named) -> dict[str, object]:
        try:
            order = trading.cancel(self._venue, self._account(asked.account), {"ordId": str(asked.order_id)})
        except VenueError as error:
            raise ValueError(str(error)) from None
        self._server.follow_up()
        return orders_read.order_body(self._venue, order)

    def _hand(self, asked: Hand) -> dict[str, object]:
        if asked.instrument not in self._venue.state.instruments:
            raise KeyError(asked.instrument)
        if asked.price <= 0:
            raise ValueError("price is above 0")
        account, at_ms = self._account(asked.account), self._venue.now_ms - int(asked.age_days * DAY_MS)
        order = settling.adopt(self._venue, account, asked.instrument, asked.qty, asked.price, at_ms=at_ms)
        self._server.follow_up()
        return orders_read.order_body(self._venue, order)

    def _transfer(self, asked: Money) -> object:
        account = self._account(asked.account)
        settling.book_bill(self._venue, account, "TRANSFER", asked.amount)
        self._server.follow_up()
        return account_read.balance(self._venue, account, {})

    def _liquidate(self, asked: Whose) -> None:
        account = self._account(asked.account)
        for position in account.held():
            settling.close_position(self._venue, account, position, "full_liquidation")
        self._server.follow_up()

    def _release(self, _: Nothing) -> None:
        settling.release(self._venue)
        self._server.follow_up()

    def _permission(self, asked: Permission) -> None:
        self._account(asked.account).can_trade = asked.can_trade
        self._server.follow_up()
