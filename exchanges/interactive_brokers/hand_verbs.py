"""Verbs that trade by hand, beside the clients."""

from decimal import Decimal

from exchanges.control import Control, Nothing
from exchanges.core.book import Side
from exchanges.core.prices import to_step
from exchanges.interactive_brokers.asked import Fill, Hand, Money, Named, Place
from exchanges.interactive_brokers.core import matching, trading
from exchanges.interactive_brokers.core.asked import Asked
from exchanges.interactive_brokers.core.state import Account, Contract, Order
from exchanges.interactive_brokers.market_verbs import contract_of
from exchanges.interactive_brokers.server import Server

DAY_MS = 86_400_000


class HandVerbs:
    """Verbs about orders, positions and money, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._venue = server.gateway.venue

    def add(self, control: Control) -> None:
        control.verb("fill", Fill, self._fill, "fills an open order, in part too")
        control.verb(
            "place", Place, self._place, "an order made by hand: client 0, at market without a limit"
        )
        control.verb("cancel", Named, self._cancel, "cancels an order by hand")
        control.verb(
            "hand_position",
            Hand,
            self._hand,
            "a position made by hand; one of an earlier day is in no report of executions",
        )
        control.verb("transfer", Money, self._transfer, "a deposit, or a withdrawal")
        control.verb(
            "summary", Nothing, lambda _: self._server.tell_summaries(), "tells account summaries now"
        )

    def _account(self, name: str | None) -> Account:
        accounts = self._venue.state.accounts
        return accounts[name] if name is not None else next(iter(accounts.values()))

    def _order(self, asked: Fill) -> Order:
        if (asked.perm_id is None) == (asked.ref is None):
            raise ValueError("perm_id or ref, one of them")
        for order in reversed(self._venue.open_orders()):
            if order.perm_id == asked.perm_id or (asked.ref and order.ref.rsplit(":", 1)[0] == asked.ref):
                return order
        raise ValueError(f"no open order {asked.perm_id or asked.ref}")

    def _fill(self, asked: Fill) -> dict[str, str]:
        order = self._order(asked)
        contract = self._venue.state.contracts[order.con_id]
        qty = order.left if asked.qty is None else asked.qty
        if not 0 < qty <= order.left or to_step(qty, contract.step) != qty:
            raise ValueError(f"qty: {qty} is not a multiple of {contract.step} up to {order.left}")
        price = asked.price or order.limit or self._venue.last[order.con_id]
        _check_price(contract, price)
        self._venue.at(self._server.clock())
        done = matching.fill(self._venue, order, qty, price, maker=True)
        self._server.follow_up()
        return {"exec_id": done.exec_id}

    def _place(self, asked: Place) -> dict[str, int]:
        contract = contract_of(self._server, asked.symbol)
        order = trading.enter(self._venue, 0, 0, self._by_hand(asked, contract))
        self._server.follow_up()
        return {"perm_id": order.perm_id}

    def _by_hand(self, asked: Place, contract: Contract) -> Asked:
        if asked.qty <= 0 or to_step(asked.qty, contract.step) != asked.qty:
            raise ValueError(f"qty: {asked.qty} is not a positive multiple of {contract.step}")
        if asked.limit is not None:
            _check_price(contract, asked.limit)
        self._venue.at(self._server.clock())
        return Asked(
            contract=contract,
            exchange=contract.exchange,
            side=Side(asked.side),
            qty=asked.qty,
            type="MKT" if asked.limit is None else "LMT",
            limit=asked.limit,
            account=self._account(asked.account).name,
        )

    def _cancel(self, asked: Named) -> None:
        order = self._venue.state.orders[asked.perm_id]
        if not order.is_open:
            raise ValueError(f"perm_id: order {asked.perm_id} is {order.status}")
        matching.close(self._venue, order)
        self._server.follow_up()

    def _hand(self, asked: Hand) -> None:
        if not asked.qty:
            raise ValueError("qty: 0 is no position")
        contract = contract_of(self._server, asked.symbol)
        _check_price(contract, asked.price)
        place = Place(
            symbol=asked.symbol,
            side="BUY" if asked.qty > 0 else "SELL",
            qty=abs(asked.qty),
            account=asked.account,
        )
        wanted = self._by_hand(place, contract)
        now_ms = self._server.clock()
        self._venue.at(now_ms - int(asked.age_days * DAY_MS))
        order = trading.new_order(self._venue, 0, 0, wanted)
        self._venue.add(order)
        matching.fill(self._venue, order, order.qty, asked.price, maker=False)
        self._venue.at(now_ms)
        self._server.follow_up()

    def _transfer(self, asked: Money) -> None:
        account = self._account(asked.account)
        account.deposits += asked.amount
        account.wallet += asked.amount
        self._server.follow_up()


def _check_price(contract: Contract, price: Decimal) -> None:
    if price <= 0 or to_step(price, contract.tick) != price:
        raise ValueError(f"price: {price} is not a positive multiple of {contract.tick}")
