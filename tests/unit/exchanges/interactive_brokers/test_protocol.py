"""Each message of the gateway is read by ibapi's own decoder, each request of its own encoder by the gateway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibapi.const import UNSET_DOUBLE
from ibapi.execution import ExecutionFilter

from exchanges.interactive_brokers.core.wire import Frames, NoFrame, frame
from tests.unit.exchanges.interactive_brokers.desk import MAIN, Client, D, Desk, contract

ANY_FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def main(desk: Desk) -> Client:
    return desk.main


@given(st.lists(st.lists(ANY_FIELD, min_size=1, max_size=5), max_size=5), st.integers(1, 9))
def test_frames_are_the_same_however_they_are_cut(messages: list[list[str]], piece: int) -> None:
    sent = b"API\0" + b"".join(frame(message) for message in messages)
    frames = Frames()
    heard = [m for at in range(0, len(sent), piece) for m in frames.feed(sent[at : at + piece])]
    assert heard == messages


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"API\0\xff\xff\xff\xff", b"API\0\0\0\0\1\xff"])
def test_what_is_no_frame_is_not_taken_for_one(data: bytes) -> None:
    with pytest.raises(NoFrame):
        Frames().feed(data)


def test_a_client_is_told_its_accounts_its_next_id_and_the_farms(desk: Desk) -> None:
    client = desk.client(3)
    told = client.heard.calls
    assert [name for name, _ in told] == ["managedAccounts", "nextValidId", "error", "error"]
    assert told[0][1] == (f"{MAIN},DU7654321",)
    assert told[1][1] == (1,)
    assert [given[2] for name, given in told if name == "error"] == [2104, 2106]


@pytest.mark.parametrize(
    ("symbol", "kind", "tick", "exchange", "multiplier"),
    [
        ("AAPL", "STK", 0.01, "SMART", ""),
        ("EUR.USD", "CASH", 0.00005, "IDEALPRO", ""),
        ("ESH4", "FUT", 0.25, "CME", "50"),
    ],
)
def test_contract_details_are_read_whole(
    main: Client, symbol: str, kind: str, tick: float, exchange: str, multiplier: str
) -> None:
    main.api.reqContractDetails(5, contract(symbol))
    calls, main.heard.calls = main.heard.calls, []
    assert [name for name, _ in calls] == ["contractDetails", "contractDetailsEnd"]
    details = calls[0][1][1]
    assert (details.contract.secType, details.minTick, details.contract.exchange) == (kind, tick, exchange)
    assert (details.contract.localSymbol, details.contract.multiplier) == (symbol, multiplier)
    assert (details.priceMagnifier, details.timeZoneId) == (1, "UTC")
    assert (details.minSize, details.suggestedSizeIncrement) == (1, 1)  # the last fields of all
    if kind == "FUT":
        assert (details.contract.lastTradeDateOrContractMonth, details.underSecType) == ("20240315", "IND")
    if kind == "STK":
        assert (details.contract.primaryExchange, details.secIdList[0].value) == ("NASDAQ", "US0378331005")


@pytest.mark.parametrize(
    ("pattern", "found"), [("AA", ["AAPL"]), ("apple", ["AAPL"]), ("EUR", ["EUR"]), ("ES", [])]
)
def test_symbols_are_found_by_how_they_or_their_names_begin(
    main: Client, pattern: str, found: list[str]
) -> None:
    main.api.reqMatchingSymbols(5, pattern)
    (given,) = main.take("symbolSamples")
    assert (given[0], [each.contract.symbol for each in given[1]]) == (5, found)
    if found == ["AAPL"]:
        (one,) = given[1]
        assert (one.contract.secType, one.contract.primaryExchange) == ("STK", "NASDAQ.NMS")
        assert (one.contract.currency, one.contract.description) == ("USD", "APPLE INC")


def test_a_contract_that_is_not_there_is_error_200(main: Client) -> None:
    main.api.reqContractDetails(5, contract("NOSUCH"))
    assert main.errors() == [(5, 200)]
    main.api.reqMktData(6, contract("NOSUCH"), "", False, False, [])
    assert main.errors() == [(6, 200)]


def test_an_open_order_comes_back_as_it_was_placed(main: Client) -> None:
    terms = {"goodTillDate": "20240301 10:00:00 UTC", "ocaGroup": "one", "ocaType": 2, "outsideRth": True}
    main.place(
        11, action="SELL", totalQuantity="30", orderType="TRAIL LIMIT", auxPrice=1.5, trailStopPrice=180.25,
        lmtPriceOffset=0.75, orderRef="mine", tif="GTD", triggerMethod=4, **terms,
    )  # fmt: skip
    order_id, asked, order, state = main.take("openOrder")[0]
    assert (order_id, asked.localSymbol, asked.exchange) == (11, "AAPL", "SMART")
    assert (order.action, order.totalQuantity, order.orderType) == ("SELL", 30, "TRAIL LIMIT")
    assert (order.auxPrice, order.trailStopPrice, order.lmtPriceOffset) == (1.5, 180.25, 0.75)
    assert {name: getattr(order, name) for name in terms} == terms
    assert (order.orderRef, order.tif, order.account, order.clientId) == ("mine", "GTD", MAIN, 7)
    assert (order.triggerMethod, order.trailingPercent, order.permId > 0) == (4, UNSET_DOUBLE, True)
    assert (state.status, state.commissionAndFeesCurrency, order.usePriceMgmtAlgo) == (
        "PreSubmitted",
        "USD",
        False,
    )
    assert (order.minTradeQty, order.midOffsetAtHalf) == (2**31 - 1, UNSET_DOUBLE)  # the last field of all


@pytest.mark.parametrize(
    "terms", [{"orderType": "LMT", "lmtPrice": 180.0}, {"orderType": "STP", "auxPrice": 200.0}]
)
def test_prices_that_an_order_has_not_are_unset(main: Client, terms: dict[str, object]) -> None:
    main.place(11, action="BUY", totalQuantity="3", **terms)
    order = main.take("openOrder")[0][2]
    unset = {"lmtPrice", "auxPrice", "trailStopPrice", "trailingPercent", "lmtPriceOffset"} - terms.keys()
    assert all(getattr(order, name) == UNSET_DOUBLE for name in unset)
    assert all(getattr(order, name) == value for name, value in terms.items())


def test_a_fill_is_execution_status_commission_and_position(main: Client) -> None:
    main.api.reqPositions()
    main.take()
    main.buy(21, "10", orderRef="mine:21")
    calls = [(name, given) for name, given in main.heard.calls if name not in ("openOrder",)]
    assert [name for name, _ in calls] == [
        "orderStatus", "execDetails", "orderStatus", "commissionAndFeesReport", "position",
    ]  # fmt: skip
    _, asked, execution = calls[1][1]
    assert (asked.symbol, execution.side, execution.shares, execution.price) == ("AAPL", "BOT", 10, 190.1)
    assert (execution.cumQty, execution.avgPrice, execution.orderRef) == (10, 190.1, "mine:21")
    assert (execution.clientId, execution.acctNumber, execution.lastLiquidity) == (7, MAIN, 2)
    assert execution.time == "20240101 12:00:00 UTC"
    assert calls[2][1][:5] == (21, "Filled", D(10), D(0), 190.1)
    report = calls[3][1][0]
    assert (report.execId, report.commissionAndFees, report.currency) == (execution.execId, 1.0, "USD")
    assert calls[4][1][0] == MAIN
    assert calls[4][1][2:] == (D(10), 190.1)


def test_summary_positions_and_executions_end_with_their_ends(main: Client) -> None:
    main.buy(21, "10")
    main.take()
    main.api.reqAccountSummary(8, "All", "NetLiquidation,TotalCashValue,FullAvailableFunds,NoSuchTag")
    rows = main.take("accountSummary", "accountSummaryEnd")
    mine = {given[2]: given[3] for given in rows[:-1] if given[1] == MAIN}
    assert mine == {
        "NetLiquidation": "999998.00",  # bought at the ask, valued at the middle, a dollar paid
        "TotalCashValue": "998098.00",
        "FullAvailableFunds": "999048.00",
    }
    assert rows[-1] == (8,)
    main.api.reqExecutions(9, ExecutionFilter())
    assert [name for name, _ in main.heard.calls] == [
        "execDetails",
        "commissionAndFeesReport",
        "execDetailsEnd",
    ]
    assert main.take("execDetails")[0][0] == 9


def test_market_data_is_told_at_each_change_and_not_after_the_end(desk: Desk, main: Client) -> None:
    main.api.reqMktData(31, contract("AAPL"), "", False, False, [])
    main.api.reqTickByTickData(32, contract("AAPL"), "AllLast", 0, False)
    main.api.reqTickByTickData(33, contract("AAPL"), "BidAsk", 0, False)
    desk.news(main)
    assert [given[:3] for given in main.take("tickPrice")] == [(31, 1, 189.9), (31, 2, 190.1)]
    desk.news(main)
    assert main.heard.calls == []
    main.buy(21, "10")
    desk.news(main)
    names = [name for name, _ in main.heard.calls]
    assert {"tickPrice", "tickSize", "tickByTickAllLast", "tickByTickBidAsk"} <= set(names)
    assert main.take("tickByTickAllLast")[0][3:5] == (190.1, D(10))
    for end in (main.api.cancelMktData, main.api.cancelTickByTickData):
        end(31 if end == main.api.cancelMktData else 33)
    main.api.cancelTickByTickData(32)
    desk.touch("180.00", "180.10")
    desk.news(main)
    assert main.take("tickPrice", "tickByTickBidAsk") == []
    main.api.cancelMktData(31)
    assert main.errors() == [(31, 300)]


def test_bars_of_five_seconds_come_when_they_end(desk: Desk, main: Client) -> None:
    main.api.reqRealTimeBars(41, contract("AAPL"), 5, "TRADES", False, [])
    desk.news(main)
    main.take()
    main.buy(21, "10")
    desk.news(main)
    assert main.take("realtimeBar") == []
    desk.pass_time(5_000)
    desk.news(main)
    (bar,) = main.take("realtimeBar")
    assert bar[:6] == (41, 1_704_110_400, 189.9, 190.1, 189.9, 190.1)
    assert bar[6] == D(10)


def test_history_is_of_the_price_path_and_kept_up_to_date(desk: Desk, main: Client) -> None:
    main.api.reqHistoricalData(51, contract("AAPL"), "", "600 S", "1 min", "TRADES", 0, 2, True, [])
    bars = main.take("historicalData")
    assert [int(given[1].date) for given in bars] == [1_704_110_400 - 60 * n for n in range(10, 0, -1)]
    assert all(given[1].low <= given[1].open <= given[1].high for given in bars)
    desk.news(main)
    desk.pass_time(61_000)
    desk.news(main)
    updates = main.take("historicalDataUpdate")
    assert [int(given[1].date) for given in updates] == [1_704_110_400, 1_704_110_460]
    main.api.reqHistoricalData(52, contract("AAPL"), "", "5 D", "1 day", "BID", 0, 2, False, [])
    assert [given[1].date for given in main.take("historicalData")][-2:] == ["20231231", "20240101"]


@pytest.mark.parametrize(
    ("duration", "size", "show", "code"),
    [("1 X", "1 min", "TRADES", 321), ("1 D", "7 mins", "TRADES", 321), ("1 D", "1 min", "VOLUME", 321)],
)
def test_bars_that_there_are_not_are_refused(
    main: Client, duration: str, size: str, show: str, code: int
) -> None:
    main.api.reqHistoricalData(51, contract("AAPL"), "", duration, size, show, 0, 2, False, [])
    assert main.errors() == [(51, code)]


def test_what_is_not_offered_is_refused_and_not_ignored(main: Client) -> None:
    main.api.reqMktDepth(61, contract("AAPL"), 5, False, [])
    main.api.reqNewsProviders()
    assert main.errors() == [(-1, 321), (-1, 321)]
    main.place(11, action="BUY", totalQuantity="3", orderType="MKT", hedgeType="D", hedgeParam="1")
    main.place(12, action="BUY", totalQuantity="3", orderType="MKT", whatIf=True)
    main.place(13, action="BUY", totalQuantity="3", orderType="MKT", algoStrategy="Vwap", algoParams=[])
    assert main.errors() == [(11, 321), (12, 321), (13, 321)]


@given(
    st.lists(
        st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=6), min_size=1, max_size=120
    )
)
def test_no_request_brings_the_gateway_down(fields: list[str]) -> None:
    desk = Desk()
    for kind in (fields[0], "1", "3", "4", "7", "9", "20", "50", "62", "97"):
        answers, _ = desk.gateway.answer(desk.main.session, [kind, *fields[1:]], desk.now_ms)
        desk.main.tell(answers)
