"""What a venue closes when a contract expires: NautilusTrader draws the ids of these orders at random, and leaves the orders unsent for ever.

Here they are numbered, so that a run again gives the same, and filled as far as they were.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from flotilla.schemas.telemetry import Fill, OrderUpdate

_DRAWN: Final = re.compile(
    r"(?:EXPIRATION-LEG-|-LEG-(?:OTM|CASH|EX)-)([0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?)"
)
_TAG: Final = "EXPIRATION_"


def is_expiration(order: Any) -> bool:
    """True for an order that the venue made to close a position at an expiry."""
    return any(tag.startswith(_TAG) for tag in order.tags or ())


def order_key(order: Any) -> tuple[int, str]:
    """Sorts orders by time, and those of one time by what is the same in each run."""
    own = (
        f"{order.instrument_id} {order.strategy_id}" if is_expiration(order) else order.client_order_id.value
    )
    return order.ts_init, own


def numbered(
    orders: Iterable[OrderUpdate], fills: Iterable[Fill]
) -> tuple[tuple[OrderUpdate, ...], tuple[Fill, ...]]:
    """Orders and fills, each in their order, with a number of its own for each id that was drawn."""
    numbers: dict[str, str] = {}

    def plain(text: str | None) -> str | None:
        match = _DRAWN.search(text or "")
        if text is None or match is None:
            return text
        number = numbers.setdefault(match[1], str(len(numbers) + 1))
        return text[: match.start(1)] + number + text[match.end(1) :]

    def renamed(one: Any, *names: str) -> Any:
        return replace(one, **{name: plain(getattr(one, name)) for name in names})

    named = tuple(renamed(one, "client_order_id", "venue_order_id", "trade_id") for one in fills)
    made = []
    for order in orders:
        one = renamed(order, "client_order_id", "venue_order_id")
        if one.client_order_id != order.client_order_id:
            one = _filled(one, [each for each in named if each.client_order_id == one.client_order_id])
        made.append(one)
    return tuple(made), named


def _filled(order: OrderUpdate, fills: list[Fill]) -> OrderUpdate:
    """The order as its fills say that it ended: the venue closes no more than its last quote or bar has size for."""
    if not fills:
        return order
    quantities = [Decimal(one.last_qty) for one in fills]
    value = sum(
        (Decimal(one.last_px) * each for one, each in zip(fills, quantities, strict=True)), Decimal(0)
    )
    total = sum(quantities, Decimal(0))
    status = "FILLED" if total == Decimal(order.quantity) else "PARTIALLY_FILLED"
    return replace(
        order, event="OrderFilled", status=status, filled_qty=str(total), avg_px=f"{value / total:f}"
    )
