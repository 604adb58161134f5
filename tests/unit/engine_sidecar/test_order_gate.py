"""What passes the gate before the execution engine, where an order comes from the risk engine or from the emulator."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder, ModifyOrder, SubmitOrder, SubmitOrderList
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderDenied, OrderModifyRejected
from nautilus_trader.model.identifiers import InstrumentId, StrategyId, TraderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from flotilla.engine_sidecar.engine.order_gate import Gate, OpeningHours, OrderGate
from flotilla.schemas.trading_hours import TradingHours, TradingWindow, Weekday

SPX = InstrumentId.from_str("SPX.SIM")
BOTH = pytest.mark.parametrize("endpoint", ["RiskEngine.execute", "ExecEngine.execute"])


class Kernel:
    """A kernel whose engines only note what they get."""

    def __init__(self) -> None:
        self.clock, self.cache, self.endpoints = TestClock(), Cache(), {}
        self.passed: list[Any] = []
        self.answered: list[Any] = []
        self.risk_engine = SimpleNamespace(execute=self.passed.append)
        self.exec_engine = SimpleNamespace(execute=self.passed.append)
        self.logger = SimpleNamespace(warning=lambda _: None)
        self.msgbus = SimpleNamespace(
            deregister=lambda *_: None, register=self.endpoints.__setitem__, send=self._send
        )
        self.orders = OrderFactory(TraderId("T-1"), StrategyId("S-1"), self.clock, cache=self.cache)

    def _send(self, endpoint: str, msg: Any) -> None:
        assert endpoint == "ExecEngine.process"
        self.answered.append(msg)

    def submit(self, endpoint: str) -> Any:
        """A market order that opens, as it comes to this endpoint."""
        order = self.orders.market(SPX, OrderSide.BUY, Quantity.from_int(10))
        self.endpoints[endpoint](
            SubmitOrder(
                trader_id=order.trader_id,
                strategy_id=order.strategy_id,
                order=order,
                command_id=UUID4(),
                ts_init=0,
            )
        )
        return order

    def submit_list(self, endpoint: str) -> Any:
        """A bracket of an entry with its two exits."""
        price = Price.from_str
        bracket = self.orders.bracket(
            SPX, OrderSide.BUY, Quantity.from_int(10), sl_trigger_price=price("1.00"), tp_price=price("3.00")
        )
        self.endpoints[endpoint](
            SubmitOrderList(
                trader_id=bracket.first.trader_id,
                strategy_id=bracket.first.strategy_id,
                order_list=bracket,
                command_id=UUID4(),
                ts_init=0,
            )
        )
        return bracket

    def resting(self) -> Any:
        """An order at the venue, for which a change is under way."""
        order = self.orders.limit(SPX, OrderSide.BUY, Quantity.from_int(10), Price.from_str("1.00"))
        for event in (
            TestEventStubs.order_submitted,
            TestEventStubs.order_accepted,
            TestEventStubs.order_pending_update,
        ):
            order.apply(event(order))
        self.cache.add_order(order)
        return order

    def change(self, endpoint: str, order: Any) -> None:
        """More of an order that rests, as it comes to this endpoint."""
        self.endpoints[endpoint](ModifyOrder(*_about(order), Quantity.from_int(50), None, None, UUID4(), 0))

    def cancel(self, order: Any) -> None:
        """Sent past the risk engine, as strategies do."""
        self.endpoints["ExecEngine.execute"](CancelOrder(*_about(order), UUID4(), 0))


def _about(order: Any) -> tuple[Any, ...]:
    return (
        order.trader_id,
        order.strategy_id,
        order.instrument_id,
        order.client_order_id,
        order.venue_order_id,
    )


@BOTH
@pytest.mark.parametrize("state", [Gate.REDUCES, Gate.CANCELS, Gate.SHUT])
@pytest.mark.parametrize("is_own", [False, True], ids=["engine", "strategy"])
def test_an_order_that_opens_passes_no_gate_that_is_not_open(
    endpoint: str, state: Gate, *, is_own: bool
) -> None:
    kernel = Kernel()
    gate = OrderGate(kernel)
    kernel.submit(endpoint)
    assert len(kernel.passed) == 1
    if is_own:
        gate.strategies[StrategyId("S-1")] = state
    else:
        gate.state = state
    order = kernel.submit(endpoint)
    assert len(kernel.passed) == 1
    (answer,) = kernel.answered
    assert isinstance(answer, OrderDenied)
    assert answer.client_order_id == order.client_order_id
    with gate.ours():
        kernel.submit(endpoint)
    assert len(kernel.passed) == 2


@BOTH
@pytest.mark.parametrize("state", [Gate.REDUCES, Gate.CANCELS, Gate.SHUT])
def test_a_change_of_an_order_passes_no_gate_that_is_not_open(endpoint: str, state: Gate) -> None:
    """What the risk engine let pass may have waited in its queue while the gate was shut: a change can add as an order can."""
    kernel = Kernel()
    gate, order = OrderGate(kernel), kernel.resting()
    kernel.change(endpoint, order)
    assert len(kernel.passed) == 1
    gate.state = state
    kernel.change(endpoint, order)
    assert len(kernel.passed) == 1
    assert [type(each) for each in kernel.answered] == [OrderModifyRejected]


@BOTH
def test_each_order_is_held_against_the_lease_by_the_engine_itself(endpoint: str) -> None:
    """Nobody tells the gate that the lease is over: its sidecar may be stuck, or the host has just woken up."""
    kernel, now = Kernel(), 100.0
    gate, order = OrderGate(kernel, lambda: now), kernel.resting()
    gate.lease_until_s = 110.0
    kernel.submit(endpoint)
    kernel.submit_list(endpoint)
    kernel.change(endpoint, order)
    assert len(kernel.passed) == 3
    now = 110.01
    kernel.submit(endpoint)
    kernel.submit_list(endpoint)
    kernel.change(endpoint, order)
    assert len(kernel.passed) == 3
    assert [type(each) for each in kernel.answered] == [OrderDenied] * 4 + [OrderModifyRejected]
    assert {each.reason for each in kernel.answered} == {
        "the lease on the engine's accounts has run out: only orders that reduce a position pass"
    }
    kernel.cancel(order)
    with gate.ours():
        kernel.submit(endpoint)
    assert len(kernel.passed) == 5
    gate.lease_until_s = 120.0
    kernel.submit(endpoint)
    assert len(kernel.passed) == 6


@BOTH
def test_of_lease_and_hours_both_are_held_and_the_reason_is_the_one_that_is_true(endpoint: str) -> None:
    kernel, now = Kernel(), 100.0
    gate = OrderGate(kernel, lambda: now)
    # A minute on a day that is not near.
    other_day = tuple(Weekday)[(datetime.now(UTC).weekday() + 3) % 7]
    window = TradingWindow(days=(other_day,), opens="00:00", closes="00:01")
    gate.hours, gate.lease_until_s = OpeningHours(TradingHours(windows=(window,))), 110.0
    kernel.submit(endpoint)
    now = 110.01
    kernel.submit(endpoint)
    gate.lease_until_s = 120.0
    gate.state = Gate.REDUCES
    kernel.submit(endpoint)
    assert kernel.passed == []
    passes = "only orders that reduce a position pass"
    assert [each.reason for each in kernel.answered] == [
        f"it is outside of trading hours: {passes}",
        f"the lease on the engine's accounts has run out: {passes}",
        passes,
    ]
