"""What the OKX exchange refuses, by the venue's codes; a refusal changes nothing."""

import msgspec
import pytest

from tests.unit.exchanges.okx_desk import SWAP, OkxDesk


@pytest.fixture
def desk() -> OkxDesk:
    return OkxDesk()


def remembered(desk: OkxDesk) -> bytes:
    """All that the exchange remembers, but for the ids that it gave away."""
    state = msgspec.to_builtins(desk.venue.state)
    return msgspec.json.encode({**state, "next_id": 0})


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"instId": "BTC-USD"}, "51001"),
        ({"clOrdId": "with-hyphens"}, "51000"),
        ({"clOrdId": "a" * 33}, "51000"),
        ({"clOrdId": "é1"}, "51000"),
        ({"clOrdId": "taken"}, "51016"),
        ({"ordType": "iceberg"}, "51000"),
        ({"side": "up"}, "51000"),
        ({"tdMode": "cash"}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"sz": "0"}, "51000"),
        ({"sz": "-1"}, "51000"),
        ({"sz": "NaN"}, "51000"),
        ({"sz": "one"}, "51000"),
        ({"sz": ""}, "51000"),
        ({"sz": "0.005"}, "51020"),
        ({"sz": "1.005"}, "51121"),
        ({"sz": "10001"}, "51203"),
        ({"px": "49000.05"}, "51000"),
        ({"px": "1e400"}, "51000"),
        ({"px": "56000"}, "51006"),
        ({"px": "44000", "side": "sell"}, "51006"),
        ({"ordType": "limit"}, "51000"),
        ({"ordType": "post_only", "px": ""}, "51000"),
        ({"sz": "2100"}, "51008"),
        ({"reduceOnly": True}, "51169"),
        ({"reduceOnly": "maybe"}, "51000"),
    ],
)
def test_an_order_is_refused_with_its_code(desk: OkxDesk, order: dict[str, object], code: str) -> None:
    desk.place(px="49000", clOrdId="taken")
    before = remembered(desk)
    desk.venue.drain()
    row = desk.place(**order)  # type: ignore[arg-type]
    assert (row["sCode"], row["ordId"], bool(row["sMsg"])) == (code, "", True)
    assert remembered(desk) == before
    assert desk.venue.drain() == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({}, "51000"),
        ({"triggerPx": "49000"}, "51000"),
        ({"triggerPx": "49000.05", "orderPx": "-1"}, "51000"),
        ({"triggerPx": "49000", "orderPx": "-1", "triggerPxType": "best"}, "51000"),
        ({"triggerPx": "49000", "orderPx": "-1", "algoClOrdId": "a-b"}, "51000"),
        ({"triggerPx": "49000", "orderPx": "-1", "sz": "0.001"}, "51020"),
        ({"triggerPx": "49000", "orderPx": "-1", "instId": "X"}, "51001"),
        ({"ordType": "oco"}, "51000"),
        ({"ordType": "move_order_stop"}, "51000"),
        ({"ordType": "move_order_stop", "callbackRatio": "1"}, "51000"),
        ({"ordType": "move_order_stop", "callbackRatio": "0.1", "callbackSpread": "5"}, "51000"),
        ({"ordType": "conditional", "closeFraction": "1", "slTriggerPx": "1", "slOrdPx": "-1"}, "51000"),
    ],
)
def test_a_conditional_order_is_refused_with_its_code(
    desk: OkxDesk, order: dict[str, object], code: str
) -> None:
    before = remembered(desk)
    assert desk.algo("sell", **order)["sCode"] == code  # type: ignore[arg-type]
    assert remembered(desk) == before


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/trade/cancel-order", {"ordId": "1"}, 51400),
        ("/trade/cancel-order", {"clOrdId": "none"}, 51400),
        ("/trade/cancel-order", {}, 51000),
        ("/trade/amend-order", {"ordId": "1", "newSz": "1"}, 51503),
        ("/trade/amend-order", {"clOrdId": "open"}, 51000),
        ("/trade/amend-order", {"clOrdId": "open", "newPx": "49000.01"}, 51000),
        ("/trade/amend-order", {"clOrdId": "open", "newPx": "60000"}, 51006),
        ("/trade/amend-order", {"clOrdId": "open", "newSz": "9000"}, 51008),
        ("/trade/amend-algos", {"algoId": "1"}, 51503),
        ("/trade/cancel-algos", {"algoId": "1"}, 51400),
        ("/account/set-leverage", {"lever": "101"}, 59102),
        ("/account/set-leverage", {"lever": "x"}, 51000),
        ("/account/set-position-mode", {"posMode": "long_short_mode"}, 51010),
    ],
)
def test_a_change_is_refused_with_its_code(
    desk: OkxDesk, path: str, sent: dict[str, object], code: int
) -> None:
    desk.place(px="49000", clOrdId="open")
    before = remembered(desk)
    assert desk.answer("POST", path, {"instId": SWAP, **sent}).code == code
    assert remembered(desk) == before


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"key": ""}, 50103),
        ({"key": "nobody"}, 50111),
        ({"passphrase": "no"}, 50105),
        ({"moment": "yesterday"}, 50112),
        ({"moment": "2024-01-01T00:29:00.000Z"}, 50102),
        ({"moment": "2024-01-01T00:31:00.000Z"}, 50102),
        ({"sign": "AAAA"}, 50113),
    ],
)
def test_who_does_not_prove_who_asks_is_refused(desk: OkxDesk, wrong: dict[str, str], code: int) -> None:
    answer = desk.answer("GET", "/account/balance", {}, **wrong)
    assert (answer.status, answer.code) == (401, code)


def test_a_key_that_may_not_trade_reads(desk: OkxDesk) -> None:
    desk.account.can_trade = False
    assert desk.answer("POST", "/trade/order", {"instId": SWAP}).code == 50120
    assert desk.answer("POST", "/account/set-leverage", {"instId": SWAP, "lever": "5"}).code == 50120
    assert desk.get("/account/config")[0]["perm"] == "read_only"


def test_a_market_that_is_not_traded_takes_no_orders(desk: OkxDesk) -> None:
    for status, code in (("suspend", "51155"), ("settling", "51030"), ("expired", "51027")):
        desk.venue.state.instruments[SWAP].status = status
        assert desk.place()["sCode"] == code
        assert desk.algo("sell", triggerPx="49000", orderPx="-1")["sCode"] == code


def test_too_many_orders_in_two_seconds_are_refused_until_they_have_passed(desk: OkxDesk) -> None:
    desk.exchange.limits.orders_two_seconds = 2
    order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
    for _ in range(2):
        assert desk.answer("POST", "/trade/order", order).code == 0
    answer = desk.answer("POST", "/trade/order", order)
    assert (answer.status, answer.code) == (429, 50011)
    desk.now_ms += 2_000
    assert desk.answer("POST", "/trade/order", order).code == 0


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/public/instruments", {}, 50014),
        ("/market/candles", {"instId": SWAP, "bar": "7m"}, 51000),
        ("/market/candles", {"instId": SWAP, "limit": "301"}, 51000),
        ("/market/candles", {"instId": "X"}, 51001),
        ("/market/books", {"instId": SWAP, "sz": "401"}, 51000),
        ("/trade/order", {"ordId": "1"}, 51603),
        ("/trade/order-algo", {"algoId": "1"}, 51603),
        ("/trade/orders-pending", {"after": "x"}, 51000),
        ("/trade/orders-pending", {"limit": "0"}, 51000),
        ("/trade/orders-algo-history", {"ordType": "trigger"}, 50014),
        ("/trade/nothing", {}, 50115),
    ],
)
def test_what_cannot_be_asked_is_refused(
    desk: OkxDesk, path: str, sent: dict[str, object], code: int
) -> None:
    assert desk.answer("GET", path, sent).code == code
