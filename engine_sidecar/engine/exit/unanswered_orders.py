"""Remembers orders whose end NautilusTrader only supposes, because the venue never answered."""

from typing import Any


class Presumed:
    """Stands before the execution engine's check of orders in flight.

    After some unanswered queries it takes a submitted order for rejected, and one whose cancel was asked for cancelled, and says
    so by events that look like the venue's own. An engine that stops would then call itself flat while the order rests.
    """

    def __init__(self, kernel: Any) -> None:
        # The orders themselves: those that are closed may be purged from the cache.
        self._orders: dict[Any, tuple[Any, int]] = {}
        self._resolve = kernel.exec_engine._resolve_inflight_order
        self.is_held = False
        kernel.exec_engine._resolve_inflight_order = self._remember

    def orders(self, strategy_id: Any = None) -> list[Any]:
        """The orders of which nothing was heard since they were supposed to have ended."""
        return [
            order
            for order, events in self._orders.values()
            if order.event_count == events and strategy_id in (None, order.strategy_id)
        ]

    def _remember(self, order: Any) -> None:
        if self.is_held:
            return  # Whoever stops the engine wants to know what the venue says, not what may be supposed.
        self._resolve(order)
        if order.is_closed:
            self._orders[order.client_order_id] = order, order.event_count
