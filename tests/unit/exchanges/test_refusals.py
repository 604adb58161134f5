"""What the venue refuses, with which code; each leaves everything as it was."""

from decimal import Decimal

import msgspec
import pytest

from exchanges.binance.core.exchange import Asking
from tests.unit.exchanges.desk import NOW_MS, Desk

ORDER = "/fapi/v1/order"
LIMIT = {"type": "LIMIT", "price": "49000", "timeInForce": "GTC"}
REFUSED = [
    ({"symbol": "NOSUCH"}, -1121),
    ({"symbol": None}, -1121),
    ({"side": "UP"}, -1117),
    ({"side": None}, -1102),
    ({"type": "MAYBE"}, -1116),
    ({"type": "STOP_MARKET"}, -4120),
    ({"quantity": None}, -1102),
    ({"quantity": "many"}, -1102),
    ({"quantity": "NaN"}, -1102),
    ({"quantity": "1e999999"}, -1102),
    ({"quantity": "0"}, -4003),
    ({"quantity": "-1"}, -4003),
    ({"quantity": "0.0001"}, -1111),
    ({"quantity": "1001"}, -4005),
    ({"quantity": "300"}, -2019),
    ({"quantity": "0.001", "reduceOnly": "True"}, -2022),
    ({"reduceOnly": "perhaps"}, -1130),
    ({"positionSide": "LONG"}, -4061),
    ({"newClientOrderId": "x" * 37}, -4015),
    ({"newClientOrderId": "a b"}, -1100),
    ({**LIMIT, "timeInForce": None}, -1102),
    ({**LIMIT, "timeInForce": "NOW"}, -1115),
    ({**LIMIT, "price": "0"}, -4001),
    ({**LIMIT, "price": "49000.05"}, -4014),
    ({**LIMIT, "price": "49000.005"}, -1111),
    ({**LIMIT, "price": "0.05"}, -4013),
    ({**LIMIT, "price": "4529765"}, -4002),
    ({**LIMIT, "price": "53000"}, -4016),
    ({**LIMIT, "side": "SELL", "price": "47000"}, -4024),
    ({**LIMIT, "quantity": "0.001", "price": "4000"}, -4164),
    ({**LIMIT, "price": "50000.1", "timeInForce": "GTX"}, -5022),
    ({**LIMIT, "quantity": "6", "price": "50000.1", "timeInForce": "FOK"}, -5021),
    ({**LIMIT, "timeInForce": "GTD"}, -5040),
    ({**LIMIT, "timeInForce": "GTD", "goodTillDate": NOW_MS + 1000}, -5040),
]


@pytest.mark.parametrize(("params", "code"), REFUSED)
def test_an_order_is_refused_with_the_venues_code_and_changes_nothing(
    params: dict[str, object], code: int
) -> None:
    desk = Desk()
    before = msgspec.json.encode([desk.venue.state.orders, desk.account.wallet, desk.position()])
    assert desk.refused(**params) == code
    assert msgspec.json.encode([desk.venue.state.orders, desk.account.wallet, desk.position()]) == before
    assert desk.events() == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"type": "LIMIT"}, -1116),
        ({"type": "STOP_MARKET", "triggerPrice": None}, -1102),
        ({"type": "STOP_MARKET", "triggerPrice": "50000"}, -2021),
        ({"type": "TAKE_PROFIT_MARKET", "triggerPrice": "49000"}, -2021),
        ({"type": "STOP_MARKET", "triggerPrice": "49000", "workingType": "MOON"}, -1130),
        ({"type": "TRAILING_STOP_MARKET", "callbackRate": "11"}, -2007),
        ({"type": "STOP_MARKET", "triggerPrice": "49000", "closePosition": "true"}, -1128),
        ({"type": "STOP_MARKET", "triggerPrice": "49000", "algoType": "VP"}, -1102),
    ],
)
def test_a_conditional_order_is_refused_with_the_venues_code(params: dict[str, object], code: int) -> None:
    desk = Desk()
    asked = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "algoType": "CONDITIONAL", **params}
    sent = {name: value for name, value in asked.items() if value is not None}
    assert desk.code("POST", "/fapi/v1/algoOrder", **sent) == code
    assert desk.venue.state.algos == {}


def asking(desk: Desk, **changes: object) -> Asking:
    """A request for the account that would be answered, but for `changes`."""
    answered = []
    desk.exchange.answer = lambda asked, _: answered.append(asked)  # type: ignore[method-assign,assignment,func-returns-value]
    desk.answer("GET", "/fapi/v2/account", **{n: v for n, v in changes.items() if n in ("recvWindow",)})
    del desk.exchange.answer
    kept = {name: value for name, value in changes.items() if name != "recvWindow"}
    return msgspec.structs.replace(answered[0], **kept)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("changes", "later_ms", "status", "code"),
    [
        ({}, 0, 200, 0),
        ({}, 5_000, 200, 0),
        ({}, 5_001, 400, -1021),
        ({}, -999, 200, 0),
        ({}, -1_001, 400, -1021),
        ({"recvWindow": 100}, 101, 400, -1021),
        ({"recvWindow": 60_001}, 0, 400, -1130),
        ({"key": ""}, 0, 401, -2014),
        ({"key": "nobody's"}, 0, 401, -2015),
        ({"key": "other-key"}, 0, 400, -1022),
        ({"query": f"timestamp={NOW_MS}"}, 0, 400, -1102),
        ({"query": f"timestamp={NOW_MS}&signature=00"}, 0, 400, -1022),
        ({"params": {}}, 0, 400, -1102),
        ({"path": "/fapi/v9/nothing"}, 0, 404, -1000),
        ({"method": "PATCH"}, 0, 404, -1000),
    ],
)
def test_key_signature_and_clock_are_checked(
    changes: dict[str, object], later_ms: int, status: int, code: int
) -> None:
    desk = Desk()
    answer = desk.exchange.answer(asking(desk, **changes), NOW_MS + later_ms)
    assert (answer.status, answer.code) == (status, code)


def test_a_key_that_may_not_trade_reads() -> None:
    desk = Desk()
    desk.account.can_trade = False
    assert desk.refused() == -2015
    assert desk.ask("GET", "/fapi/v2/account")["canTrade"] is False


def test_an_open_orders_client_id_is_taken_only_once() -> None:
    desk = Desk()
    order = desk.limit("BUY", "1", "49000", newClientOrderId="A")
    assert desk.refused(newClientOrderId="A") == -4116
    desk.ask("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    desk.market("BUY", "0.01", newClientOrderId="A")


def test_a_symbol_that_is_halted_or_closed_takes_no_order() -> None:
    desk = Desk()
    desk.venue.state.symbols["BTCUSDT"].status = "TRADING_HALT"
    assert desk.refused() == -4140
    desk.venue.state.symbols["BTCUSDT"].status = "CLOSE"
    assert desk.refused() == -4141


def test_leverage_limits_what_a_position_may_be() -> None:
    desk = Desk()
    desk.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)
    assert desk.refused(quantity="7") == -2027
    assert desk.code("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126) == -4028
    desk.market("BUY", "5")
    desk.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=20)
    assert desk.ask("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")[0]["leverage"] == 20


def test_unknown_orders_are_named_so() -> None:
    desk = Desk()
    assert desk.code("GET", ORDER, symbol="BTCUSDT", orderId=1) == -2013
    assert desk.code("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="?") == -2011
    assert desk.code("GET", ORDER, symbol="BTCUSDT") == -1102
    assert desk.code("GET", ORDER, symbol="BTCUSDT", orderId="one") == -1102
    filled = desk.market("BUY", "0.01")
    assert desk.code("DELETE", ORDER, symbol="BTCUSDT", orderId=filled["orderId"]) == -2011
    change = {
        "symbol": "BTCUSDT",
        "orderId": filled["orderId"],
        "side": "BUY",
        "quantity": "1",
        "price": "49000",
    }
    assert desk.code("PUT", ORDER, **change) == -2013
    assert desk.account.wallet == Decimal(100_000) - Decimal("0.25000050")
