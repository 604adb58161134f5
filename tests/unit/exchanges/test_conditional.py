from decimal import Decimal
from typing import Any

import pytest

from tests.unit.exchanges.desk import NOW_MS, Desk

ALGO = "/fapi/v1/algoOrder"


def told(desk: Desk) -> list[tuple[str, str]]:
    """What the stream said of conditional orders and of orders, in order."""
    events = [event for event in desk.events() if event["e"] in ("ALGO_UPDATE", "ORDER_TRADE_UPDATE")]
    return [(event["e"].partition("_")[0], event["o"]["X"]) for event in events]


def test_a_stop_waits_triggers_and_becomes_an_order_of_the_same_client_id() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    algo = desk.algo(side="SELL", type="STOP_MARKET", quantity="1", triggerPrice="49500", clientAlgoId="S")
    desk.touch("49500.1", "49500.2")
    assert desk.ask("GET", "/fapi/v1/openAlgoOrders") == [desk.ask("GET", ALGO, algoId=algo["algoId"])]
    desk.events()
    desk.touch("49500.0", "49500.1")
    assert told(desk) == [("ORDER", "NEW"), ("ALGO", "TRIGGERED"), ("ORDER", "FILLED"), ("ALGO", "FINISHED")]
    done = desk.ask("GET", ALGO, clientAlgoId="S")
    order = desk.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=done["actualOrderId"])
    assert (order["clientOrderId"], order["origType"], order["type"]) == ("S", "STOP_MARKET", "MARKET")
    assert (done["algoStatus"], desk.position()) == ("FINISHED", 0)
    assert desk.ask("GET", "/fapi/v1/openAlgoOrders") == []


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "before", "after"),
    [
        ("BUY", "STOP_MARKET", "50500", "50499.9", "50500"),
        ("BUY", "TAKE_PROFIT_MARKET", "49500", "49500.1", "49500"),
        ("SELL", "STOP_MARKET", "49500", "49500.1", "49500"),
        ("SELL", "TAKE_PROFIT_MARKET", "50500", "50499.9", "50500"),
    ],
)
def test_each_kind_triggers_on_its_side(side: str, kind: str, trigger: str, before: str, after: str) -> None:
    desk = Desk()
    desk.algo(side=side, type=kind, quantity="1", triggerPrice=trigger)
    desk.touch(before, str(Decimal(before) + 1))
    assert desk.position() == 0
    desk.touch(after, str(Decimal(after) + 1))
    assert desk.position() == (1 if side == "BUY" else -1)


def test_a_stop_limit_rests_where_it_was_to_rest() -> None:
    desk = Desk()
    desk.algo(
        side="BUY",
        type="STOP",
        quantity="1",
        triggerPrice="50500",
        price="50400",
        timeInForce="GTC",
        clientAlgoId="L",
    )
    desk.touch("50500", "50500.1")
    (order,) = desk.ask("GET", "/fapi/v1/openOrders")
    assert (order["clientOrderId"], order["price"], order["status"]) == ("L", "50400.0", "NEW")
    desk.touch("50399", "50400")
    assert desk.ask("GET", ALGO, clientAlgoId="L")["algoStatus"] == "FINISHED"


def test_a_trailing_stop_follows_the_price_and_triggers_when_it_comes_back() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    desk.algo(side="SELL", type="TRAILING_STOP_MARKET", quantity="1", callbackRate="1", activatePrice="50500")
    for bid in ("49000", "50400", "50500", "52000", "51480.1"):
        desk.touch(bid, str(Decimal(bid) + 1))
        assert desk.position() == 1, bid
    desk.touch("51480.0", "51481")
    assert desk.position() == 0


def test_the_mark_price_may_be_what_is_watched() -> None:
    desk = Desk()
    desk.algo(side="BUY", type="STOP_MARKET", quantity="1", triggerPrice="50500", workingType="MARK_PRICE")
    desk.touch("50400", "50500")
    assert desk.position() == 0
    desk.touch("50490", "50510")
    assert desk.position() == 1


def test_close_position_closes_what_there_is_then() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    desk.algo(side="SELL", type="STOP_MARKET", closePosition="true", triggerPrice="49500")
    desk.market("BUY", "2")
    desk.touch("49500", "49500.1")
    assert desk.position() == 0


def test_what_the_venue_refuses_when_it_triggers_is_rejected() -> None:
    desk = Desk()
    algo = desk.algo(side="SELL", type="STOP_MARKET", quantity="1", triggerPrice="49500", reduceOnly="true")
    desk.touch("49500", "49500.1")
    assert desk.ask("GET", ALGO, algoId=algo["algoId"])["algoStatus"] == "REJECTED"


def test_conditional_orders_are_cancelled_one_by_one_and_all() -> None:
    desk = Desk()
    asked: dict[str, Any] = {"side": "SELL", "type": "STOP_MARKET", "quantity": "1", "triggerPrice": "49500"}
    first, _ = desk.algo(**asked, clientAlgoId="A"), desk.algo(**asked, clientAlgoId="B")
    assert desk.ask("DELETE", ALGO, algoId=first["algoId"])["code"] == "200"
    assert desk.code("DELETE", ALGO, algoId=first["algoId"]) == -2011
    assert desk.code("DELETE", ALGO, clientAlgoId="C") == -2011
    desk.ask("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    states = [row["algoStatus"] for row in desk.ask("GET", "/fapi/v1/allAlgoOrders", symbol="BTCUSDT")]
    assert states == ["CANCELED", "CANCELED"]


def test_good_till_a_moment_ends_then() -> None:
    desk = Desk()
    order = desk.limit("BUY", "1", "49000", tif="GTD", goodTillDate=NOW_MS + 700_000)
    desk.algo(
        side="SELL",
        type="STOP_MARKET",
        quantity="1",
        triggerPrice="49500",
        timeInForce="GTD",
        goodTillDate=NOW_MS + 700_000,
    )
    desk.now_ms += 699_999
    assert desk.shown(order)["status"] == "NEW"
    desk.now_ms += 1
    desk.ask("GET", "/fapi/v1/ping")
    assert desk.shown(order)["status"] == "EXPIRED"
    assert desk.ask("GET", "/fapi/v1/openAlgoOrders") == []
