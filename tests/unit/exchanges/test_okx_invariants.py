"""Whatever is sent to the OKX exchange, in whatever order: money adds up, and what it tells is what it remembers."""

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.okx.core.ledger import of_account
from exchanges.okx.core.state import State
from tests.unit.exchanges.okx_desk import SWAP, D, OkxDesk

PRICES = st.integers(-400, 400).map(lambda n: str(50_000 + n))
SIZES = st.integers(1, 90_000).map(lambda n: str(D(n) / 100))
SIDES = st.sampled_from(["buy", "sell"])
ORDER = st.fixed_dictionaries(
    {"ordType": st.sampled_from(["limit", "post_only", "ioc", "fok"]), "px": PRICES},
    optional={"reduceOnly": st.booleans()},
)
STEP = st.one_of(
    st.tuples(st.just("place"), SIDES, SIZES, ORDER | st.just({"ordType": "market"})),
    st.tuples(st.just("algo"), SIDES, SIZES, st.fixed_dictionaries({"triggerPx": PRICES})),
    st.tuples(st.just("touch"), PRICES, SIZES),
    st.tuples(st.just("amend"), st.integers(0, 20), PRICES, SIZES),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("conduct"), st.integers(1, 4)),
    st.tuples(st.just("funding")),
)


def do(desk: OkxDesk, step: tuple[object, ...]) -> None:
    match step:
        case ("place", side, size, dict(order)):
            desk.place(side, size, who="main" if len(str(size)) % 2 else "other", **order)  # type: ignore[arg-type]
        case ("algo", side, size, dict(order)):
            desk.algo(side, size, orderPx="-1", **order)  # type: ignore[arg-type]
        case ("touch", price, size):
            desk.touch(str(price), str(D(str(price)) + D("0.1")), str(size))
        case ("amend", int(place), price, size) if orders := desk.venue.open_orders():
            order = orders[place % len(orders)]
            path = "/trade/amend-order"
            desk.post(path, order.account, instId=SWAP, ordId=str(order.id), newPx=price, newSz=size)
        case ("cancel", int(place)) if orders := desk.venue.open_orders():
            order = orders[place % len(orders)]
            desk.post("/trade/cancel-order", order.account, instId=SWAP, ordId=str(order.id))
        case ("conduct", int(parts)):
            desk.venue.conduct.parts = parts
        case ("funding",):
            desk.now_ms += 8 * 3_600_000
            desk.get("/account/balance")


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_money_adds_up_and_orders_are_what_their_fills_make_them(steps: list[tuple[object, ...]]) -> None:
    desk = OkxDesk()
    desk.exchange.limits.orders_two_seconds = 10_000
    told: dict[str, str] = {}
    for step in steps:
        do(desk, step)
        for who in ("main", "other"):
            told |= (
                {str(p.body["ordId"]): str(p.body["state"]) for p in desk.pushes(who=who)}
                if who == "main"
                else {}
            )
        check(desk)
    for order in desk.venue.state.orders.values():
        if order.account == "main":
            assert told[str(order.id)] == order.status
    raw = msgspec.json.encode(desk.venue.state)
    assert msgspec.json.encode(msgspec.json.decode(raw, type=State)) == raw


def check(desk: OkxDesk) -> None:
    state = desk.venue.state
    for account in state.accounts.values():
        told = of_account(desk.exchange, account)
        parts = [Decimal(str(told[name])) for name in ("deposits", "realized", "fees", "funding")]
        assert Decimal(str(told["wallet"])) == parts[0] + parts[1] - parts[2] + parts[3]
        trades = [t for t in state.trades.values() if t.account == account.name]
        net = sum((t.qty * t.side.sign for t in trades), Decimal(0))
        assert net == sum((p.amount for p in account.positions.values()), Decimal(0))
    for order in state.orders.values():
        filled = sum((t.qty for t in state.trades.values() if t.order_id == order.id), Decimal(0))
        assert order.filled == filled <= order.qty
        assert (order.status == "filled") == (order.left == 0)
    open_ids = {order.id for order in state.orders.values() if order.is_open}
    assert {order.id for order in desk.venue.open_orders()} == open_ids
