"""OKX: after a restart between two fills of an order, the next one is charged with the fees of all before it.

The venue's socket tells what an order has cost so far, and the adapter takes off what it heard before, which after a restart, or after
a gap, is not all. So what the engine has of the order already is taken off. Where a fill was lost in a gap and the engine hears of it after
a later one, that one was charged for both: then the venue's own report of its trades shows what was too much, and the fill that was
missing is charged only with the rest. No public report of it was found.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final

_NONE: Final = Decimal()
KEPT: Final = 1_000
"""Of so many orders that were filled last it is known what they have cost, of others only while they are open."""


@dataclass(slots=True)
class _Order:
    """What the adapter said an order has cost so far, and what its trades were charged with of that."""

    total: Decimal = _NONE
    charged: dict[str, Decimal] = field(default_factory=dict)


class Heard:
    """What the adapter said of the fees of orders, by the venue's ids as it counts them: a conditional order has a new one once triggered."""

    def __init__(self, client: Any) -> None:
        self.orders: dict[str, _Order] = {}
        self._client = client

    def own_fee(self, report: Any, said: Decimal) -> Decimal | None:
        """What a fill is charged with of what the adapter said; null where it was charged already."""
        name, trade = str(report.venue_order_id), str(report.trade_id)
        order = self.orders.setdefault(name, _Order())
        order.total += said
        known = order.charged | _charged(_order_of(self._client, report))
        self._forget_ended()
        if trade in known:
            return None
        order.charged[trade] = order.total - sum(known.values())
        return order.charged[trade]

    def _forget_ended(self) -> None:
        for name in tuple(islice(self.orders, max(0, len(self.orders) - KEPT))):
            order = _order(self._client, name)
            if order is None or order.is_closed:
                del self.orders[name]


def repair_okx_fees(client: Any) -> None:
    """Has the execution client charge each fee once; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.okx."):
        return
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415 - other engines do not need it
    from nautilus_trader.model.objects import Money  # noqa: PLC0415

    handle, ask, heard = client._handle_fill_report_pyo3, client.generate_fill_reports, Heard(client)

    def with_its_own_fee(report: Any) -> None:
        said = Money.from_str(str(report.commission))
        if (fee := heard.own_fee(report, said.as_decimal())) is not None:
            own = str(Money(fee, said.currency))
            report = nautilus_pyo3.FillReport.from_dict(report.to_dict() | {"commission": own})
        handle(report)

    async def with_what_is_left(command: Any) -> list[Any]:
        reports: list[Any] = await ask(command)
        _take_off(client, reports)
        return reports

    client._handle_fill_report_pyo3 = with_its_own_fee
    client.generate_fill_reports = with_what_is_left


def _take_off(client: Any, reports: Iterable[Any]) -> None:
    """Takes off the venue's trades that are missing what others of their orders were charged with for them, the oldest first."""
    from nautilus_trader.model.objects import Money  # noqa: PLC0415

    orders: dict[str, list[Any]] = defaultdict(list)
    for report in reports:
        orders[report.venue_order_id.value].append(report)
    for trades in orders.values():
        charged = _charged(_order_of(client, trades[0]))
        fees = {each.trade_id.value: each.commission.as_decimal() for each in trades}
        left = sum((charged[trade] - fee for trade, fee in fees.items() if trade in charged), _NONE)
        for report in sorted(trades, key=lambda each: each.ts_event):
            fee = fees[report.trade_id.value]
            # A rebate is a fee below zero.
            if left and report.trade_id.value not in charged and (left > 0) == (fee > 0):
                taken = min(left, fee, key=abs)
                report.commission = Money(fee - taken, report.commission.currency)
                left -= taken


def _charged(order: Any) -> dict[str, Decimal]:
    """The fee of each trade that the engine has of an order; its queue may have more."""
    from nautilus_trader.model.events import OrderFilled  # noqa: PLC0415

    events = order.events if order is not None else ()
    return {
        each.trade_id.value: each.commission.as_decimal() for each in events if isinstance(each, OrderFilled)
    }


def _order_of(client: Any, report: Any) -> Any:
    from nautilus_trader.model.identifiers import ClientOrderId  # noqa: PLC0415

    named = report.client_order_id
    order = client._cache.order(ClientOrderId(str(named))) if named is not None else None
    return order or _order(client, str(report.venue_order_id))


def _order(client: Any, venue_order_id: str) -> Any:
    from nautilus_trader.model.identifiers import VenueOrderId  # noqa: PLC0415

    client_order_id = client._cache.client_order_id(VenueOrderId(venue_order_id))
    return None if client_order_id is None else client._cache.order(client_order_id)
