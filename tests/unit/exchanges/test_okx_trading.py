"""Orders on the OKX exchange: matched, amended, cancelled, conditional."""

import pytest

from tests.unit.exchanges.okx_desk import SWAP, D, OkxDesk


@pytest.fixture
def desk() -> OkxDesk:
    return OkxDesk()


def test_a_market_order_takes_what_stands_and_pays_for_contracts(desk: OkxDesk) -> None:
    row = desk.place(sz="600")
    order = desk.order(row)
    assert (order["state"], order["accFillSz"]) == ("filled", "600")
    assert D(order["avgPx"]) == (500 * D("50000.1") + 100 * D("50000.2")) / 600
    assert D(order["fee"]) == -(500 * D("50000.1") + 100 * D("50000.2")) * D("0.01") * D("0.0005")
    assert desk.states() == ["live", "partially_filled", "filled"]


def test_a_limit_order_waits_and_is_filled_at_its_own_price_as_a_maker(desk: OkxDesk) -> None:
    row = desk.place(px="49000", sz="2")
    assert desk.order(row)["state"] == "live"
    desk.touch("48900", "48900.1")
    order = desk.order(row)
    assert (order["state"], order["fillPx"], order["execType"]) == ("filled", "49000.0", "M")
    assert D(order["fee"]) == -D("0.02") * 49000 * D("0.0002")


@pytest.mark.parametrize(
    ("kind", "px", "sz", "state", "filled", "source"),
    [
        ("post_only", "50000.1", "1", "canceled", "0", "31"),
        ("post_only", "50000", "1", "live", "0", ""),
        ("fok", "50000.1", "501", "canceled", "0", "13"),
        ("fok", "50000.1", "500", "filled", "500", ""),
        ("ioc", "50000.1", "501", "canceled", "500", "14"),
        ("ioc", "49000", "1", "canceled", "0", "14"),
    ],
)
def test_kinds_of_orders(
    desk: OkxDesk, kind: str, px: str, sz: str, state: str, filled: str, source: str
) -> None:
    row = desk.place(ordType=kind, px=px, sz=sz)
    assert row["sCode"] == "0"
    order = desk.order(row)
    assert (order["state"], order["accFillSz"], order["cancelSource"]) == (state, filled, source)


def test_reduce_only_orders_are_cut_to_the_position_and_go_with_it(desk: OkxDesk) -> None:
    desk.place(sz="3")
    stop = desk.place("sell", sz="5", px="51000", reduceOnly=True)
    assert desk.order(stop)["sz"] == "3"
    desk.place("sell", sz="2")
    assert desk.order(stop)["sz"] == "1"
    desk.place("sell", sz="1")
    assert (desk.order(stop)["state"], desk.order(stop)["cancelSource"]) == ("canceled", "23")
    assert desk.position() == 0


def test_reduce_only_orders_never_turn_a_position_round(desk: OkxDesk) -> None:
    desk.place(sz="3")
    rows = [desk.place("sell", sz="2", px=px, reduceOnly=True) for px in ("51000", "51000.1")]
    desk.post("/trade/amend-order", instId=SWAP, ordId=rows[1]["ordId"], newSz="9")
    assert desk.order(rows[1])["sz"] == "3"
    desk.touch("52000", "52000.1")
    assert desk.position() == 0
    assert [desk.order(row)["accFillSz"] for row in rows] == ["2", "1"]


def test_a_position_turns_round_and_realizes_what_it_closed(desk: OkxDesk) -> None:
    desk.place(sz="2")
    desk.touch("50100", "50100.1")
    desk.place("sell", sz="5")
    (position,) = desk.get("/account/positions")
    assert (position["pos"], position["avgPx"]) == ("-3", "50100")
    trades = list(desk.venue.state.trades.values())
    assert sum(trade.realized for trade in trades) == D("0.02") * D("99.9")


def test_an_amended_order_keeps_its_turn_only_if_it_gets_smaller(desk: OkxDesk) -> None:
    first, second = desk.place(px="49000", sz="2"), desk.place(px="49000", sz="2", who="other")
    assert desk.post("/trade/amend-order", instId=SWAP, ordId=first["ordId"], newSz="1")["sCode"] == "0"
    desk.place("sell", px="49000", sz="1", who="other", ordType="limit")
    waiting = [resting.id for resting in desk.venue.books[SWAP].waiting(desk.venue.open_orders()[0].side)]
    assert waiting[0] == int(first["ordId"])
    desk.post("/trade/amend-order", instId=SWAP, ordId=first["ordId"], newSz="3")
    waiting = [resting.id for resting in desk.venue.books[SWAP].waiting(desk.venue.open_orders()[0].side)]
    assert waiting == [int(second["ordId"]), int(first["ordId"])]


def test_an_amended_post_only_order_that_would_take_is_cancelled(desk: OkxDesk) -> None:
    row = desk.place(ordType="post_only", px="49000")
    desk.post("/trade/amend-order", instId=SWAP, ordId=row["ordId"], newPx="50000.1")
    assert desk.order(row)["cancelSource"] == "31"
    assert desk.position() == 0


def test_several_orders_of_one_request_succeed_or_fail_each_by_itself(desk: OkxDesk) -> None:
    good = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
    answer = desk.answer("POST", "/trade/batch-orders", [good, {**good, "sz": "0.005"}])
    assert isinstance(answer.body["data"], list)
    assert (answer.body["code"], [row["sCode"] for row in answer.body["data"]]) == ("2", ["0", "51020"])
    assert desk.position() == 1


def test_what_is_cancelled_may_be_filled_all_the_same(desk: OkxDesk) -> None:
    row = desk.place(px="49000")
    desk.states()
    desk.venue.conduct.fill_after_cancel = 1
    assert desk.post("/trade/cancel-order", instId=SWAP, ordId=row["ordId"])["sCode"] == "0"
    assert desk.states() == ["canceled", "filled"]


# --- conditional orders


@pytest.mark.parametrize(
    ("side", "trigger", "before", "after"),
    [
        ("sell", "49500", "49600", "49500"),
        ("sell", "50500", "50400", "50500"),
        ("buy", "50500", "50400", "50500"),
        ("buy", "49500", "49600", "49500"),
    ],
)
def test_a_trigger_fires_when_the_price_comes_to_it_from_either_side(
    desk: OkxDesk, side: str, trigger: str, before: str, after: str
) -> None:
    row = desk.algo(side, triggerPx=trigger, orderPx="-1", algoClOrdId="T1")
    desk.touch(before, str(D(before) + D("0.1")))
    assert desk.get("/trade/order-algo", algoId=row["algoId"])[0]["state"] == "live"
    desk.pushes()
    desk.touch(after, str(D(after) + D("0.1")))
    algo = desk.get("/trade/order-algo", algoClOrdId="T1")[0]
    assert (algo["state"], algo["actualSz"]) == ("effective", "1")
    (order,) = desk.get("/trade/orders-history", instType="SWAP")
    assert (order["ordId"], order["algoClOrdId"], order["clOrdId"]) == (algo["ordId"], "T1", "")
    assert desk.states() == ["live", "filled"]


@pytest.mark.parametrize(
    ("side", "field", "trigger", "code"),
    [
        ("sell", "slTriggerPx", "49000", "0"),
        ("sell", "slTriggerPx", "50000", "51280"),
        ("sell", "tpTriggerPx", "51000", "0"),
        ("sell", "tpTriggerPx", "49000", "51279"),
        ("buy", "slTriggerPx", "51000", "0"),
        ("buy", "slTriggerPx", "49000", "51278"),
        ("buy", "tpTriggerPx", "49000", "0"),
        ("buy", "tpTriggerPx", "51000", "51277"),
    ],
)
def test_a_stop_loss_or_take_profit_that_would_fire_at_once_is_refused(
    desk: OkxDesk, side: str, field: str, trigger: str, code: str
) -> None:
    price = field.replace("TriggerPx", "OrdPx")
    row = desk.algo(side, ordType="conditional", **{field: trigger, price: "-1"})
    assert row["sCode"] == code
    assert len(desk.venue.open_algos()) == int(code == "0")


def test_a_stop_limit_waits_at_its_limit_after_it_was_triggered(desk: OkxDesk) -> None:
    desk.algo("sell", triggerPx="49500", orderPx="49600")
    desk.touch("49500", "49500.1")
    (order,) = desk.get("/trade/orders-pending")
    assert (order["px"], order["ordType"]) == ("49600.0", "limit")


@pytest.mark.parametrize("callback", [{"callbackRatio": "0.01"}, {"callbackSpread": "505"}])
def test_a_trailing_stop_follows_and_fires_on_the_way_back(desk: OkxDesk, callback: dict[str, str]) -> None:
    row = desk.algo("sell", ordType="move_order_stop", activePx="50400", **callback)
    desk.touch("49000", "49000.1")  # not active yet
    desk.touch("50400", "50400.1")
    desk.touch("50500", "50500.1")
    desk.touch("49996", "49996.1")
    assert desk.get("/trade/order-algo", algoId=row["algoId"])[0]["state"] == "live"
    desk.touch("49995", "49995.1")
    assert desk.get("/trade/order-algo", algoId=row["algoId"])[0]["state"] == "effective"


def test_a_conditional_order_that_the_venue_must_refuse_has_failed(desk: OkxDesk) -> None:
    row = desk.algo("sell", triggerPx="49500", orderPx="-1", reduceOnly=True)
    desk.touch("49500", "49500.1")
    assert desk.get("/trade/order-algo", algoId=row["algoId"])[0]["state"] == "order_failed"
    assert desk.position() == 0


def test_a_conditional_order_is_amended_and_cancelled(desk: OkxDesk) -> None:
    row = desk.algo("sell", triggerPx="49500", orderPx="-1")
    changed = desk.post(
        "/trade/amend-algos", instId=SWAP, algoId=row["algoId"], newTriggerPx="51000", newSz="2"
    )
    assert changed["sCode"] == "0"
    (algo,) = desk.get("/trade/orders-algo-pending", ordType="trigger")
    assert (algo["triggerPx"], algo["sz"]) == ("51000.0", "2")
    cancel = [{"instId": SWAP, "algoId": row["algoId"]}]
    assert desk.answer("POST", "/trade/cancel-algos", cancel).code == 0
    assert desk.answer("POST", "/trade/cancel-algos", cancel).code == 51400
    (ended,) = desk.get("/trade/orders-algo-history", ordType="trigger", state="canceled")
    assert ended["algoId"] == row["algoId"]
