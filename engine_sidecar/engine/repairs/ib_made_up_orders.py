"""Interactive Brokers: at each restart with a kept cache a position is explained once more, by orders that never were.

The adapter reports an order, filled today, for each position that the venue has, and none for an order of ours that was filled while
nobody listened. NautilusTrader adopts the first and takes it back by a second, so that fills are on record that no venue ever made. So
orders are reported that the venue has or has filled, and positions as positions.
https://github.com/nautechsystems/nautilus_trader/issues/3176
"""

from collections import defaultdict
from decimal import Decimal
from typing import Any


def repair_ib_made_up_orders(client: Any) -> None:
    """Has the execution client report no order but real ones; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.interactive_brokers."):
        return
    from nautilus_trader.execution.messages import GenerateOrderStatusReports  # noqa: PLC0415 - other engines do not need it

    report = client.generate_order_status_reports

    async def real_ones(command: Any) -> list[Any]:
        asked = {
            "instrument_id": command.instrument_id,
            "start": command.start,
            "end": command.end,
            "command_id": command.id,
        }
        found: list[Any] = await report(
            GenerateOrderStatusReports(**asked, open_only=True, ts_init=command.ts_init)
        )
        return found if command.open_only else [*found, *await _filled(client, asked, command.ts_init)]

    client.generate_order_status_reports = real_ones


async def _filled(client: Any, asked: dict[str, Any], now: int) -> list[Any]:
    """Reports of orders that are open in the cache, and that the venue has filled."""
    from nautilus_trader.execution.messages import GenerateFillReports  # noqa: PLC0415

    fills: dict[Any, list[Any]] = defaultdict(list)
    for each in await client.generate_fill_reports(
        GenerateFillReports(**asked, venue_order_id=None, ts_init=now)
    ):
        fills[each.venue_order_id].append(each)
    return [
        _report_of(order, fills[order.venue_order_id], now)
        for order in client._cache.orders_open()
        if order.account_id == client.account_id
        and sum(each.last_qty.as_decimal() for each in fills[order.venue_order_id])
        == order.quantity.as_decimal()
    ]


def _report_of(order: Any, fills: list[Any], now: int) -> Any:
    from nautilus_trader.core.uuid import UUID4  # noqa: PLC0415
    from nautilus_trader.execution.reports import OrderStatusReport  # noqa: PLC0415
    from nautilus_trader.model.enums import OrderStatus  # noqa: PLC0415

    paid = sum((each.last_qty.as_decimal() * each.last_px.as_decimal() for each in fills), Decimal())
    return OrderStatusReport(
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        order_side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        order_status=OrderStatus.FILLED,
        price=order.price if order.has_price else None,
        trigger_price=order.trigger_price if order.has_trigger_price else None,
        quantity=order.quantity,
        filled_qty=order.quantity,
        avg_px=paid / order.quantity.as_decimal(),
        report_id=UUID4(),
        ts_accepted=order.ts_accepted,
        ts_last=max(each.ts_event for each in fills),
        ts_init=now,
    )
