"""What passes the gate before the execution engine, where an order comes from the risk engine or from the emulator."""

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.identifiers import InstrumentId, StrategyId, TraderId
from nautilus_trader.model.objects import Quantity

from flotilla.engine_sidecar.engine.order_gate import Gate, OrderGate


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
        order = self.orders.market(InstrumentId.from_str("SPX.SIM"), OrderSide.BUY, Quantity.from_int(10))
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


@pytest.mark.parametrize("endpoint", ["RiskEngine.execute", "ExecEngine.execute"])
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
