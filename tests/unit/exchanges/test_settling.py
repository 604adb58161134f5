from decimal import Decimal

from exchanges.binance.core import settling
from exchanges.binance.core.limits import Limits
from tests.unit.exchanges.desk import HOUR_MS, NOW_MS, Desk

D = Decimal


def test_funding_is_paid_at_its_times_by_those_who_are_long() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    before, mark = desk.account.wallet, desk.venue.mark("BTCUSDT")
    desk.now_ms = NOW_MS + 7 * HOUR_MS
    desk.ask("GET", "/fapi/v1/ping")
    assert desk.account.wallet == before
    desk.now_ms = NOW_MS + 8 * HOUR_MS
    desk.ask("GET", "/fapi/v1/ping")
    desk.ask("GET", "/fapi/v1/ping")
    assert desk.account.wallet == before - mark * D("0.0001")
    paid = [event["a"]["m"] for event in desk.events() if event["e"] == "ACCOUNT_UPDATE"]
    assert paid == ["ORDER", "FUNDING_FEE"]
    (row,) = desk.ask("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert D(row["income"]) == -mark * D("0.0001")


def test_an_account_that_cannot_bear_its_position_is_called_then_closed_out() -> None:
    desk = Desk()
    for _ in range(2):
        desk.touch("50000.0", "50000.1", size="100")
        desk.market("BUY", "19")
    desk.touch("47680.0", "47680.1")
    assert [e["e"] for e in desk.events() if e["e"] == "MARGIN_CALL"] == ["MARGIN_CALL"]
    desk.touch("47000.0", "47000.1")
    assert desk.position() == 0
    closing = [e["o"] for e in desk.events() if e["e"] == "ORDER_TRADE_UPDATE"][-1]
    assert (closing["x"], closing["X"], closing["c"][:10]) == ("CALCULATED", "FILLED", "autoclose-")


def test_a_symbol_that_is_delisted_is_settled() -> None:
    desk = Desk()
    desk.market("BUY", "1")
    order = desk.limit("BUY", "1", "49000")
    desk.algo(side="SELL", type="STOP_MARKET", quantity="1", triggerPrice="49500")
    settling.delist(desk.venue, "BTCUSDT")
    assert (desk.position(), desk.shown(order)["status"]) == (0, "CANCELED")
    assert desk.ask("GET", "/fapi/v1/openAlgoOrders") == []
    assert desk.refused() == -4141
    assert desk.ask("GET", "/fapi/v1/exchangeInfo")["symbols"][0]["status"] == "CLOSE"


def test_fills_that_were_held_back_come_when_they_are_released() -> None:
    desk = Desk()
    desk.venue.conduct.hold_fills = True
    market, limit = desk.market("BUY", "1"), desk.limit("BUY", "1", "50000.1")
    assert (market["status"], limit["status"]) == ("NEW", "NEW")
    settling.release(desk.venue)
    assert (desk.shown(market)["status"], desk.shown(limit)["status"]) == ("FILLED", "FILLED")


def test_a_listen_key_lasts_an_hour_from_when_it_was_last_kept() -> None:
    desk = Desk()
    key = desk.ask("POST", "/fapi/v1/listenKey")
    assert desk.ask("POST", "/fapi/v1/listenKey") == key
    desk.now_ms += 59 * 60_000
    desk.ask("PUT", "/fapi/v1/listenKey")
    desk.now_ms += 59 * 60_000
    desk.ask("GET", "/fapi/v1/ping")
    assert desk.events() == []
    desk.now_ms += 60_001
    desk.ask("GET", "/fapi/v1/ping")
    assert desk.events() == [{"e": "listenKeyExpired", "E": desk.now_ms, "listenKey": key["listenKey"]}]
    assert desk.code("PUT", "/fapi/v1/listenKey") == -1125
    assert desk.ask("POST", "/fapi/v1/listenKey") != key
    desk.ask("DELETE", "/fapi/v1/listenKey")
    assert desk.code("DELETE", "/fapi/v1/listenKey") == -1125


def test_too_many_requests_are_429_and_going_on_is_418_until_the_ban_ends() -> None:
    desk = Desk()
    desk.exchange.limits.weight = 20
    answers = [desk.answer("GET", "/fapi/v2/account") for _ in range(15)]
    assert [answer.status for answer in answers] == [200] * 3 + [429] * 10 + [418] * 2
    assert answers[3].code == -1003
    assert 0 < int(answers[3].headers["Retry-After"]) <= 60
    assert answers[2].headers["X-MBX-USED-WEIGHT-1M"] == "16"  # one ping before
    desk.now_ms += 119_000
    assert desk.answer("GET", "/fapi/v1/ping").status == 418
    desk.now_ms += 2_000
    assert [desk.answer("GET", "/fapi/v2/account").status for _ in range(6)] == [200] * 4 + [429] * 2


def test_too_many_orders_are_429_for_ten_seconds() -> None:
    desk = Desk()
    desk.exchange.limits.orders_ten_seconds = 2
    assert [desk.answer("POST", "/fapi/v1/order").code for _ in range(3)] == [-1121, -1121, -1015]
    desk.now_ms += 10_000
    assert desk.refused(side="UP") == -1117


def test_limits_are_the_venues_again_once_they_are_reset() -> None:
    limits = Limits()
    limits.weight = 1
    limits.ban(NOW_MS)
    limits.reset()
    limits.charge(NOW_MS, "GET", "/fapi/v2/account", has_symbol=False)
    assert limits.weight == 2400


def test_settings_are_refused_while_they_would_change_what_there_is() -> None:
    desk = Desk()
    kind = {"symbol": "BTCUSDT", "marginType": "ISOLATED"}
    desk.ask("POST", "/fapi/v1/marginType", **kind)
    assert desk.code("POST", "/fapi/v1/marginType", **kind) == -4046
    desk.limit("BUY", "1", "49000")
    assert desk.code("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="CROSSED") == -4047
    assert desk.code("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true") == -4067
    assert desk.code("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false") == -4059
    assert desk.code("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="?") == -1130
