"""OKX: after a restart between two fills of an order, the next one is charged with the fees of all before it.

The venue's socket tells what an order has cost so far, and the adapter takes off what it heard before, which after a restart, or after
a gap, is not all. So what the engine has of the order already is taken off. No public report of it was found.
"""

from collections import defaultdict
from decimal import Decimal
from typing import Any


def repair_okx_fees(client: Any) -> None:
    """Has the execution client charge each fill with its own fee; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.okx."):
        return
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415 - other engines do not need it
    from nautilus_trader.model.objects import Money  # noqa: PLC0415

    handle, told = client._handle_fill_report_pyo3, defaultdict[str, Decimal](Decimal)
    sent: dict[str, dict[str, Decimal]] = defaultdict(dict)

    def with_its_own_fee(report: Any) -> None:
        name, trade = str(report.client_order_id), str(report.trade_id)
        said = Money.from_str(str(report.commission))
        told[name] += said.as_decimal()
        known = sent[name] | _charged(client, name)
        if trade not in known:
            sent[name][trade] = told[name] - sum(known.values())
            own = Money(sent[name][trade], said.currency)
            report = nautilus_pyo3.FillReport.from_dict(report.to_dict() | {"commission": str(own)})
        handle(report)

    client._handle_fill_report_pyo3 = with_its_own_fee


def _charged(client: Any, name: str) -> dict[str, Decimal]:
    """The fee of each trade that the engine has of an order; its queue may have more."""
    from nautilus_trader.model.events import OrderFilled  # noqa: PLC0415
    from nautilus_trader.model.identifiers import ClientOrderId  # noqa: PLC0415

    order = client._cache.order(ClientOrderId(name))
    events = order.events if order is not None else ()
    return {
        each.trade_id.value: each.commission.as_decimal() for each in events if isinstance(each, OrderFilled)
    }
