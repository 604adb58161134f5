"""Closes a position that no strategy here owns: one that was found at the venue, or whose strategy was removed."""

from typing import Any, Final

from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.orders import Order

CLOSING: Final = "WIND-DOWN"
"""The tag of orders that wind an engine down."""


def close_unowned(kernel: Any, position: Any) -> None:
    """Sends a market order that reduces the position to nothing, in the name of the strategy that the position bears."""
    factory = OrderFactory(
        trader_id=kernel.trader_id, strategy_id=position.strategy_id, clock=kernel.clock, cache=kernel.cache
    )
    order = factory.market(
        instrument_id=position.instrument_id,
        order_side=Order.closing_side(position.side),
        quantity=position.quantity,
        reduce_only=True,
        tags=[CLOSING],
    )
    kernel.msgbus.publish(topic=f"events.order.{position.strategy_id}", msg=order.init_event)
    kernel.cache.add_order(order, position.id)
    command = SubmitOrder(
        trader_id=kernel.trader_id,
        strategy_id=position.strategy_id,
        order=order,
        command_id=UUID4(),
        ts_init=kernel.clock.timestamp_ns(),
        position_id=position.id,
    )
    kernel.msgbus.send(endpoint="RiskEngine.execute", msg=command)
