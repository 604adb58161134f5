"""Fills of an engine's orders that its adapter never told of: most ask a venue for nothing after a reconnect.

Such a fill is the venue's own word on an order of ours, so it is taken as any other. NautilusTrader's check of open orders would make
one up, with an id and a commission of its own. https://github.com/nautechsystems/nautilus_trader/pull/4991 asks for them on
reconnecting, for one venue.
"""

from collections.abc import Iterable
from typing import Any

from flotilla.engine_sidecar.engine.venues.comparison import Difference


def unheard(found: Iterable[Difference]) -> set[str]:
    """The instruments of orders that are open in the engine, and that a fill which it did not hear of could explain."""
    return {
        each.instrument
        for each in found
        if each.what == "order"
        and each.engine is not None
        and (each.venue is None or each.venue > each.engine)
    }


def take(kernel: Any, fills: Iterable[Any]) -> None:
    """Takes those of a venue's reports of fills that are of the node's open orders, and that it does not have."""
    for report in fills:
        if (client_id := kernel.cache.client_order_id(report.venue_order_id)) is None:
            continue
        order = kernel.cache.order(client_id)
        if order is not None and order.is_open and report.trade_id not in order.trade_ids:
            kernel.exec_engine.reconcile_execution_report(report)
