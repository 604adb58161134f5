"""OKX: market and limit orders are sent without their `reduce_only`, so that one that comes too late opens a position.

The adapter's WebSocket leaves the field out whatever it is told; its REST client sends it. So orders that are reduce-only go by REST.
https://github.com/nautechsystems/nautilus_trader/issues/4827 has it for margin orders.
"""

from typing import Any


def repair_okx_reduce_only(client: Any) -> None:
    """Has the execution client send reduce-only orders by REST; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.okx."):
        return
    from nautilus_trader.adapters.okx.execution import _OKXOrderCommandRoute  # noqa: PLC0415 - other engines do not need it

    usual = client._submit_order_route

    def route(order: Any, instrument: Any) -> Any:
        found = usual(order, instrument)
        by_socket = found is _OKXOrderCommandRoute.REGULAR_WS
        return _OKXOrderCommandRoute.SPREAD_HTTP if by_socket and order.is_reduce_only else found

    client._submit_order_route = route
