"""Listens on the engine's message bus and passes what happens to the link.

Handlers run inside the engine: an exception that left one would end the process. None does, whatever goes wrong here.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.model.events import OrderCanceled, OrderFilled, PositionClosed, PositionOpened

from flotilla.engine_sidecar.engine import translate
from flotilla.engine_sidecar.link.frames import Happened
from flotilla.schemas.alerts import TELEMETRY_LOST
from flotilla.schemas.telemetry import Alert, EventKind

_TOLD_AGAIN_NS: Final = 60 * 10**9
"""The fills of the last minute before an engine ended are told again: of a longer time the bus has been away, which is an alert."""

type Send = Callable[[object], None]


class Tap:
    """Forwards order, fill, position and account events, and counts what only events can tell."""

    def __init__(self, kernel: Any, send: Send) -> None:
        self._kernel, self._send = kernel, send
        self.is_claim: Callable[[Any], bool] = lambda _: False
        self._failed: set[str] = set()
        self._claimed: dict[Any, int] = {}
        self._not_cancelled: set[Any] = set()
        self._open_pnl: dict[str, tuple[Any, Decimal]] = {}
        self._closed_pnl: dict[Any, Decimal] = {}
        self.fills = 0
        self.positions = 0
        self.cancelled = 0
        self.closed = 0

    def subscribe(self) -> None:
        """Begins to listen, before the strategies, so that an event is told before what they make of it."""
        for topic, handler in (
            ("events.order.*", self._order),
            ("events.position.*", self._position),
            ("events.account.*", self._account),
        ):
            self._kernel.msgbus.subscribe(topic, self.guarded(handler), priority=10)

    def restored(self) -> None:
        """Tells of each position and order that came back open: what does not change has no event else, and no record of the
        session would have it. Before them come the last fills, which a sidecar that was killed may not have passed on.
        """
        cache = self._kernel.cache
        self.guarded(self._fills_restored)(cache.orders())
        for position in cache.positions_open():
            self.guarded(self._position_restored)(position)
        orders = {order.client_order_id: order for order in (*cache.orders_open(), *cache.orders_inflight())}
        for order in orders.values():
            self.guarded(self._order_restored)(order)

    @property
    def realized_pnl(self) -> dict[Any, Decimal]:
        """Realized profit by Currency over all positions, also those that closed and whose id is in use again."""
        total = dict(self._closed_pnl)
        for currency, pnl in self._open_pnl.values():
            total[currency] = total.get(currency, Decimal()) + pnl
        return total

    def looked_up(self, order: Any, found: tuple[str, Decimal] | None) -> None:
        """Tells what the venue has of an order that is said to have ended: status and filled quantity, or null where it bears that out."""
        name = order.client_order_id
        if found is None or found[0] == order.status_string():
            self._claimed.pop(name, None)
            self._not_cancelled.discard(name)
        elif name in self._claimed:
            self._not_cancelled.add(name)
        now = self._kernel.clock.timestamp_ns()
        self._happened(EventKind.ORDER, translate.order_looked_up(order, found, now))

    def cancelled_since(self, before: int) -> int:
        """How many orders were cancelled since `cancelled` was that, without those of which the venue says otherwise."""
        untrue = sum(self._claimed[each] > before for each in self._not_cancelled)
        return self.cancelled - before - untrue

    def alert(self, alert: Alert) -> None:
        """Sends an alert."""
        self._happened(EventKind.ALERT, alert)

    def guarded(self, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        """`handler`, but what it raises is logged, and told in an alert the first time."""

        def handle(message: Any) -> None:
            try:
                handler(message)
            except Exception as error:
                text = f"{type(message).__name__} was not passed on: {type(error).__name__}: {error}"
                self._kernel.logger.exception(text, error)  # noqa: TRY401 - it is NautilusTrader's
                if handler.__name__ not in self._failed:
                    self._failed.add(handler.__name__)
                    self.alert(TELEMETRY_LOST.alert(text))

        return handle

    def _order(self, event: Any) -> None:
        is_claim = self.is_claim(event)
        if isinstance(event, OrderCanceled):
            self.cancelled += 1
            if is_claim:
                self._claimed[event.client_order_id] = self.cancelled
        update = translate.order_update(event, self._kernel.cache, is_claim=is_claim)
        self._happened(EventKind.ORDER, update)
        if isinstance(event, OrderFilled):
            self.fills += 1
            self._happened(EventKind.FILL, translate.fill(event))

    def _position(self, event: Any) -> None:
        self.closed += isinstance(event, PositionClosed)
        self._happened(EventKind.POSITION, translate.position_update(event))
        self.positions += isinstance(event, PositionOpened)
        key, currency, pnl = event.position_id.value, event.currency, event.realized_pnl.as_decimal()
        if isinstance(event, PositionClosed):
            self._open_pnl.pop(key, None)
            self._closed_pnl[currency] = self._closed_pnl.get(currency, Decimal()) + pnl
        else:
            self._open_pnl[key] = currency, pnl

    def _fills_restored(self, orders: Any) -> None:
        last = max((order.last_event.ts_init for order in orders), default=0)
        found = [
            event
            for order in orders
            for event in order.events
            if isinstance(event, OrderFilled) and event.ts_init >= last - _TOLD_AGAIN_NS
        ]
        for event in sorted(found, key=lambda fill: fill.ts_init):
            self._happened(EventKind.FILL, translate.fill(event, is_restored=True))

    def _position_restored(self, position: Any) -> None:
        self._happened(EventKind.POSITION, translate.position_restored(position))

    def _order_restored(self, order: Any) -> None:
        self._happened(EventKind.ORDER, translate.order_restored(order))

    def _account(self, event: Any) -> None:
        self._happened(EventKind.ACCOUNT, translate.account_update(event))

    def _happened(self, kind: EventKind, data: msgspec.Struct) -> None:
        self._send(Happened(kind, msgspec.json.encode(data)))
