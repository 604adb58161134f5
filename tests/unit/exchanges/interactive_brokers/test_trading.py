"""Orders on the gateway: matching, modifying, cancelling, what waits, what is refused, and whose they are."""

from typing import Any

import pytest
from ibapi.execution import ExecutionFilter

from tests.unit.exchanges.interactive_brokers.desk import MAIN, Client, D, Desk

DAY_MS = 86_400_000


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def main(desk: Desk) -> Client:
    return desk.main


def test_an_order_at_market_takes_what_stands_there_level_by_level(desk: Desk, main: Client) -> None:
    main.buy(1, "600")
    fills = [(e.shares, e.price) for _, _, e in main.take("execDetails")]
    assert fills == [(500, 190.1), (100, 190.11)]
    account = desk.venue.state.accounts[MAIN]
    assert account.wallet == 1_000_000 - D("3.00")  # half a cent a share
    assert desk.held() == 600


def test_a_limit_order_rests_and_fills_at_its_own_price_in_parts(desk: Desk, main: Client) -> None:
    main.buy(1, "600", 189.0)
    assert main.statuses() == [(1, "Submitted", 0)]
    desk.touch("188.80", "189.00", size="250")
    desk.touch("188.80", "189.00", size="500")
    assert [given[1:3] for given in main.take("orderStatus")] == [("Submitted", D(250)), ("Filled", D(600))]
    assert {fill.price for fill in desk.venue.state.fills} == {D("189.0")}
    assert sum(fill.fee for fill in desk.venue.state.fills) == 3


def test_the_same_id_modifies_and_keeps_the_turn_only_of_what_gets_smaller(desk: Desk, main: Client) -> None:
    for order_id in (1, 2):
        main.buy(order_id, "100", 189.0)
    main.buy(1, "50", 189.0)
    assert main.take("openOrder")[-1][2].totalQuantity == 50
    desk.touch("188.80", "189.00", size="60")
    assert [(f.order_id, f.qty) for f in desk.venue.state.fills] == [(1, 50), (2, 10)]
    main.buy(2, "100", 190.10)  # now it crosses
    assert desk.held() == 150


def test_what_is_left_of_an_order_that_may_not_wait_is_cancelled(desk: Desk, main: Client) -> None:
    main.buy(1, "600", 190.10, tif="IOC")
    assert main.statuses()[-1] == (1, "Cancelled", 500)
    main.buy(2, "600", 190.10, tif="FOK")
    assert main.statuses()[-1] == (2, "Cancelled", 0)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"lmtPrice": 189.005}, 110),
        ({"lmtPrice": -1.0}, 110),
        ({"orderType": "PEG MKT"}, 387),
        ({"totalQuantity": "0"}, 434),
        ({"totalQuantity": "1.5"}, 10243),
        ({"account": "DU0"}, 321),
        ({"tif": "OPG"}, 321),
        ({"tif": "GTD", "goodTillDate": "tomorrow"}, 321),
        ({"orderType": "STP"}, 321),
        ({"parentId": 99}, 135),
        ({"symbol": "NOSUCH"}, 200),
    ],
)
def test_what_is_refused_is_told_its_code_and_changes_nothing(
    desk: Desk, main: Client, terms: dict[str, Any], code: int
) -> None:
    asked = {"action": "BUY", "totalQuantity": "10", "orderType": "LMT", "lmtPrice": 189.0, **terms}
    main.place(1, **asked)
    assert main.errors() == [(1, code)]
    assert desk.venue.state.orders == {}


def test_an_order_without_margin_is_rejected_with_201_and_inactive(desk: Desk, main: Client) -> None:
    main.buy(1, "100000")
    calls = [(name, given) for name, given in main.heard.calls if name in ("error", "orderStatus")]
    assert [(name, given[1] if name == "orderStatus" else given[2]) for name, given in calls] == [
        ("error", 201), ("orderStatus", "Inactive"),
    ]  # fmt: skip
    assert "MUST EXCEED THE INITIAL MARGIN" in calls[0][1][3]
    assert desk.held() == 0


def test_modifying_what_has_ended_or_is_another_is_refused(main: Client) -> None:
    main.buy(1, "10")
    main.buy(2, "10", 180.0)
    main.cancel(2)
    main.buy(3, "10", 180.0)
    main.take()
    main.buy(1, "20")
    main.buy(2, "20", 180.0)
    main.sell(3, "10", 180.0)
    assert main.errors() == [(1, 104), (2, 103), (3, 105)]


def test_cancelling_tells_status_and_202_and_what_cannot_be_cancelled(main: Client) -> None:
    main.buy(1, "10", 180.0)
    main.take()
    main.cancel(1)
    told = [(name, given[1] if name == "orderStatus" else given[2]) for name, given in main.heard.calls]
    assert told == [("orderStatus", "Cancelled"), ("error", 202)]
    main.take()
    main.cancel(1)
    main.cancel(77)
    assert main.errors() == [(1, 10148), (77, 10147)]


def test_open_orders_are_of_the_same_client_id(desk: Desk, main: Client) -> None:
    other = desk.client(8)
    main.buy(1, "10", 180.0)
    other.take()
    other.api.reqOpenOrders()
    assert other.take("openOrder") == []
    other.cancel(1)
    assert other.errors() == [(1, 10147)]
    other.api.reqAllOpenOrders()
    assert [given[0] for given in other.take("openOrder")] == [1]
    again = desk.client(7)  # after a restart
    assert again.take("nextValidId") == [(2,)]
    again.api.reqOpenOrders()
    assert [name for name, _ in again.heard.calls] == ["openOrder", "orderStatus", "openOrderEnd"]


def test_an_order_id_of_before_is_refused_as_a_duplicate(desk: Desk, main: Client) -> None:
    main.buy(5, "10", 180.0)
    main.take()
    main.buy(3, "10", 180.0)
    assert main.errors() == [(3, 103)]


def test_executions_are_of_the_current_day_only(desk: Desk, main: Client) -> None:
    main.buy(1, "10")
    main.api.reqExecutions(9, ExecutionFilter())
    assert len(main.take("execDetails")) == 2  # as it happened, and as it was asked for
    desk.pass_time(DAY_MS // 2 + 1000)
    main.take()
    main.api.reqExecutions(9, ExecutionFilter())
    assert [name for name, _ in main.heard.calls] == ["execDetailsEnd"]
    main.api.reqPositions()
    assert main.take("position")[0][2] == 10


@pytest.mark.parametrize(
    ("field", "value", "count"), [("side", "BUY", 2), ("symbol", "MSFT", 0), ("clientId", 8, 0)]
)
def test_executions_are_filtered(desk: Desk, main: Client, field: str, value: object, count: int) -> None:
    main.buy(1, "10")
    main.sell(2, "5")
    main.buy(3, "5")
    main.take()
    asked = ExecutionFilter()
    setattr(asked, field, value)
    main.api.reqExecutions(9, asked)
    assert len(main.take("execDetails")) == count


def test_a_stop_waits_for_its_price_and_a_touched_one_for_the_other_side(desk: Desk, main: Client) -> None:
    main.buy(1, "20")
    main.place(2, action="SELL", totalQuantity="10", orderType="STP", auxPrice=185.0)
    main.place(3, action="SELL", totalQuantity="10", orderType="LIT", auxPrice=195.0, lmtPrice=195.0)
    assert [status for _, status, _ in main.statuses()][-2:] == ["PreSubmitted", "PreSubmitted"]
    desk.touch("185.01", "185.20")
    assert desk.held() == 20
    desk.touch("185.00", "185.20")
    assert desk.held() == 10
    desk.touch("195.00", "195.20")
    assert desk.held() == 0
    assert [fill.price for fill in desk.venue.state.fills][1:] == [D("185.00"), D("195.00")]


@pytest.mark.parametrize("terms", [{"auxPrice": 2.0}, {"trailingPercent": 1.0}])
def test_a_trailing_stop_follows_and_does_not_go_back(
    desk: Desk, main: Client, terms: dict[str, Any]
) -> None:
    main.buy(1, "10")
    main.place(2, action="SELL", totalQuantity="10", orderType="TRAIL", **terms)
    desk.touch("200.00", "200.10")
    desk.touch("198.01", "198.10")
    assert desk.held() == 10
    desk.touch("198.00", "198.10")
    assert desk.held() == 0


def test_a_trailing_stop_limit_has_its_limit_from_its_stop(desk: Desk, main: Client) -> None:
    main.buy(1, "10")
    main.place(
        2, action="SELL", totalQuantity="10", orderType="TRAIL LIMIT", auxPrice=2.0, lmtPriceOffset=0.5
    )
    desk.touch("180.00", "180.10")  # far below the limit of 187.40
    assert desk.held() == 10
    assert desk.venue.order(7, 2).limit == D("187.40")  # type: ignore[union-attr]
    desk.touch("187.40", "187.50")
    assert desk.held() == 0


def test_the_children_of_a_bracket_wait_and_end_each_other(desk: Desk, main: Client) -> None:
    main.buy(1, "10", 180.0)
    main.sell(2, "10", 195.0, parentId=1)
    main.place(3, action="SELL", totalQuantity="10", orderType="STP", auxPrice=170.0, parentId=1)
    assert [status for _, status, _ in main.statuses()] == ["Submitted", "PreSubmitted", "PreSubmitted"]
    desk.touch("196.00", "196.10")  # nothing to close yet
    assert desk.held() == 0
    desk.touch("179.90", "180.00")
    assert desk.held() == 10
    desk.touch("195.00", "195.10")
    assert desk.held() == 0
    assert [desk.venue.order(7, n).status for n in (1, 2, 3)] == ["Filled", "Filled", "Cancelled"]  # type: ignore[union-attr]


def test_an_order_that_ends_takes_its_children_with_it(desk: Desk, main: Client) -> None:
    main.buy(1, "10", 180.0)
    main.sell(2, "10", 195.0, parentId=1)
    main.cancel(1)
    assert desk.venue.open_orders() == []


@pytest.mark.parametrize(("kind", "left"), [(1, []), (2, [6])])
def test_a_group_ends_or_shrinks_when_one_is_filled(
    desk: Desk, main: Client, kind: int, left: list[int]
) -> None:
    main.buy(1, "10", 180.0, ocaGroup="one", ocaType=kind)
    main.buy(2, "4", 185.0, ocaGroup="one", ocaType=kind)
    desk.touch("184.90", "185.00")
    assert [order.left for order in desk.venue.open_orders()] == left


@pytest.mark.parametrize("terms", [{"tif": "DAY"}, {"tif": "GTD", "goodTillDate": "20240101 23:59:59 UTC"}])
def test_orders_end_with_their_day(desk: Desk, main: Client, terms: dict[str, Any]) -> None:
    main.buy(1, "10", 100.0, **terms)
    main.buy(2, "10", 100.0)
    desk.pass_time(DAY_MS // 2)
    assert [order.id for order in desk.venue.open_orders()] == [2]
    assert (1, 202) in main.errors()


def test_nothing_of_a_halted_contract_trades(desk: Desk, main: Client) -> None:
    main.buy(1, "10", 189.0)
    desk.venue.state.contracts[265598].halted = True
    desk.touch("188.00", "188.10")
    main.take()
    main.buy(2, "10")
    assert main.errors() == [(2, 201)]
    assert desk.held() == 0
    desk.venue.state.contracts[265598].halted = False
    desk.touch("188.00", "188.10")
    assert desk.held() == 10


def test_each_account_has_its_own_orders_positions_and_money(desk: Desk, main: Client) -> None:
    main.buy(1, "10", account="DU7654321")
    main.buy(2, "5")
    assert (desk.held(account="DU7654321"), desk.held()) == (10, 5)
    main.api.reqPositions()
    assert {given[0]: given[2] for given in main.take("position")} == {MAIN: D(5), "DU7654321": D(10)}
    asked = ExecutionFilter()
    asked.acctCode = "DU7654321"
    main.api.reqExecutions(9, asked)
    assert {e.acctNumber for _, _, e in main.take("execDetails")} == {"DU7654321"}


def test_a_future_is_paid_by_its_moves_and_a_currency_by_its_price(desk: Desk, main: Client) -> None:
    desk.touch("5000.00", "5000.25", "20", "ESH4")
    main.place(1, "ESH4", action="BUY", totalQuantity="2", orderType="MKT")
    account = desk.venue.state.accounts[MAIN]
    assert desk.venue.funds(account).cash == account.wallet == D(1_000_000) - D("4.50")
    desk.touch("5010.25", "5010.50", "20", "ESH4")
    main.place(2, "ESH4", action="SELL", totalQuantity="2", orderType="MKT")
    assert desk.venue.state.fills[-1].realized == D(10) * 50 * 2
    desk.touch("1.10000", "1.10005", "1000000", "EUR.USD")
    main.place(3, "EUR.USD", action="BUY", totalQuantity="1000", orderType="MKT")
    assert desk.venue.funds(account).cash == account.wallet - D("1100.05")
    assert desk.venue.state.fills[-1].fee == 2
