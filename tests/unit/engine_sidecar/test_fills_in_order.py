"""What several orders were filled while nobody listened reaches the position in the venue's order, and nothing is made up beside it. The stock
package fails it: where it does not any more, repairs/fills_in_order.py, reports_while_trading.py, torn_positions.py or late_fills.py
goes.
"""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import (
    ExecutionMassStatus,
    FillReport,
    OrderStatusReport,
    PositionStatusReport,
)
from nautilus_trader.live.config import LiveExecEngineConfig
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import (
    LiquiditySide,
    OmsType,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
)
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_trader.model.objects import Money
from nautilus_trader.model.position import Position
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.repairs.fills_in_order import (
    repair_order_of_fills,
    repair_reports_of_kept_instruments,
)
from flotilla.engine_sidecar.engine.repairs.late_fills import repair_late_fills
from flotilla.engine_sidecar.engine.repairs.reports_while_trading import repair_reports_while_trading
from flotilla.engine_sidecar.engine.repairs.torn_positions import repair_torn_positions

PERP = TestInstrumentProvider.btcusdt_perp_binance()
ACCOUNT = AccountId("BINANCE-001")
RESTS, BUYS, SELLS = "1", "2", "3"
# Buys 0.020 at 50000, then 0.010 of it is sold, and what rests is filled at 49000: held are 0.010 at 50000 and 0.010 at 49000.
TRADES = (
    ("11", BUYS, OrderSide.BUY, "0.020", "50000"),
    ("12", SELLS, OrderSide.SELL, "0.010", "50100"),
    ("13", RESTS, OrderSide.BUY, "0.010", "49000"),
)
AVERAGE = 49_500.0
LAST = ("14", RESTS, OrderSide.BUY, "0.010", "49000")


@pytest.fixture
def engine() -> Iterator[Any]:
    loop, clock = asyncio.new_event_loop(), LiveClock()
    bus = MessageBus(trader_id=TraderId("TESTER-001"), clock=clock)
    cache = Cache(database=None)
    cache.add_instrument(PERP)
    Portfolio(bus, cache, clock)  # the account of a fill is looked up by way of it
    cache.add_account(TestExecStubs.margin_account(ACCOUNT))
    yield LiveExecutionEngine(loop, bus, cache, clock, LiveExecEngineConfig())
    loop.close()


def order(number: str, order_type: OrderType, side: OrderSide, quantity: str) -> OrderStatusReport:
    filled = sum((Decimal(each[3]) for each in TRADES if each[1] == number), Decimal(0))
    return OrderStatusReport(
        account_id=ACCOUNT,
        instrument_id=PERP.id,
        venue_order_id=VenueOrderId(number),
        client_order_id=ClientOrderId(f"O-{number}"),
        order_side=side,
        order_type=order_type,
        time_in_force=TimeInForce.GTC,
        order_status=OrderStatus.FILLED if str(filled) == quantity else OrderStatus.PARTIALLY_FILLED,
        quantity=PERP.make_qty(quantity),
        filled_qty=PERP.make_qty(filled),
        price=PERP.make_price(49_000) if order_type == OrderType.LIMIT else None,
        avg_px=Decimal(50_000),
        report_id=UUID4(),
        ts_accepted=0,
        ts_last=0,
        ts_init=0,
    )


def fill(at_ns: int, trade: str, number: str, side: OrderSide, quantity: str, price: str) -> FillReport:
    return FillReport(
        account_id=ACCOUNT,
        instrument_id=PERP.id,
        venue_order_id=VenueOrderId(number),
        client_order_id=ClientOrderId(f"O-{number}"),
        trade_id=TradeId(trade),
        order_side=side,
        last_qty=PERP.make_qty(quantity),
        last_px=PERP.make_price(price),
        commission=Money(0, USDT),
        liquidity_side=LiquiditySide.TAKER,
        report_id=UUID4(),
        ts_event=at_ns,
        ts_init=at_ns,
    )


def mass_status() -> ExecutionMassStatus:
    """The orders as a venue lists them, the oldest first: what rests was sent before what it was filled after."""
    status = ExecutionMassStatus(
        client_id=ClientId("BINANCE"), account_id=ACCOUNT, venue=PERP.venue, report_id=UUID4(), ts_init=0
    )
    status.add_order_reports(
        [
            order(RESTS, OrderType.LIMIT, OrderSide.BUY, "0.030"),
            order(BUYS, OrderType.MARKET, OrderSide.BUY, "0.020"),
            order(SELLS, OrderType.MARKET, OrderSide.SELL, "0.010"),
        ]
    )
    status.add_fill_reports([fill(number, *trade) for number, trade in enumerate(TRADES, 1)])
    return status


def held(engine: Any) -> tuple[str, float]:
    (position,) = engine._cache.positions_open()
    return str(position.quantity), position.avg_px_open


def test_the_stock_package_adopts_fills_order_by_order_and_has_another_average(engine: Any) -> None:
    assert engine._reconcile_execution_mass_status(mass_status())
    assert held(engine)[0] == "0.020"
    assert held(engine)[1] != pytest.approx(AVERAGE)


def test_fills_are_adopted_by_time_each_once(engine: Any) -> None:
    repair_order_of_fills(engine)
    assert engine._reconcile_execution_mass_status(mass_status())
    assert held(engine) == ("0.020", pytest.approx(AVERAGE))
    assert engine._reconcile_execution_mass_status(mass_status())
    assert held(engine) == ("0.020", pytest.approx(AVERAGE))
    orders = {each.client_order_id.value: each for each in engine._cache.orders()}
    assert {name: (each.status_string(), str(each.filled_qty)) for name, each in orders.items()} == {
        "O-1": ("PARTIALLY_FILLED", "0.010"),
        "O-2": ("FILLED", "0.020"),
        "O-3": ("FILLED", "0.010"),
    }


def test_what_an_order_of_the_engine_was_filled_is_adopted_by_time_too(engine: Any) -> None:
    repair_order_of_fills(engine)
    accepted(engine)
    assert engine._cache.positions_open() == []
    assert engine._reconcile_execution_mass_status(mass_status())
    assert held(engine) == ("0.020", pytest.approx(AVERAGE))


def holds(quantity: str) -> PositionStatusReport:
    return PositionStatusReport(
        account_id=ACCOUNT,
        instrument_id=PERP.id,
        position_side=PositionSide.LONG,
        quantity=PERP.make_qty(quantity),
        avg_px_open=Decimal("49333.3"),
        report_id=UUID4(),
        ts_last=0,
        ts_init=0,
    )


def without_the_first() -> ExecutionMassStatus:
    """What the venue holds, and its last trades: the oldest it does not tell any more."""
    status = ExecutionMassStatus(
        client_id=ClientId("BINANCE"), account_id=ACCOUNT, venue=PERP.venue, report_id=UUID4(), ts_init=0
    )
    rests = order(RESTS, OrderType.LIMIT, OrderSide.BUY, "0.030")
    rests.filled_qty = PERP.make_qty("0.020")
    status.add_order_reports([rests, order(SELLS, OrderType.MARKET, OrderSide.SELL, "0.010")])
    status.add_fill_reports([fill(number, *trade) for number, trade in enumerate((*TRADES[1:], LAST), 2)])
    status.add_position_reports([holds("0.030")])
    return status


def known(engine: Any) -> None:
    """An engine that has the order that buys, and its fill."""
    status = ExecutionMassStatus(
        client_id=ClientId("BINANCE"), account_id=ACCOUNT, venue=PERP.venue, report_id=UUID4(), ts_init=0
    )
    status.add_order_reports([order(BUYS, OrderType.MARKET, OrderSide.BUY, "0.020")])
    status.add_fill_reports([fill(1, *TRADES[0])])
    assert engine._reconcile_execution_mass_status(status)
    assert held(engine)[0] == "0.020"


def test_the_stock_package_makes_up_an_order_where_a_venue_does_not_tell_all_trades(engine: Any) -> None:
    known(engine)
    engine._reconcile_execution_mass_status(without_the_first())
    assert {each.value for each in told(engine)} != {each[0] for each in (*TRADES, LAST)}


def test_trades_that_explain_a_position_with_a_kept_state_are_left_as_they_are(engine: Any) -> None:
    repair_reports_of_kept_instruments(engine)
    repair_order_of_fills(engine)
    known(engine)
    assert engine._reconcile_execution_mass_status(without_the_first())
    assert {each.value for each in told(engine)} == {each[0] for each in (*TRADES, LAST)}
    assert held(engine) == ("0.030", pytest.approx(148_000 / 3))


def test_an_order_whose_fill_was_made_up_explains_no_more_than_it_was_filled(engine: Any) -> None:
    """Its trade has another id at the venue, and is told again and again as long as it is among the last."""
    repair_reports_of_kept_instruments(engine)
    repair_order_of_fills(engine)
    known(engine)
    sold = ExecutionMassStatus(
        client_id=ClientId("BINANCE"), account_id=ACCOUNT, venue=PERP.venue, report_id=UUID4(), ts_init=0
    )
    sold.add_order_reports([order(SELLS, OrderType.MARKET, OrderSide.SELL, "0.010")])
    sold.add_fill_reports([fill(2, "made-up", *TRADES[1][1:])])
    assert engine._reconcile_execution_mass_status(sold)
    assert engine._reconcile_execution_mass_status(without_the_first())
    assert {each.value for each in told(engine)} == {"11", "made-up", "13", "14"}
    assert held(engine)[0] == "0.030"


BOUGHT, SOLD = TRADES[2], TRADES[1]


def filled(*trades: Any) -> ExecutionMassStatus:
    """What the venue says of them and of their orders."""
    status = ExecutionMassStatus(
        client_id=ClientId("BINANCE"), account_id=ACCOUNT, venue=PERP.venue, report_id=UUID4(), ts_init=0
    )
    reports = []
    for number in dict.fromkeys(each[1] for each in trades):
        own = [each for each in trades if each[1] == number]
        report = order(number, OrderType.LIMIT, own[0][2], "0.030")
        report.filled_qty = PERP.make_qty(sum(Decimal(each[3]) for each in own))
        reports.append(report)
    status.add_order_reports(reports)
    status.add_fill_reports([fill(at, *each) for at, each in enumerate(trades, 1)])
    return status


def not_explained() -> ExecutionMassStatus:
    """The venue holds ten times of what its trades make since they last came to nothing, all of which is of an order that the engine has."""
    status = filled(("11", BUYS, OrderSide.BUY, "0.010", "50000"), SOLD, BOUGHT)
    status.add_position_reports([holds("0.100")])
    return status


def test_the_stock_package_gives_an_order_that_it_has_what_trades_do_not_explain(engine: Any) -> None:
    accepted(engine)
    engine._reconcile_execution_mass_status(not_explained())
    (rests,) = [each for each in engine._cache.orders() if each.client_order_id.value == f"O-{RESTS}"]
    assert (str(rests.quantity), str(rests.filled_qty)) == ("0.100", "0.100")
    assert not engine._reconcile_execution_mass_status(filled(BOUGHT))


def test_an_order_that_the_engine_has_stays_as_the_venue_says_and_the_difference_is_another_ones(
    engine: Any,
) -> None:
    repair_reports_of_kept_instruments(engine)
    repair_order_of_fills(engine)
    accepted(engine)
    for _ in range(2):
        assert engine._reconcile_execution_mass_status(not_explained())
        by_id = {each.client_order_id.value: each for each in engine._cache.orders()}
        rests = by_id.pop(f"O-{RESTS}")
        assert (str(rests.quantity), str(rests.filled_qty)) == ("0.030", "0.010")
        assert sorted(str(each.filled_qty) for each in by_id.values()) == ["0.010", "0.010", "0.090"]


def rejected(engine: Any) -> None:
    """An order that the engine takes for rejected, and that rests at the venue."""
    accepted(engine)
    (rests,) = engine._cache.orders_open()
    engine.process(TestEventStubs.order_rejected(rests))
    engine._handle_event(TestEventStubs.order_rejected(rests))
    assert rests.status == OrderStatus.REJECTED


@pytest.mark.parametrize("is_mended", [False, True])
def test_a_fill_of_an_order_that_had_ended_is_taken_once(engine: Any, is_mended: bool) -> None:
    repair_order_of_fills(engine)
    if is_mended:
        repair_late_fills(engine)
    rejected(engine)
    engine._reconcile_execution_mass_status(filled(BOUGHT))
    assert held(engine)[0] == "0.010"
    engine._reconcile_execution_mass_status(filled(SOLD))
    assert engine._cache.positions_open() == []
    # One that is opened anew forgets the fills of its life before.
    engine._reconcile_execution_mass_status(filled(TRADES[0]))
    assert held(engine)[0] == "0.020"
    if is_mended:
        repair_late_fills(engine)  # as at the next start, with what was kept
    engine._reconcile_execution_mass_status(filled(*TRADES))
    assert held(engine)[0] == ("0.020" if is_mended else "0.030")


def test_another_fill_of_such_an_order_is_news(engine: Any) -> None:
    repair_order_of_fills(engine)
    repair_late_fills(engine)
    rejected(engine)
    engine._reconcile_execution_mass_status(filled(BOUGHT))
    status = filled(BOUGHT, LAST)
    engine._reconcile_execution_mass_status(status)
    assert held(engine)[0] == "0.020"
    status = filled(BOUGHT, LAST)
    engine._reconcile_execution_mass_status(status)
    assert (status.order_reports, status.fill_reports) == ({}, {})
    assert held(engine)[0] == "0.020"


def test_a_kept_position_gets_the_fills_that_only_its_orders_have(engine: Any) -> None:
    repair_order_of_fills(engine)
    engine._reconcile_execution_mass_status(mass_status())
    (whole,) = engine._cache.positions_open()
    first, *_ = whole.events
    for torn in (Position(PERP, first), None):
        if torn is not None:
            engine._cache.add_position(torn, OmsType.NETTING)
            assert held(engine)[0] == "0.020"
        repair_torn_positions(engine._cache)
        assert held(engine) == ("0.020", pytest.approx(AVERAGE))
        (position,) = engine._cache.positions_open()
        assert [each.value for each in position.trade_ids] == ["11", "12", "13"]


def accepted(engine: Any) -> None:
    """An engine whose order rests."""
    before = ExecutionMassStatus(
        client_id=ClientId("BINANCE"), account_id=ACCOUNT, venue=PERP.venue, report_id=UUID4(), ts_init=0
    )
    rests = order(RESTS, OrderType.LIMIT, OrderSide.BUY, "0.030")
    rests.order_status, rests.filled_qty = OrderStatus.ACCEPTED, PERP.make_qty(0)
    before.add_order_reports([rests])
    assert engine._reconcile_execution_mass_status(before)


def of_different_moments() -> ExecutionMassStatus:
    """Trades were told before the order's last one, the position after the next order's."""
    status = without_the_first()
    status._order_reports = {key: each for key, each in status.order_reports.items() if key.value == RESTS}
    status._fill_reports = {}
    status.add_fill_reports([fill(3, *TRADES[2])])
    return status


def test_the_stock_package_makes_up_what_reports_of_different_moments_do_not_explain(engine: Any) -> None:
    accepted(engine)
    engine._reconcile_execution_mass_status(of_different_moments())
    assert {each.value for each in told(engine)} - {each[0] for each in (*TRADES, LAST)}


def test_reports_of_different_moments_leave_an_order_as_it_is_and_make_none_up(engine: Any) -> None:
    client = SimpleNamespace(_send_mass_status_report=engine.reconcile_execution_mass_status)
    repair_reports_while_trading(client, engine._cache, engine._msgbus)
    accepted(engine)
    client._send_mass_status_report(of_different_moments())
    (order,) = engine._cache.orders()
    assert (order.status, told(engine), engine._cache.positions_open()) == (OrderStatus.ACCEPTED, [], [])
    status = of_different_moments()
    status.add_fill_reports([fill(4, *LAST)])
    client._send_mass_status_report(status)
    assert [each.value for each in told(engine)] == ["13", "14"]
    assert held(engine)[0] == "0.020"


def test_a_trade_that_was_heard_is_not_handed_on_again(engine: Any) -> None:
    """A falsely rejected order does not have it, so that NautilusTrader would take it again."""
    sent: list[ExecutionMassStatus] = []
    heard: list[Any] = []
    bus = SimpleNamespace(subscribe=lambda topic, handler: heard.append((topic, handler)))
    client = SimpleNamespace(_send_mass_status_report=sent.append)
    repair_reports_while_trading(client, engine._cache, bus)
    repair_order_of_fills(engine)
    engine._reconcile_execution_mass_status(mass_status())
    (position,) = engine._cache.positions_open()
    ((topic, hear),) = heard
    hear(position.events[0])
    client._send_mass_status_report(mass_status())
    assert topic == "events.order.*"
    (status,) = sent
    assert [each.trade_id.value for found in status.fill_reports.values() for each in found] == ["12", "13"]


def told(engine: Any) -> list[Any]:
    return [trade for each in engine._cache.orders() for trade in each.trade_ids]
