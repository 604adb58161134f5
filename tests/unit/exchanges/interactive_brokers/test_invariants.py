"""Whatever is asked in whatever order: what the accounts have is what their fills, fees and transfers say."""

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.core.book import Side
from exchanges.interactive_brokers.core.gateway import Gateway
from exchanges.interactive_brokers.core.ledger import ledger
from exchanges.interactive_brokers.core.state import Account, State
from tests.unit.exchanges.interactive_brokers.desk import MAIN, Desk

SIDES = st.sampled_from(["BUY", "SELL"])
QTYS = st.sampled_from(["1", "7", "500", "1234"])
PRICES = st.integers(188, 192)
WHO = st.sampled_from([MAIN, "DU7654321"])
KINDS = st.sampled_from(["MKT", "LMT", "STP", "MIT", "TRAIL"])
STEPS = st.one_of(
    st.tuples(st.just("place"), WHO, SIDES, QTYS, KINDS, PRICES, st.integers(0, 3)),
    st.tuples(st.just("modify"), st.integers(1, 9), QTYS, PRICES),
    st.tuples(st.just("cancel"), st.integers(1, 9)),
    st.tuples(st.just("move"), PRICES, st.sampled_from(["3", "500", "4000"])),
    st.tuples(st.just("conduct"), st.integers(1, 4), st.integers(0, 1)),
)


class Walk:
    """A desk on which anything may be asked; what is refused changes nothing."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.placed: dict[int, dict[str, object]] = {}

    def take(self, step: tuple[object, ...]) -> None:
        name, *rest = step
        getattr(self, f"do_{name}")(*rest)

    def do_place(self, who: str, side: str, qty: str, kind: str, price: int, group: int) -> None:
        terms = {"account": who, "action": side, "totalQuantity": qty, "orderType": kind}
        terms |= {"LMT": {"lmtPrice": float(price)}, "TRAIL": {"auxPrice": 1.0}}.get(
            kind, {"auxPrice": float(price)}
        )
        terms |= {"ocaGroup": f"group {group}", "ocaType": group} if group else {}
        self.placed[number := len(self.placed) + 1] = terms
        self.desk.main.place(number, **terms)

    def do_modify(self, number: int, qty: str, price: int) -> None:
        if terms := self.placed.get(number):
            self.desk.main.place(number, **{**terms, "totalQuantity": qty, "lmtPrice": float(price)})

    def do_cancel(self, number: int) -> None:
        self.desk.main.cancel(number)

    def do_move(self, bid: int, size: str) -> None:
        self.desk.touch(f"{bid}.00", f"{bid}.01", size)

    def do_conduct(self, parts: int, fill_after_cancel: int) -> None:
        self.desk.venue.conduct.parts, self.desk.venue.conduct.fill_after_cancel = parts, fill_after_cancel


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=20))
def test_fills_are_positions_and_money_adds_up(steps: list[tuple[object, ...]]) -> None:
    walk = Walk()
    for step in steps:
        walk.take(step)
    gateway = walk.desk.gateway
    for account in gateway.venue.state.accounts.values():
        _check_account(gateway, account)
    _check_orders(gateway)
    read = msgspec.json.decode(msgspec.json.encode(gateway.venue.state), type=State)
    assert read == gateway.venue.state
    msgspec.json.encode(ledger(gateway))


def _check_account(gateway: Gateway, account: Account) -> None:
    fills = [fill for fill in gateway.venue.state.fills if fill.account == account.name]
    held = sum((f.qty * f.side.sign for f in fills), Decimal(0))
    assert sum((p.amount for p in account.positions.values()), Decimal(0)) == held
    realized, fees = (sum((getattr(f, name) for f in fills), Decimal(0)) for name in ("realized", "fee"))
    assert account.wallet == account.deposits + realized - fees
    paid = sum((f.qty * f.side.sign * f.price for f in fills), Decimal(0))
    assert gateway.venue.funds(account).cash == account.deposits - paid - fees
    assert held or not any(position.cost for position in account.positions.values())


def _check_orders(gateway: Gateway) -> None:
    venue = gateway.venue
    for order in venue.state.orders.values():
        fills = [fill for fill in venue.state.fills if fill.perm_id == order.perm_id]
        assert order.filled == sum((f.qty for f in fills), Decimal(0)) <= order.qty
        assert order.fees == sum((f.fee for f in fills), Decimal(0))
        assert (order.filled == order.qty) == (order.status == "Filled")
    resting = {r.id: r.left for book in venue.books.values() for side in Side for r in book.waiting(side)}
    assert resting == {
        o.perm_id: o.left for o in venue.open_orders() if o.limit is not None and o.status == "Submitted"
    }
