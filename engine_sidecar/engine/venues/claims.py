"""Ends of orders that NautilusTrader tells of and the venue's open orders have not borne out yet.

It calls an order rejected whose request failed, and cancelled one whose cancel was never answered, though both may be open.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.model.events import OrderCanceled, OrderExpired, OrderRejected

from flotilla.engine_sidecar.engine.venues.catching_up import Behind, add
from flotilla.engine_sidecar.engine.venues.comparison import Difference, Side
from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed

_ENDS: Final = (OrderRejected, OrderCanceled, OrderExpired)
MOST_ASKED: Final = 10
"""Orders of which a venue is asked by one look: many that are rejected at once must not use up its limit, nor hold up what is compared."""

type Found = tuple[str, Decimal]
"""Status and filled quantity that a venue has of an order."""
type TellOrder = Callable[[Any, Found | None], None]
"""Is called with an order that ended, and with what the venue has of it; with null where that bears out the end."""
type AskOrder = Callable[[Any], Awaitable[Found | None]]


class Claims:
    """Remembers such ends until a look at the venue that began later. `tell` is called with what came of it, once each way."""

    def __init__(self, kernel: Any, clients: Iterable[Any], tell: TellOrder) -> None:
        self._cache, self._bus, self._tell = kernel.cache, kernel.msgbus, tell
        self._clients = tuple(clients)
        self._ended: dict[tuple[str, str], tuple[str, Any]] = {}
        self._in_doubt: set[tuple[str, str]] = set()
        self._found_open: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """Listens from here on."""
        if self._clients:
            self._bus.subscribe("events.order.*", self._note)

    def is_claim(self, event: Any) -> bool:
        """True for an end that only the venue can bear out."""
        return isinstance(event, _ENDS) and self._client_of(event) is not None

    def instruments(self, client: str) -> set[str]:
        """Those of whose orders the venue is to be asked."""
        return {instrument for (instrument, _), (name, _) in self._ended.items() if name == client}

    def noted(self) -> tuple[tuple[str, str], ...]:
        """What is to be borne out, by instrument and order: to be taken before the venue is asked."""
        return tuple(self._ended)

    async def settle(
        self, client: str, noted: Collection[tuple[str, str]], venue: Side, ask: AskOrder
    ) -> Behind:
        """Tells of those that the venue does not have among its open orders. Returns which trades are missing of those that it has filled
        further.

        What was rejected, seen open, or only supposed to have ended, may have been filled meanwhile: of each such order the venue is
        asked. Where it does not say, that is left for a later look, with all that would be asked after it or after the first `MOST_ASKED`.
        """
        left, behind = MOST_ASKED, dict[str, int]()
        for key in noted:
            name, order = self._ended.get(key, ("", None))
            if name != client or key in venue.orders:
                continue
            found = None
            if key in self._in_doubt:
                if not left:
                    continue
                left -= 1
                try:
                    found = await ask(order)
                except ReportsFailed:
                    # The others come first next time.
                    self._ended[key], left = self._ended.pop(key), 0
                    continue
            self._ended.pop(key, None)
            self._in_doubt.discard(key)
            self._found_open.discard(key)
            self._tell(order, found)
            if found is not None and found[1] > order.filled_qty.as_decimal():
                add(behind, key[0], order.ts_init)
        return behind

    def deny(self, found: Iterable[Difference]) -> None:
        """Tells of those that were seen open at the venue for longer than a cancel is on its way."""
        for each in found:
            key = each.instrument, each.order
            is_open = each.what == "order" and each.engine is None and each.venue is not None
            if is_open and key in self._ended and key not in self._found_open:
                self._found_open.add(key)
                self._in_doubt.add(key)
                status = "PARTIALLY_FILLED" if each.venue else "ACCEPTED"
                self._tell(self._ended[key][1], (status, each.venue or Decimal()))

    def _note(self, event: Any) -> None:
        client = self._client_of(event) if isinstance(event, _ENDS) else None
        order = self._cache.order(event.client_order_id) if client is not None else None
        if client is not None and order is not None:
            key = order.instrument_id.value, order.client_order_id.value
            self._ended[key] = str(client.id), order
            # NautilusTrader marks likewise what it takes from a report and what it takes for granted.
            if event.reconciliation or isinstance(event, OrderRejected):
                self._in_doubt.add(key)

    def _client_of(self, event: Any) -> Any:
        """The client of the account that the event is of; null where that is not known, or simulated."""
        account = event.account_id
        return next((each for each in self._clients if account and each.account_id == account), None)
