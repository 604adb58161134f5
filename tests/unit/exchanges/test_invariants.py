"""Whatever is asked in whatever order: what the accounts have is what their fills, fees, transfers and funding say."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from exchanges.binance.core import settling
from exchanges.binance.core.exchange import Exchange
from exchanges.binance.core.ledger import of_account
from exchanges.binance.core.state import Account, State
from exchanges.core.book import Side
from tests.unit.exchanges.desk import Desk

WHO = st.sampled_from(["main", "other"])
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(49_900, 50_100)
QTYS = st.sampled_from(["0.001", "0.5", "2", "7.777", "60"])
STEPS = st.one_of(
    st.tuples(st.just("market"), WHO, SIDES, QTYS, st.booleans()),
    st.tuples(
        st.just("limit"),
        WHO,
        SIDES,
        QTYS,
        PRICES,
        st.sampled_from(["GTC", "IOC", "FOK", "GTX"]),
        st.booleans(),
    ),
    st.tuples(st.just("amend"), st.integers(0, 9), QTYS, PRICES),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(
        st.just("stop"), WHO, SIDES, QTYS, PRICES, st.sampled_from(["STOP_MARKET", "TAKE_PROFIT_MARKET"])
    ),
    st.tuples(st.just("trail"), WHO, SIDES, QTYS),
    st.tuples(st.just("move"), st.integers(49_900, 50_100), st.sampled_from(["0.3", "5", "40"])),
    st.tuples(st.just("conduct"), st.integers(1, 4), st.integers(0, 1)),
    st.tuples(st.just("funding")),
)


class Walk:
    """A desk on which anything may be asked; what is refused changes nothing."""

    def __init__(self) -> None:
        self.desk = Desk()

    def take(self, step: tuple[object, ...]) -> None:
        name, *rest = step
        getattr(self, f"do_{name}")(*rest)

    def do_market(self, who: str, side: str, qty: str, reduce_only: bool) -> None:
        self.desk.answer(
            "POST",
            "/fapi/v1/order",
            who,
            symbol="BTCUSDT",
            side=side,
            type="MARKET",
            quantity=qty,
            reduceOnly=reduce_only,
        )

    def do_limit(self, who: str, side: str, qty: str, price: int, tif: str, reduce_only: bool) -> None:
        asked = {
            "symbol": "BTCUSDT",
            "side": side,
            "type": "LIMIT",
            "quantity": qty,
            "price": price,
            "timeInForce": tif,
        }
        self.desk.answer("POST", "/fapi/v1/order", who, **asked, reduceOnly=reduce_only)

    def _nth(self, number: int) -> dict[str, object] | None:
        orders = list(self.desk.venue.state.orders.values())[-10:]
        if number >= len(orders):
            return None
        return {"symbol": "BTCUSDT", "orderId": orders[number].id, "side": orders[number].side}

    def do_amend(self, number: int, qty: str, price: int) -> None:
        if named := self._nth(number):
            self.desk.answer("PUT", "/fapi/v1/order", quantity=qty, price=price, **named)

    def do_cancel(self, number: int) -> None:
        if named := self._nth(number):
            self.desk.answer("DELETE", "/fapi/v1/order", **named)

    def do_stop(self, who: str, side: str, qty: str, price: int, kind: str) -> None:
        asked = {"symbol": "BTCUSDT", "side": side, "type": kind, "quantity": qty, "triggerPrice": price}
        self.desk.answer("POST", "/fapi/v1/algoOrder", who, algoType="CONDITIONAL", **asked)

    def do_trail(self, who: str, side: str, qty: str) -> None:
        asked = {
            "symbol": "BTCUSDT",
            "side": side,
            "type": "TRAILING_STOP_MARKET",
            "quantity": qty,
            "callbackRate": "0.1",
        }
        self.desk.answer("POST", "/fapi/v1/algoOrder", who, algoType="CONDITIONAL", **asked)

    def do_move(self, bid: int, size: str) -> None:
        self.desk.touch(str(bid), f"{bid}.1", size)

    def do_conduct(self, parts: int, fill_after_cancel: int) -> None:
        self.desk.venue.conduct.parts, self.desk.venue.conduct.fill_after_cancel = parts, fill_after_cancel

    def do_funding(self) -> None:
        settling.fund(self.desk.venue)


@given(st.lists(STEPS, max_size=25))
def test_fills_are_positions_and_money_adds_up(steps: list[tuple[object, ...]]) -> None:
    walk = Walk()
    for step in steps:
        walk.take(step)
    exchange = walk.desk.exchange
    for account in exchange.venue.state.accounts.values():
        _check_account(exchange, account)
    _check_orders(exchange)
    _check_kept(exchange.venue.state)


def _check_account(exchange: Exchange, account: Account) -> None:
    fills = [trade for trade in exchange.venue.state.trades if trade.account == account.name]
    assert account.position("BTCUSDT").amount == sum((t.qty * t.side.sign for t in fills), Decimal(0))
    told = of_account(exchange, account)
    deposits, realized, fees, funding = (
        Decimal(str(told[name])) for name in ("deposits", "realized", "fees", "funding")
    )
    assert account.wallet == deposits + realized - fees + funding


def _check_orders(exchange: Exchange) -> None:
    venue = exchange.venue
    for order in venue.state.orders.values():
        fills = [trade for trade in venue.state.trades if trade.order_id == order.id]
        assert order.filled == sum((t.qty for t in fills), Decimal(0)) <= order.qty
        assert order.cost == sum((t.qty * t.price for t in fills), Decimal(0))
        assert (order.filled == order.qty) == (order.status == "FILLED")
        if order.price:
            assert all(
                order.side.reaches(order.price, t.price) or t.maker for t in fills
            ) or order.client_id.startswith("auto")
        if order.reduce_only and order.is_open:
            held = venue.state.accounts[order.account].position("BTCUSDT").amount
            assert order.left <= abs(held)
            assert held * order.side.sign < 0
    resting = {waiting.id: waiting.left for side in Side for waiting in venue.books["BTCUSDT"].waiting(side)}
    assert resting == {order.id: order.left for order in venue.state.orders.values() if order.is_open}


def _check_kept(state: State) -> None:
    """A state file keeps all of it, and the exchange that reads it stands where this one stood."""
    read = msgspec.json.decode(msgspec.json.encode(state), type=State)
    assert read == state
