"""What became of a run's orders, and what it left open: positions and orders that no statistic of closed trades tells of."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

from flotilla.engine_sidecar.backtest.expirations import is_expiration
from flotilla.engine_sidecar.backtest.marks import Marks
from flotilla.engine_sidecar.engine.translate import amount
from flotilla.schemas.backtest import NOWHERE, OpenOrder, OpenPosition, OrderCounts, OrderReason

_ENDS: Final = {
    "INITIALIZED": "unsent",
    "EMULATED": "unsent",
    "RELEASED": "unsent",
    "DENIED": "denied",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "CANCELED": "canceled",
    "VOIDED": "canceled",
    "FILLED": "filled",
}
"""Every other status is that of an order which is open, or on its way."""
_OPEN: Final = "open"
_NUMBER: Final = re.compile(r"\d[\d_.,]*")
MAX_REASONS: Final = 5


def fate(order: Any) -> str:
    """What became of an order: one of the counts of OrderCounts."""
    return "filled" if is_expiration(order) else _ENDS.get(order.status_string(), _OPEN)


def order_counts(orders: Iterable[Any], algorithms: Iterable[str]) -> OrderCounts:
    """How many orders came to which end. `algorithms` are the execution algorithms that the run has."""
    counts: Counter[str] = Counter()
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    known = set(algorithms)
    for order in orders:
        end = fate(order)
        counts[end] += 1
        if end in NOWHERE:
            text = _reason(order, end, known)
            reasons[end, _NUMBER.sub("#", text)].append(text)
    told = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_REASONS]
    total = counts.total()
    return OrderCounts(
        total=total,
        submitted=total - counts["unsent"] - counts["denied"],
        **{name: counts[name] for name in (*NOWHERE, "filled", "open", "expired", "canceled")},
        reasons=tuple(
            OrderReason(status=end, reason=texts[0], count=len(texts))  # type: ignore[arg-type]
            for (end, _), texts in told
        ),
    )


def open_orders(orders: Iterable[Any]) -> list[OpenOrder]:
    """Those that are at a venue, or on their way, in the order given."""
    return [
        OpenOrder(
            client_order_id=order.client_order_id.value,
            instrument_id=order.instrument_id.value,
            side=order.side_string(),
            order_type=order.type_string(),
            status=order.status_string(),
            quantity=str(order.quantity),
            filled_qty=str(order.filled_qty),
            price=_price(order),
        )
        for order in orders
        if fate(order) == _OPEN
    ]


def open_positions(cache: Any, marks: Marks) -> list[OpenPosition]:
    """Those that are open, by the time of their opening, valued as equity is."""
    held = sorted(cache.positions_open(), key=lambda one: (one.ts_opened, one.id.value))
    return [_position(position, marks.of(position)) for position in held]


def _position(position: Any, price: Any) -> OpenPosition:
    return OpenPosition(
        position_id=position.id.value,
        instrument_id=position.instrument_id.value,
        strategy_id=position.strategy_id.value,
        side=position.side.name,
        quantity=str(position.quantity),
        entry_price=position.avg_px_open,
        entry_time_ns=position.ts_opened,
        unrealized_pnl=None if price is None else amount(position.unrealized_pnl(price)),
        currency=position.settlement_currency.code,
    )


def _reason(order: Any, end: str, algorithms: set[str]) -> str:
    if end != "unsent":
        return str(getattr(order.last_event, "reason", None) or "no reason was given")
    wanted = order.exec_algorithm_id
    if wanted is not None and wanted.value not in algorithms:
        return f"there is no execution algorithm {wanted.value} in this run"
    if wanted is not None:
        return f"the execution algorithm {wanted.value} sent nothing of it"
    if order.status_string() == "INITIALIZED":
        return "the strategy made it and never sent it"
    return "it was held back until its trigger, which never came"


def _price(order: Any) -> str | None:
    price = getattr(order, "price", None) or getattr(order, "trigger_price", None)
    return None if price is None else str(price)
