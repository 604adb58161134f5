"""Binance futures: the fill of a liquidation, or of a settlement, has an id, a price and a fee that the venue never gave it.

The adapter tells the engine of the venue's own order twice: first by the order's report, which says that it is filled, then by the
trade. The engine makes the fill up from the first, and refuses the second as one too many. So the report says only that there is such an
order, and the trade fills it. No public report of it was found.
"""

from typing import Any, Final

_VENUES_OWN: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""How the ids of such orders begin, by the venue's documentation."""


def repair_binance_own_orders(client: Any) -> None:
    """Has the execution client tell of the venue's own orders without what their trades tell; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.binance."):
        return
    from nautilus_trader.model.enums import OrderStatus  # noqa: PLC0415 - other engines do not need it
    from nautilus_trader.model.objects import Quantity  # noqa: PLC0415

    send = client._send_order_status_report

    def without_the_fill(report: Any) -> None:
        name = report.client_order_id
        is_own = name is not None and name.value.startswith(_VENUES_OWN)
        if is_own and report.filled_qty:
            order = client._cache.order(name)
            known = order.filled_qty if order is not None else Quantity.zero(report.quantity.precision)
            report.order_status = OrderStatus.PARTIALLY_FILLED if known else OrderStatus.ACCEPTED
            report.filled_qty = known
        send(report)

    client._send_order_status_report = without_the_fill
