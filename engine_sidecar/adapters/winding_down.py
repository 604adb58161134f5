"""Takes an engine out of the market: cancels orders, closes positions, and says what it could not confirm."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.model.enums import OrderStatus

from engine_sidecar.adapters.order_gate import OrderGate

POLL_S: Final = 0.005
RETRY_S: Final = 0.5


class WindDown:
    """One cancel or flatten of one node; `now` is the loop's time, and deadlines are times of it."""

    def __init__(self, kernel: Any, gate: OrderGate, now: Callable[[], float]) -> None:
        self._kernel, self._cache = kernel, kernel.cache
        self._gate = gate
        self._now = now
        self._asked: dict[Any, float] = {}

    async def cancel_orders(self, deadline: float) -> None:
        """Cancels every order, until none is open or in flight."""
        while (orders := self._working_orders()) and self._now() < deadline:
            for order in orders:
                if order.status != OrderStatus.SUBMITTED and self._is_due(order.client_order_id):
                    self._cancel(order)
            await asyncio.sleep(POLL_S)

    async def close_positions(self, deadline: float) -> None:
        """Closes every position at the market, until all are flat. Call it after `cancel_orders`."""
        while (positions := self._cache.positions_open()) and self._now() < deadline:
            for position in positions:
                if not self._is_changing(position) and self._is_due(position.id):
                    self._close(position)
            await asyncio.sleep(POLL_S)

    def still_working(self) -> tuple[str, ...]:
        """The orders that are not known to be gone, in words."""
        return tuple(
            f"order {order.client_order_id} still {order.status_string().lower()}"
            for order in self._working_orders()
        )

    def still_open(self) -> tuple[str, ...]:
        """The positions that are not known to be closed, in words."""
        return tuple(self._still_open(position) for position in self._cache.positions_open())

    def _working_orders(self) -> list[Any]:
        cache = self._cache
        found = [*cache.orders_open(), *cache.orders_inflight(), *cache.orders_emulated()]
        return list({order.client_order_id: order for order in found}.values())

    def _is_changing(self, position: Any) -> bool:
        """True while an order is on its way that closes the position, or that could change it any moment."""
        return any(
            (order.is_inflight or order.is_reduce_only)
            and (order.instrument_id, order.strategy_id) == (position.instrument_id, position.strategy_id)
            for order in self._working_orders()
        )

    def _is_due(self, key: Any) -> bool:
        """True when it was not asked for within RETRY_S: a venue may refuse, and be asked again."""
        now = self._now()
        if now - self._asked.get(key, -RETRY_S) < RETRY_S:
            return False
        self._asked[key] = now
        return True

    def _cancel(self, order: Any) -> None:
        command = CancelOrder(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            command_id=UUID4(),
            ts_init=self._kernel.clock.timestamp_ns(),
            client_id=self._cache.client_id(order.client_order_id),
        )
        with self._gate.ours():
            endpoint = "OrderEmulator.execute" if order.is_emulated else "ExecEngine.execute"
            self._kernel.msgbus.send(endpoint=endpoint, msg=command)

    def _close(self, position: Any) -> None:
        if (strategy := self._owner(position)) is not None:
            with self._gate.ours():
                strategy.close_position(position)

    def _owner(self, position: Any) -> Any:
        strategies = self._kernel.trader.strategies()
        return next((strategy for strategy in strategies if strategy.id == position.strategy_id), None)

    def _still_open(self, position: Any) -> str:
        nobody = "" if self._owner(position) else ", and no strategy here owns it"
        side = position.signed_decimal_qty()
        return f"position {position.id} still open: {side} {position.instrument_id}{nobody}"
