"""Turns NautilusTrader's events into what is published of them: pure, one function per kind of event."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import structs
from nautilus_trader.model.enums import (
    PositionSide,
    account_type_to_str,
    liquidity_side_to_str,
    order_side_to_str,
    position_side_to_str,
)
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.model.orders import OrderUnpacker

from flotilla.schemas.telemetry import AccountUpdate, Balance, Fill, OrderUpdate, PositionUpdate


def order_update(event: Any, cache: Any, *, is_claim: bool = False) -> OrderUpdate:
    """An order event, and the order as it stands after it. The first event of an order comes before the cache has it."""
    order = cache.order(event.client_order_id) or OrderUnpacker.from_init(event)
    update = _order(order, type(event).__name__, event.ts_event, getattr(event, "reason", None))
    return structs.replace(update, is_claim=is_claim)


def order_restored(order: Any) -> OrderUpdate:
    """An order that came back from where the engine's state is kept, with the time of its last event."""
    return _order(order, "OrderRestored", order.ts_last, None)


def order_looked_up(order: Any, found: tuple[str, Decimal] | None, ts_event: int) -> OrderUpdate:
    """What a venue says of an order that was said to have ended: status and filled quantity, or null where it bears that out."""
    if found is None:
        return _order(order, "OrderLookedUp", ts_event, None)
    status, filled = found
    reason = None if status == order.status_string() else f"it was said to be {order.status_string()}"
    update = _order(order, "OrderLookedUp", ts_event, reason)
    return structs.replace(update, status=status, filled_qty=str(Quantity(filled, order.quantity.precision)))


def _order(order: Any, name: str, ts_event: int, reason: str | None) -> OrderUpdate:
    return OrderUpdate(
        event=name,
        client_order_id=order.client_order_id.value,
        instrument_id=order.instrument_id.value,
        strategy_id=order.strategy_id.value,
        status=order.status_string(),
        side=order.side_string(),
        order_type=order.type_string(),
        quantity=str(order.quantity),
        filled_qty=str(order.filled_qty),
        time_in_force=order.tif_string(),
        ts_event=ts_event,
        venue_order_id=_text(order.venue_order_id),
        price=_text(getattr(order, "price", None)),
        trigger_price=_text(getattr(order, "trigger_price", None)),
        avg_px=_number(order.avg_px),
        reason=reason,
        is_reduce_only=order.is_reduce_only,
    )


def fill(event: Any, *, is_restored: bool = False) -> Fill:
    """An OrderFilled; `currency` is that of the commission."""
    return Fill(
        trade_id=event.trade_id.value,
        client_order_id=event.client_order_id.value,
        instrument_id=event.instrument_id.value,
        strategy_id=event.strategy_id.value,
        side=order_side_to_str(event.order_side),
        last_qty=str(event.last_qty),
        last_px=str(event.last_px),
        currency=event.commission.currency.code,
        commission=amount(event.commission),
        liquidity_side=liquidity_side_to_str(event.liquidity_side),
        ts_event=event.ts_event,
        venue_order_id=_text(event.venue_order_id),
        position_id=_text(event.position_id),
        is_restored=is_restored,
    )


def position_update(event: Any) -> PositionUpdate:
    """A PositionOpened, PositionChanged or PositionClosed."""
    return _position(event, type(event).__name__, event.position_id, event.currency, event.ts_event)


def position_restored(position: Any) -> PositionUpdate:
    """A position that came back from where the engine's state is kept, with the time of its last event."""
    return _position(position, "PositionRestored", position.id, position.quote_currency, position.ts_last)


def _position(facts: Any, name: str, position_id: Any, currency: Any, ts_event: int) -> PositionUpdate:
    """From an event or a position: both have the rest under the same names."""
    return PositionUpdate(
        event=name,
        position_id=position_id.value,
        instrument_id=facts.instrument_id.value,
        strategy_id=facts.strategy_id.value,
        side=position_side_to_str(facts.side),
        quantity=str(facts.quantity),
        signed_qty=f"-{facts.quantity}" if facts.side == PositionSide.SHORT else str(facts.quantity),
        avg_px_open=_number(facts.avg_px_open) or "0",
        currency=currency.code,
        realized_pnl=amount(facts.realized_pnl),
        ts_event=ts_event,
        avg_px_close=_number(facts.avg_px_close) if facts.avg_px_close else None,
        ts_opened=facts.ts_opened,
        ts_closed=facts.ts_closed,
    )


def account_update(event: Any) -> AccountUpdate:
    """An AccountState."""
    return AccountUpdate(
        account_id=event.account_id.value,
        account_type=account_type_to_str(event.account_type),
        balances=tuple(
            Balance(
                currency=balance.currency.code,
                total=amount(balance.total),
                free=amount(balance.free),
                locked=amount(balance.locked),
            )
            for balance in event.balances
        ),
        ts_event=event.ts_event,
        base_currency=event.base_currency.code if event.base_currency else None,
    )


def amount(money: Any) -> str:
    """A Money without its currency, with all its decimals: 1000.00."""
    return str(money).rpartition(" ")[0].replace("_", "")


def amounts(sums: Mapping[Any, Decimal]) -> dict[str, str]:
    """Sums by Currency, each with all the decimals of its currency, by the currency's code."""
    return {currency.code: amount(Money(total, currency)) for currency, total in sums.items()}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: float | None) -> str | None:
    """NautilusTrader keeps averages as floats; the shortest text that is this float."""
    return None if value is None else f"{value:.15g}"
