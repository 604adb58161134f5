"""A bug in what listens must never end the engine that is listened to."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
from nautilus_trader.model.events import OrderAccepted, OrderFilled
from nautilus_trader.model.identifiers import PositionId, TradeId
from nautilus_trader.model.position import Position
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.tap import Tap
from flotilla.engine_sidecar.link.frames import Happened
from flotilla.schemas.telemetry import EventKind


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def exception(self, text: str, error: BaseException) -> None:
        self.lines.append(text)


def test_what_a_handler_raises_is_logged_each_time_and_told_once() -> None:
    log, sent = Log(), list[Any]()
    tap = Tap(SimpleNamespace(logger=log), sent.append)

    def broken(message: Any) -> None:
        raise KeyError("oops")

    handle = tap.guarded(broken)
    handle("an event")
    handle("another")
    assert log.lines == ["str was not passed on: KeyError: 'oops'"] * 2
    (alert,) = sent
    assert isinstance(alert, Happened)
    assert alert.kind is EventKind.ALERT
    assert b'"code":"telemetry_lost"' in alert.data


def test_what_came_back_open_is_told_though_it_does_not_change() -> None:
    btc = TestInstrumentProvider.btcusdt_binance()
    bought = TestExecStubs.limit_order(instrument=btc)
    fill = TestEventStubs.order_filled(bought, btc, position_id=PositionId("P-1"), last_qty=btc.make_qty(2))
    position = Position(btc, fill)
    resting = TestExecStubs.make_accepted_order(instrument=btc)
    assert isinstance(resting.last_event, OrderAccepted)
    cache = SimpleNamespace(
        orders=list,
        positions_open=lambda: [object(), position],  # one that cannot be told hides none
        orders_open=lambda: [resting],
        orders_inflight=lambda: [resting],
    )
    log, sent = Log(), list[Any]()
    Tap(SimpleNamespace(cache=cache, logger=log), sent.append).restored()
    told = [(each.kind, msgspec.json.decode(each.data)) for each in sent]
    assert [kind for kind, _ in told] == [EventKind.ALERT, EventKind.POSITION, EventKind.ORDER]
    held, order = told[1][1], told[2][1]
    assert held["event"] == "PositionRestored"
    assert held["instrument_id"] == "BTCUSDT.BINANCE"
    assert (held["side"], held["quantity"], held["currency"]) == ("LONG", "2.000000", "USDT")
    assert (order["event"], order["status"]) == ("OrderRestored", "ACCEPTED")
    assert order["client_order_id"] == resting.client_order_id.value


def test_the_fills_of_the_last_minute_are_told_again_in_order_and_older_ones_are_not() -> None:
    btc = TestInstrumentProvider.btcusdt_binance()

    def filled(trade: str, at_s: int) -> Any:
        order = TestExecStubs.make_accepted_order(instrument=btc)
        event = OrderFilled.to_dict(TestEventStubs.order_filled(order, btc, trade_id=TradeId(trade)))
        order.apply(OrderFilled.from_dict({**event, "ts_init": at_s * 10**9}))
        return order

    orders = [filled("old", 100), filled("last", 170), filled("before", 110)]
    cache = SimpleNamespace(
        orders=lambda: orders, positions_open=list, orders_open=list, orders_inflight=list
    )
    sent = list[Any]()
    Tap(SimpleNamespace(cache=cache, logger=Log()), sent.append).restored()
    told = [msgspec.json.decode(each.data) for each in sent]
    assert [(each["trade_id"], each["is_restored"]) for each in told] == [("before", True), ("last", True)]


def test_a_cancel_of_which_the_venue_says_otherwise_is_not_counted() -> None:
    btc = TestInstrumentProvider.btcusdt_binance()
    order = TestExecStubs.make_accepted_order(instrument=btc)
    cancelled = TestEventStubs.order_canceled(order)
    order.apply(cancelled)
    kernel = SimpleNamespace(
        cache=SimpleNamespace(order=lambda _: order), clock=SimpleNamespace(timestamp_ns=lambda: 7)
    )
    sent = list[Any]()
    tap = Tap(kernel, sent.append)
    tap.is_claim = lambda _: True
    tap._order(cancelled)
    assert (tap.cancelled_since(0), tap.cancelled_since(1)) == (1, 0)
    tap.looked_up(order, ("PARTIALLY_FILLED", Decimal(2)))
    assert (tap.cancelled_since(0), tap.cancelled_since(1)) == (0, 0)
    tap.looked_up(order, ("CANCELED", Decimal(2)))
    assert tap.cancelled_since(0) == 1
    told = [msgspec.json.decode(each.data) for each in sent]
    assert [(each["event"], each["status"], each["filled_qty"], each["is_claim"]) for each in told] == [
        ("OrderCanceled", "CANCELED", "0.000000", True),
        ("OrderLookedUp", "PARTIALLY_FILLED", "2.000000", False),
        ("OrderLookedUp", "CANCELED", "2.000000", False),
    ]
    assert told[1]["reason"] == "it was said to be CANCELED"
