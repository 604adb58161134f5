from decimal import Decimal

import pytest

from exchanges.core.prices import parts
from tests.unit.exchanges.desk import Desk

D = Decimal
ORDER = "/fapi/v1/order"


def test_a_market_order_takes_the_levels_in_turn_and_what_it_does_not_find_expires() -> None:
    desk = Desk()
    desk.touch("50000.0", "50000.1", size="0.1")
    order = desk.market("BUY", "0.15")
    assert order["status"] == "FILLED"
    fills = desk.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", orderId=order["orderId"])
    assert [(fill["price"], fill["qty"], fill["maker"]) for fill in fills] == [
        ("50000.1", "0.100", False),
        ("50000.2", "0.050", False),
    ]
    rest = desk.market("BUY", "5")
    assert (rest["status"], rest["executedQty"]) == ("EXPIRED", "1.850")


def test_a_limit_order_rests_and_is_filled_as_maker_when_the_market_reaches_it() -> None:
    desk = Desk()
    order = desk.limit("BUY", "6", "49000")
    assert order["status"] == "NEW"
    desk.touch("48999.8", "48999.9", size="2")
    assert desk.shown(order)["executedQty"] == "4.000"  # two levels of the market are at 49,000 or below
    desk.touch("48999.8", "48999.9", size="2")
    assert (desk.shown(order)["status"], desk.shown(order)["avgPrice"]) == ("FILLED", "49000")
    assert desk.executions() == ["NEW NEW"] + ["TRADE PARTIALLY_FILLED"] * 2 + ["TRADE FILLED"]
    assert desk.account.wallet == D(100_000) - D("6") * 49_000 * D("0.0002")


def test_orders_of_accounts_trade_with_each_other_by_price_then_time() -> None:
    desk = Desk()
    desk.touch("49000", "51000")
    first, second = desk.limit("SELL", "1", "50000"), desk.limit("SELL", "1", "50000")
    better = desk.limit("SELL", "1", "49990")
    desk.limit("BUY", "1.5", "50000", who="other")
    assert [desk.shown(order)["executedQty"] for order in (first, second, better)] == [
        "0.500",
        "0.000",
        "1.000",
    ]
    assert desk.venue.state.accounts["other"].position("BTCUSDT").entry == (D(49_990) + D(25_000)) / D("1.5")


def test_amending_keeps_the_turn_only_of_an_order_that_gets_smaller() -> None:
    desk = Desk()
    desk.touch("49000", "51000")
    first, second = desk.limit("SELL", "1", "50000"), desk.limit("SELL", "1", "50000")
    desk.ask(
        "PUT", ORDER, symbol="BTCUSDT", orderId=first["orderId"], side="SELL", quantity="0.5", price="50000"
    )
    desk.limit("BUY", "0.4", "50000", who="other")
    assert desk.shown(first)["executedQty"] == "0.400"
    desk.ask(
        "PUT", ORDER, symbol="BTCUSDT", orderId=first["orderId"], side="SELL", quantity="2", price="50000"
    )
    desk.limit("BUY", "0.4", "50000", who="other")
    assert (desk.shown(first)["executedQty"], desk.shown(second)["executedQty"]) == ("0.400", "0.400")


def test_amending_reports_trades_and_cancels_as_the_venue_does() -> None:
    desk = Desk()
    order = desk.limit("BUY", "1", "49000")
    same = {
        "symbol": "BTCUSDT",
        "orderId": order["orderId"],
        "side": "BUY",
        "quantity": "1",
        "price": "49000",
    }
    assert desk.code("PUT", ORDER, **same) == -5027
    assert desk.code("PUT", ORDER, **{**same, "side": "SELL", "price": "49001"}) == -1128
    desk.ask("PUT", ORDER, **{**same, "price": "50000.1"})
    assert desk.executions() == ["NEW NEW", "AMENDMENT NEW", "TRADE FILLED"]
    post_only = desk.limit("BUY", "1", "49000", tif="GTX")
    desk.ask("PUT", ORDER, **{**same, "orderId": post_only["orderId"], "price": "50001"})
    assert desk.shown(post_only)["status"] == "CANCELED"


def test_ioc_takes_what_is_there_and_fok_all_or_nothing() -> None:
    desk = Desk()
    ioc = desk.limit("BUY", "6", "50000.1", tif="IOC")
    assert (ioc["status"], ioc["executedQty"]) == ("EXPIRED", "5.000")
    assert desk.limit("BUY", "5", "50000.2", tif="FOK")["status"] == "FILLED"


def test_reduce_only_is_cut_to_the_position_and_expires_with_it() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    resting = desk.limit("SELL", "1", "51000", reduceOnly="True")
    closing = desk.market("SELL", "3", reduceOnly="True")
    assert (closing["origQty"], closing["status"], desk.position()) == ("1.000", "FILLED", 0)
    assert desk.shown(resting)["status"] == "EXPIRED"
    assert desk.refused(side="SELL", reduceOnly="True") == -2022


def test_reduce_only_orders_that_are_reached_together_never_turn_a_position_round() -> None:
    desk = Desk()
    desk.market("BUY", "3")
    rows = [desk.limit("SELL", "2", price, reduceOnly="True") for price in ("51000", "51000.1")]
    desk.touch("52000", "52000.1")
    assert desk.position() == 0
    assert [desk.shown(row)["executedQty"] for row in rows] == ["2.000", "1.000"]


def test_a_position_realizes_what_it_closes_and_turns_at_the_new_price() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    desk.touch("50100.0", "50100.1")
    desk.market("SELL", "3")
    position = desk.account.position("BTCUSDT")
    assert (position.amount, position.entry) == (-2, D("50100.0"))
    fees = (D("50000.1") + 3 * D("50100.0")) * D("0.0005")
    assert desk.account.wallet == D(100_000) + D("99.9") - fees


def test_hedge_mode_has_two_positions_of_one_symbol() -> None:
    desk = Desk()
    desk.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    desk.market("BUY", "2", positionSide="LONG")
    desk.market("SELL", "1", positionSide="SHORT")
    assert (desk.position("LONG"), desk.position("SHORT")) == (2, -1)
    assert desk.refused(positionSide="BOTH") == -4061
    assert desk.refused(side="SELL", quantity="3", positionSide="LONG") == -2022
    assert desk.code("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false") == -4068
    assert len(desk.ask("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")) == 2


def test_batches_answer_each_row() -> None:
    desk = Desk()
    rows = '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"1","price":"49000","timeInForce":"GTC","newClientOrderId":"A"},{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0"}]'
    placed, refused = desk.ask("POST", "/fapi/v1/batchOrders", batchOrders=rows)
    assert (placed["status"], refused["code"]) == ("NEW", -4003)
    cancelled, unknown = desk.ask(
        "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList='["A","B"]'
    )
    assert (cancelled["status"], unknown["code"]) == ("CANCELED", -2011)
    assert desk.code("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList="[") == -1130
    desk.limit("BUY", "1", "49000")
    desk.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert desk.ask("GET", "/fapi/v1/openOrders") == []


def test_fills_come_in_parts_and_after_a_cancel_when_the_exchange_is_told_so() -> None:
    desk = Desk()
    desk.venue.conduct.parts = 3
    desk.market("BUY", "1")
    assert desk.executions() == [
        "NEW NEW",
        "TRADE PARTIALLY_FILLED",
        "TRADE PARTIALLY_FILLED",
        "TRADE FILLED",
    ]
    desk.venue.conduct.fill_after_cancel = 1
    order = desk.limit("BUY", "1", "49000")
    desk.ask("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert (desk.shown(order)["status"], desk.position()) == ("FILLED", 2)
    assert desk.executions() == ["NEW NEW", "CANCELED CANCELED", "TRADE FILLED"]


@pytest.mark.parametrize(
    ("qty", "count", "pieces"),
    [
        ("1", 1, ["1"]),
        ("1", 3, ["0.333", "0.333", "0.334"]),
        ("0.001", 3, ["0.001"]),
        ("0.002", 3, ["0.001", "0.001"]),
    ],
)
def test_a_quantity_is_cut_into_pieces_of_the_step(qty: str, count: int, pieces: list[str]) -> None:
    assert parts(D(qty), count, D("0.001")) == [D(piece) for piece in pieces]
