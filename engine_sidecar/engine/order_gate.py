"""A gate between strategies and the risk and execution engines, shut while the engine, or one strategy, winds down or is braked.

NautilusTrader's own TradingState is no gate: REDUCING lets a strategy open a position from flat, and HALTED denies the
orders that close positions too.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import (
    BatchCancelOrders,
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    SubmitOrder,
    SubmitOrderList,
)
from nautilus_trader.model.enums import OrderSide, OrderStatus
from nautilus_trader.model.events import OrderCancelRejected, OrderDenied, OrderModifyRejected

from flotilla.bus.alive import since_boot
from flotilla.schemas.trading_hours import HoursView, TradingHours, hours_at


class Gate(IntEnum):
    """What passes, from everything to nothing: orders that reduce a position and cancels, cancels only."""

    OPEN = 0
    REDUCES = 1
    CANCELS = 2
    SHUT = 3


_LOOK_AGAIN = timedelta(days=1)
"""When a schedule that never changes is looked up again."""


class OpeningHours:
    """The gate of a schedule, by the wall clock: looked up anew only when it changes, or when the clock was set back."""

    def __init__(self, hours: TradingHours) -> None:
        self._hours = hours
        self._looked_at: datetime | None = None
        self._found = HoursView(is_open=False, until=None)

    def gate(self, now: datetime) -> Gate:
        """What passes now."""
        found, looked_at = self._found, self._looked_at
        until = found.until or (looked_at or now) + _LOOK_AGAIN
        if looked_at is None or not looked_at <= now < until:
            self._found, self._looked_at = hours_at(self._hours, now), now
        return Gate.OPEN if self._found.is_open else Gate.REDUCES


class OrderGate:
    """Takes the place of the engines at their endpoints on the message bus.

    `state` holds for every strategy and `strategies` for single ones, by StrategyId; the narrower counts. All may be changed
    at any time. `why` is what an order is denied for while `state` lets nothing but cancels through.
    From `lease_until_s` on, by `now` (seconds since boot), only what reduces passes. Hours and lease are looked at for each order,
    whether or not the sidecar can say so in time.
    """

    def __init__(self, kernel: Any, now: Callable[[], float] = since_boot) -> None:
        self.state = Gate.OPEN
        self.lease_until_s = math.inf
        self._now = now
        self.is_position_doubted = False
        self.why = "the engine is stopping"
        self.strategies: dict[Any, Gate] = {}
        self.hours: OpeningHours | None = None
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

    def _state_for(self, command: Any) -> Gate:
        return max(self.state, self._own_state(command), self._by_hours(), self._by_lease())

    def _by_hours(self) -> Gate:
        return Gate.OPEN if self.hours is None else self.hours.gate(datetime.now(UTC))

    def _by_lease(self) -> Gate:
        return Gate.REDUCES if self._is_lease_over() else Gate.OPEN

    def _is_lease_over(self) -> bool:
        return self._now() > self.lease_until_s

    def _own_state(self, command: Any) -> Gate:
        # A question about an account is nobody's.
        return self.strategies.get(getattr(command, "strategy_id", None), Gate.OPEN)

    def _order(self, command: Any) -> None:
        """A new order, or a change, on its way to the risk engine."""
        if self._is_ours:
            # No rate limit keeps an engine in the market.
            self._kernel.exec_engine.execute(command)
        elif self._lets_in(command):
            self._kernel.risk_engine.execute(command)
        else:
            self._refuse(command)

    def _command(self, command: Any) -> None:
        """An order or a change that the risk engine let pass, an order that the emulator released, or a cancel, on its way to the execution engine.

        The emulator asks no risk engine, and what that let pass may have waited in its queue while the gate was shut.
        """
        opens = isinstance(command, SubmitOrder | SubmitOrderList | ModifyOrder)
        passes = self._lets_in(command) if opens else self._state_for(command) is not Gate.SHUT
        if self._is_ours or passes:
            self._kernel.exec_engine.execute(command)
        else:
            self._refuse(command)

    def _lets_in(self, command: Any) -> bool:
        state = self._state_for(command)
        if state is not Gate.REDUCES:
            return state is Gate.OPEN
        if self.is_position_doubted and not _is_reduce_only(command):
            return False
        return _reduces(command, self._kernel.cache)

    def _refuse(self, command: Any) -> None:
        reason = self._reason(command)
        self._kernel.logger.warning(f"Refused, {reason}: {command}")
        for order in _new_orders(command):
            self._answer(OrderDenied, order, reason, {})
        changed = OrderModifyRejected if isinstance(command, ModifyOrder) else OrderCancelRejected
        for order in _named_orders(command, self._kernel.cache):
            # Left as it is it would wait for an answer that nobody gives, until NautilusTrader takes it for cancelled.
            about = {"venue_order_id": order.venue_order_id, "account_id": order.account_id}
            self._answer(changed, order, reason, about | {"ts_event": self._kernel.clock.timestamp_ns()})

    def _reason(self, command: Any) -> str:
        if self.state > Gate.REDUCES:
            return self.why
        if self._own_state(command) > Gate.REDUCES:
            return "the strategy is stopped"
        if self._is_lease_over():
            return "the lease on the engine's accounts has run out: only orders that reduce a position pass"
        if self.state is Gate.OPEN and self._own_state(command) is Gate.OPEN:
            return "it is outside of trading hours: only orders that reduce a position pass"
        return "only orders that reduce a position pass"

    def _answer(self, event: Any, order: Any, reason: str, about: dict[str, Any]) -> None:
        answer = event(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            reason=reason,
            event_id=UUID4(),
            ts_init=self._kernel.clock.timestamp_ns(),
            **about,
        )
        self._kernel.msgbus.send(endpoint="ExecEngine.process", msg=answer)


def _is_reduce_only(command: Any) -> bool:
    return isinstance(command, SubmitOrder) and bool(command.order.is_reduce_only)


def is_reducing(order: Any, cache: Any) -> bool:
    """True for a working order that by itself cannot open a position or add to one."""
    if order.is_reduce_only:
        return True
    net = _net(order, cache)
    is_opposite = net != 0 and (order.side == OrderSide.BUY) != (net > 0)
    return bool(is_opposite and order.leaves_qty.as_decimal() <= abs(net))


def _net(order: Any, cache: Any) -> Any:
    about = {"instrument_id": order.instrument_id, "strategy_id": order.strategy_id}
    return sum(position.signed_decimal_qty() for position in cache.positions_open(**about))


def _reduces(command: Any, cache: Any) -> bool:
    """True for one order that, with all that work beside it, cannot take its strategy's position beyond flat."""
    if not isinstance(command, SubmitOrder):
        return False
    order = command.order
    about = {"instrument_id": order.instrument_id, "strategy_id": order.strategy_id}
    net = _net(order, cache)
    if net == 0 or (order.side == OrderSide.BUY) == (net > 0):
        return False
    working = [*cache.orders_open(**about), *cache.orders_inflight(**about), *cache.orders_emulated(**about)]
    others = {one.client_order_id: one for one in working if one.side == order.side}
    others.pop(order.client_order_id, None)
    leaving = sum(one.leaves_qty.as_decimal() for one in others.values())
    return bool(leaving + order.quantity.as_decimal() <= abs(net))


def _new_orders(command: Any) -> list[Any]:
    if isinstance(command, SubmitOrder):
        return [command.order]
    return list(command.order_list.orders) if isinstance(command, SubmitOrderList) else []


def _named_orders(command: Any, cache: Any) -> list[Any]:
    """The orders that wait for an answer to a change or a cancel."""
    pending = OrderStatus.PENDING_UPDATE if isinstance(command, ModifyOrder) else OrderStatus.PENDING_CANCEL
    if isinstance(command, (ModifyOrder, CancelOrder)):
        found = [cache.order(command.client_order_id)]
    elif isinstance(command, BatchCancelOrders):
        found = [cache.order(cancel.client_order_id) for cancel in command.cancels]
    elif isinstance(command, CancelAllOrders):
        found = cache.orders_inflight(instrument_id=command.instrument_id, strategy_id=command.strategy_id)
    else:
        found = []
    return [order for order in found if order is not None and order.status == pending]
