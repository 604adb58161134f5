from decimal import Decimal
from typing import Any

import pytest

from exchanges.binance.core import settling
from exchanges.core.book import Side
from tests.unit.exchanges.desk import HOUR_MS, NOW_MS, Desk

DAY_MS = 24 * HOUR_MS
TRADES, ORDERS = "/fapi/v1/userTrades", "/fapi/v1/allOrders"


def aged(desk: Desk, *days: float) -> list[int]:
    """Filled orders of some ages, oldest first: the ids of their fills."""
    for age in days:
        settling.adopt(
            desk.venue, desk.account, "BTCUSDT", Decimal(1), Decimal(50_000), at_ms=NOW_MS - int(age * DAY_MS)
        )
    return [trade.id for trade in desk.venue.state.trades]


def test_trades_are_those_of_seven_days_and_no_window_is_longer() -> None:
    desk = Desk()
    old, middle, new = aged(desk, 20, 6, 0)

    def ids(**params: object) -> list[int]:
        return [trade["id"] for trade in desk.ask("GET", TRADES, symbol="BTCUSDT", **params)]

    assert ids() == [middle, new]
    assert ids(startTime=NOW_MS - 21 * DAY_MS) == [old]
    assert ids(endTime=NOW_MS - 19 * DAY_MS) == [old]
    assert ids(startTime=NOW_MS - 7 * DAY_MS, endTime=NOW_MS, limit=1) == [middle]
    assert ids(limit=1) == [new]
    assert ids(fromId=old) == [old, middle, new]
    assert ids(fromId=middle, limit=1) == [middle]
    window = {"startTime": NOW_MS - 7 * DAY_MS - 1, "endTime": NOW_MS}
    assert desk.code("GET", TRADES, symbol="BTCUSDT", **window) == -4165
    assert desk.code("GET", TRADES, symbol="BTCUSDT", startTime=NOW_MS, endTime=NOW_MS - 1) == -4165
    assert desk.code("GET", TRADES, symbol="BTCUSDT", startTime=NOW_MS, fromId=1) == -1128
    assert desk.code("GET", TRADES, symbol="BTCUSDT", limit=0) == -1130


def test_orders_are_paged_and_old_ones_are_no_longer_told() -> None:
    desk = Desk()
    aged(desk, 91, 60, 2)
    ids = [order.id for order in desk.venue.state.orders.values()]

    def found(**params: object) -> list[int]:
        return [order["orderId"] for order in desk.ask("GET", ORDERS, symbol="BTCUSDT", **params)]

    assert found() == ids[2:]
    assert found(orderId=1) == ids[1:]
    assert found(orderId=1, limit=1) == [ids[1]]
    assert found(startTime=NOW_MS - 61 * DAY_MS) == [ids[1]]
    never_filled = desk.limit("BUY", "1", "49000")
    desk.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=never_filled["orderId"])
    assert found()[-1] == never_filled["orderId"]
    desk.now_ms += 4 * DAY_MS
    assert never_filled["orderId"] not in found(orderId=1)


def test_what_was_done_long_ago_is_a_position_that_no_recent_report_explains() -> None:
    desk = Desk()
    aged(desk, 100)
    assert desk.events() == []
    (row,) = desk.ask("GET", "/fapi/v3/positionRisk")
    assert (row["positionAmt"], row["entryPrice"]) == ("1.000", "50000")
    assert desk.ask("GET", ORDERS, symbol="BTCUSDT", orderId=1) == []
    assert desk.ask("GET", TRADES, symbol="BTCUSDT") == []


def test_positions_are_told_of_symbols_that_are_held_or_asked_for() -> None:
    desk = Desk()
    assert desk.ask("GET", "/fapi/v3/positionRisk") == []
    assert len(desk.ask("GET", "/fapi/v2/positionRisk")) == 2
    assert desk.ask("GET", "/fapi/v3/positionRisk", symbol="ETHUSDT")[0]["positionAmt"] == "0.000"
    desk.limit("BUY", "1", "49000")
    assert [row["symbol"] for row in desk.ask("GET", "/fapi/v3/positionRisk")] == ["BTCUSDT"]


def test_margin_is_bound_by_positions_and_orders() -> None:
    desk = Desk()
    desk.market("SELL", "2")
    desk.limit("BUY", "1", "49000")
    asset = desk.ask("GET", "/fapi/v2/account")["assets"][0]
    mark = desk.venue.mark("BTCUSDT")
    profit = 2 * (Decimal("50000.0") - mark)
    assert Decimal(asset["positionInitialMargin"]) == 2 * mark / 20
    assert Decimal(asset["openOrderInitialMargin"]) == Decimal(49_000) / 20
    assert (
        Decimal(asset["availableBalance"])
        == desk.account.wallet + profit - 2 * mark / 20 - Decimal(49_000) / 20
    )


def test_klines_page_to_an_end() -> None:
    desk = Desk()
    minute = 60_000
    start, rows = NOW_MS - 10 * minute, []
    while page := desk.ask(
        "GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=start, limit=4
    ):
        rows += page
        start = page[-1][0] + 1
    assert [row[0] for row in rows] == [NOW_MS - n * minute for n in range(10, -1, -1)]
    assert all(Decimal(row[3]) <= min(Decimal(row[1]), Decimal(row[4])) for row in rows)
    assert all(Decimal(row[2]) >= max(Decimal(row[1]), Decimal(row[4])) for row in rows)
    assert desk.code("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1s") == -1120


def test_bars_are_of_the_trades() -> None:
    desk = Desk()
    desk.exchange.feed.news()
    desk.market("BUY", "7")
    desk.exchange.feed.news()
    (row,) = desk.ask("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1)
    assert row[1:6] == ["50000.1", "50000.2", "50000.1", "50000.2", "7.000"]


def test_depth_changes_add_up_to_the_book() -> None:
    desk = Desk()
    desk.exchange.feed.news()
    snapshot = desk.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    book = {side: {Decimal(p): Decimal(q) for p, q in snapshot[side]} for side in ("bids", "asks")}
    last, changes = snapshot["lastUpdateId"], []
    for act in (
        lambda: desk.market("BUY", "7"),
        lambda: desk.limit("BUY", "1", "49999.5"),
        lambda: desk.touch("50100", "50100.1", "1"),
    ):
        act()
        changes += [m for stream, m in desk.exchange.feed.news() if stream == "btcusdt@depth@0ms"]
    assert len(changes) == 3
    for change in changes:
        assert change["pu"] == last
        last = change["u"]
        _apply(book, change)
    now = desk.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    assert now["lastUpdateId"] == last
    assert list(book["bids"].items()) == desk.venue.books["BTCUSDT"].depth(Side.BUY)
    assert list(book["asks"].items()) == desk.venue.books["BTCUSDT"].depth(Side.SELL)


def _apply(book: dict[str, dict[Decimal, Decimal]], change: dict[str, Any]) -> None:
    for side, rows in (("bids", change["b"]), ("asks", change["a"])):
        for price, qty in rows:
            book[side][Decimal(price)] = Decimal(qty)
        kept = {price: qty for price, qty in book[side].items() if qty}
        book[side] = dict(sorted(kept.items(), reverse=side == "bids"))


@pytest.mark.parametrize(
    "path",
    [
        "/fapi/v1/ping", "/fapi/v1/time", "/fapi/v1/exchangeInfo", "/fapi/v1/premiumIndex", "/fapi/v1/fundingRate",
        "/fapi/v1/ticker/price", "/fapi/v1/ticker/bookTicker", "/fapi/v1/leverageBracket", "/fapi/v1/symbolConfig",
        "/fapi/v3/account", "/fapi/v3/balance", "/fapi/v1/income", "/fapi/v1/positionSide/dual",
    ],
)  # fmt: skip
def test_every_endpoint_that_needs_nothing_answers(path: str) -> None:
    assert Desk().ask("GET", path) is not None


def test_filters_say_what_is_checked() -> None:
    symbol = Desk().ask("GET", "/fapi/v1/exchangeInfo")["symbols"][0]
    filters = {row["filterType"]: row for row in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
