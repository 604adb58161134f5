"""Keeps the operator's limit on an order's value, on every account and on every way that an order can take to the venue.

The risk engine of NautilusTrader 1.231.0 keeps `max_notional_per_order` on CASH accounts only. There it lets market orders pass
as long as it saw no quote or trade (with bars alone: always), asks nothing of changed orders, never sees what its emulator
releases, and denies the orders that close a position which has grown over the limit. So the limit is kept here instead, where
all orders pass: before the execution engine carries them out.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import ModifyOrder, SubmitOrder, SubmitOrderList
from nautilus_trader.model.enums import OrderSide, PriceType
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.objects import Money

EVERY_INSTRUMENT: Final = "*"
_FIELD: Final = "max_notional_per_order"
_SIDE_PRICE: Final = {OrderSide.BUY: PriceType.ASK, OrderSide.SELL: PriceType.BID}


def limit_orders(kernel: Any, node: dict[str, Any]) -> None:
    """Has the kernel's execution engine refuse orders over their instrument's limit; call it before the node starts.

    The limits stand in the JSON of the node's config, as `risk_engine.max_notional_per_order`: amounts of the instrument's quote
    currency, as numbers or as decimals in text; the key `*` is for every instrument that has no limit of its own. Raises
    ValueError for what is no amount above 0. With the risk engine bypassed there are no limits, as with NautilusTrader.

    Orders that can only reduce a position pass, whatever they are worth: closing must stay possible, and what winds an engine
    down is such an order. A new order is denied together with the list it is in; a change is rejected if it would make an order
    too large.
    """
    limits = notional_limits(node)
    if not limits or kernel.risk_engine.is_bypassed:
        return
    door = _Door(kernel, limits)
    execute = kernel.exec_engine._execute_command

    def execute_within_limits(command: Any) -> None:
        if door.lets_pass(command):
            execute(command)

    kernel.exec_engine._execute_command = execute_within_limits
    for instrument, limit in sorted(limits.items()):
        kernel.logger.info(f"Set {_FIELD}: {instrument} {limit:,}")


def notional_limits(node: dict[str, Any]) -> dict[str, Decimal]:
    """The limits in the JSON of a node's config, by instrument. Raises ValueError for what is no amount above 0."""
    given = (node.get("risk_engine") or {}).get(_FIELD) or {}
    return {instrument: _amount(instrument, value) for instrument, value in given.items()}


class _Door:
    def __init__(self, kernel: Any, limits: Mapping[str, Decimal]) -> None:
        self._kernel, self._cache = kernel, kernel.cache
        self._limits = limits

    def lets_pass(self, command: Any) -> bool:
        if isinstance(command, SubmitOrder):
            return self._admits([command.order])
        if isinstance(command, SubmitOrderList):
            whole = f"OrderList {command.order_list.id} DENIED"
            return self._admits(command.order_list.orders, whole)
        return not isinstance(command, ModifyOrder) or self._admits_change(command)

    def _admits(self, orders: list[Any], whole: str = "") -> bool:
        for order in orders:
            if reason := self._why_too_large(order, self._notional(order)):
                self._deny(order, reason)
                for other in orders:
                    if other is not order and not other.is_closed:
                        self._deny(other, whole)
                return False
        return True

    def _admits_change(self, command: Any) -> bool:
        order = self._cache.order(command.client_order_id)
        if order is None:
            return True  # the execution engine says so itself
        before, after = self._notional(order), self._notional(order, command)
        is_larger = before is None or after is None or after > before
        reason = self._why_too_large(order, after) if is_larger else ""
        if reason:
            self._kernel.risk_engine._reject_modify_order(order, reason)
        return not reason

    def _why_too_large(self, order: Any, notional: Money | None) -> str:
        limit = self._limits.get(str(order.instrument_id), self._limits.get(EVERY_INSTRUMENT))
        if limit is None or order.is_reduce_only:
            return ""
        if notional is None:
            return f"NOTIONAL_UNKNOWN: max_notional={limit}, and no price of {order.instrument_id} is known"
        if notional.as_decimal() <= limit:
            return ""
        most = Money(limit, notional.currency)
        return f"NOTIONAL_EXCEEDS_MAX_PER_ORDER: max_notional={most}, notional={notional}"

    def _notional(self, order: Any, change: Any = None) -> Money | None:
        """What the order is worth in the quote currency, counted as NautilusTrader does; None where no price is known."""
        instrument = self._cache.instrument(order.instrument_id)
        price = self._price(order, change)
        if instrument is None or price is None:
            return None
        quantity = _first(change and change.quantity, order.quantity)
        if order.is_quote_quantity and not instrument.is_inverse:
            quantity = instrument.calculate_base_quantity(quantity, price)
        return instrument.notional_value(quantity, price, use_quote_for_inverse=True)

    def _price(self, order: Any, change: Any) -> Any:
        """The price the order names, else the market's. A sell limit below the market fills at the market, so that counts."""
        market = self._market_price(order)
        limit = _first(change and change.price, order.price if order.has_price else None)
        if limit is None:
            trigger = order.trigger_price if order.has_trigger_price else None
            return _first(change and change.trigger_price, trigger, market)
        return max(limit, market) if market is not None and order.is_sell else limit

    def _market_price(self, order: Any) -> Any:
        """The last quote's price on the order's side, else the last trade's; bars count where neither was seen."""
        kinds = (_SIDE_PRICE[order.side], PriceType.LAST, PriceType.MID, PriceType.MARK)
        prices = (self._cache.price(order.instrument_id, kind) for kind in kinds)
        return _first(*prices)

    def _deny(self, order: Any, reason: str) -> None:
        """As the risk engine denies, which cannot deny an order that the emulator released."""
        self._kernel.logger.warning(f"SubmitOrder for {order.client_order_id} DENIED: {reason}")
        denied = OrderDenied(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            reason=reason,
            event_id=UUID4(),
            ts_init=self._kernel.clock.timestamp_ns(),
        )
        self._kernel.msgbus.send(endpoint="ExecEngine.process", msg=denied)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _amount(instrument: str, value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"`risk_engine.{_FIELD}`: {value!r} for {instrument} is no amount above 0")
    return amount
