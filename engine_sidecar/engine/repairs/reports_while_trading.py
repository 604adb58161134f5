"""What a client reports of a whole account while strategies trade.

Binance's does so when its private stream is back: it asks for orders, trades and positions, and goes on trading meanwhile, so that the
answers are of different moments. NautilusTrader takes them for one. What an order was filled after its trades were told it makes up, and
for a position that is ahead of its orders, or behind, it makes up an order (`make soak` found both). So positions are left to the
comparison with the venue, which asks a second time, and an order whose trades are not all there to the checks that ask for them.

A trade of an order that was falsely rejected reaches the position, and the order not: it would be taken again with each such report.
"""

from collections import deque
from typing import Any, Final

from nautilus_trader.model.events import OrderFilled

KEPT: Final = 10_000
"""So many trades are remembered: more than a venue tells in one report."""


def repair_reports_while_trading(client: Any, cache: Any, bus: Any) -> None:
    """Has the client hand on only what belongs together, and no trade that was heard already."""
    send, last = client._send_mass_status_report, deque[tuple[Any, Any]](maxlen=KEPT)

    def note(event: Any) -> None:
        if isinstance(event, OrderFilled):
            last.append((event.instrument_id, event.trade_id))

    bus.subscribe("events.order.*", note)

    def send_what_belongs_together(mass_status: Any) -> None:
        heard = set(last)
        mass_status._position_reports = {}
        mass_status._order_reports = {
            number: report
            for number, report in mass_status.order_reports.items()
            if not _is_ahead(cache, report, mass_status.fill_reports.get(number, []))
        }
        mass_status._fill_reports = {
            number: unheard
            for number, found in mass_status.fill_reports.items()
            if (unheard := [each for each in found if (each.instrument_id, each.trade_id) not in heard])
        }
        send(mass_status)

    client._send_mass_status_report = send_what_belongs_together


def _is_ahead(cache: Any, report: Any, fills: list[Any]) -> bool:
    """True for an order of the engine of which the report has more than the engine's and these trades."""
    client_id = report.client_order_id or cache.client_order_id(report.venue_order_id)
    order = cache.order(client_id) if client_id is not None else None
    if order is None or order.is_closed:
        return False
    unheard = sum(each.last_qty.as_decimal() for each in fills if each.trade_id not in order.trade_ids)
    return bool(order.filled_qty.as_decimal() + unheard < report.filled_qty.as_decimal())
