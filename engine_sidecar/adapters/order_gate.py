"""A gate between strategies and the risk and execution engines, shut while the engine winds down.

NautilusTrader's own TradingState is no gate: REDUCING lets a strategy open a position from flat, and HALTED denies the
orders that close positions too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder, SubmitOrderList
from nautilus_trader.model.events import OrderDenied


class Gate(StrEnum):
    """What passes: everything, cancels only, or nothing."""

    OPEN = "open"
    CANCELS = "cancels"
    SHUT = "shut"


class OrderGate:
    """Takes the place of the engines at their endpoints on the message bus. `state` may be set at any time."""

    def __init__(self, kernel: Any) -> None:
        self.state = Gate.OPEN
        self._kernel = kernel
        self._is_ours = False
        risk, execution, bus = kernel.risk_engine, kernel.exec_engine, kernel.msgbus
        bus.deregister("RiskEngine.execute", risk.execute)
        bus.register("RiskEngine.execute", self._order)
        bus.deregister("ExecEngine.execute", execution.execute)
        bus.register("ExecEngine.execute", self._command)

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Lets through what is sent within the block: the orders that close positions."""
        self._is_ours = True
        try:
            yield
        finally:
            self._is_ours = False

    def _order(self, command: Any) -> None:
        """A new order, or a change, on its way to the risk engine."""
        if self.state is Gate.OPEN or self._is_ours:
            self._kernel.risk_engine.execute(command)
        else:
            self._refuse(command)

    def _command(self, command: Any) -> None:
        """An order that the risk engine let pass, or a cancel, on its way to the execution engine."""
        if (
            self.state is not Gate.SHUT
            or self._is_ours
            or isinstance(command, (SubmitOrder, SubmitOrderList))
        ):
            self._kernel.exec_engine.execute(command)
        else:
            self._refuse(command)

    def _refuse(self, command: Any) -> None:
        self._kernel.logger.warning(f"Refused while stopping: {command}")
        for order in _new_orders(command):
            denied = OrderDenied(
                trader_id=order.trader_id,
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                reason="the engine is stopping",
                event_id=UUID4(),
                ts_init=self._kernel.clock.timestamp_ns(),
            )
            self._kernel.msgbus.send(endpoint="ExecEngine.process", msg=denied)


def _new_orders(command: Any) -> list[Any]:
    if isinstance(command, SubmitOrder):
        return [command.order]
    return list(command.order_list.orders) if isinstance(command, SubmitOrderList) else []
