"""What others did to the positions of an account: NautilusTrader adopts it as its own, so that both sides agree on it at once."""

from collections import defaultdict
from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderFilled

from flotilla.engine_sidecar.engine.venues.comparison import Difference
from flotilla.engine_sidecar.engine.venues.reports import net_positions

_KEPT: Final = "flotilla-foreign-fills"
_KEPT_CLOSED: Final = "flotilla-closed-by-others"
type Sums = dict[str, dict[str, Decimal]]


class ForeignFills:
    """Adds up, by client and instrument, the fills of orders that no strategy of the engine made; what is open of it outlasts the session.

    NautilusTrader makes such an order from a report: of one that somebody placed by hand, of a liquidation, or of a position that
    nothing explains. No engine ever submitted it; that it is somebody's (`external_order_claims`) changes nothing.
    """

    def __init__(self, kernel: Any, clients: tuple[Any, ...]) -> None:
        self._cache, self._bus = kernel.cache, kernel.msgbus
        self._clients = {str(each.id): each for each in clients}
        self._sums: Sums = defaultdict(lambda: defaultdict(Decimal))
        self._closed: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """Takes up what was open when the engine ended, and listens from here on."""
        if kept := self._cache.get(_KEPT):
            for client, sums in msgspec.json.decode(kept, type=Sums).items():
                self._sums[client].update(sums)
        if kept := self._cache.get(_KEPT_CLOSED):
            self._closed = msgspec.json.decode(kept, type=set[tuple[str, str]])
        self._bus.subscribe("events.order.*", self._count)

    def found(self, client: Any) -> list[Difference]:
        """The positions that are what they are by others' doing, net."""
        net = net_positions(self._cache.positions_open(account_id=client.account_id))
        return [
            Difference(
                str(client.id),
                "change",
                name,
                engine=net.get(name, Decimal()) - quantity,
                venue=net.get(name, Decimal()),
            )
            for name, quantity in self._sums[str(client.id)].items()
            if quantity
        ]

    def forget(self, client: str, instrument: str) -> None:
        """A person took it as it is, or nothing is left of it."""
        self._closed.discard((client, instrument))
        if self._sums[client].pop(instrument, None) is not None:
            self._keep()

    def forget_flat(self, client: str, instrument: str) -> None:
        """Nothing is left of it, unless that is what others did: a position that they closed, such as by a liquidation."""
        if (client, instrument) not in self._closed:
            self.forget(client, instrument)

    def forget_closed(self) -> None:
        """A person wanted all closed: it is no matter any more by whom it was."""
        self._closed.clear()
        self._keep()

    def _count(self, event: Any) -> None:
        if isinstance(event, OrderFilled) and (order := self._cache.order(event.client_order_id)) is not None:
            self.add(order, event)

    def add(self, order: Any, event: Any) -> None:
        """Counts a fill, unless a strategy of the engine made its order."""
        if order.ts_submitted:
            return
        for name, client in self._clients.items():
            if client.account_id == event.account_id:
                sign = 1 if event.order_side == OrderSide.BUY else -1
                instrument, quantity = event.instrument_id.value, sign * event.last_qty.as_decimal()
                self._sums[name][instrument] += quantity
                # The position has the fill already by the time that its event comes.
                is_flat = not net_positions(self._cache.positions_open(account_id=client.account_id)).get(
                    instrument
                )
                (self._closed.add if is_flat else self._closed.discard)((name, instrument))
                self._keep()

    def _keep(self) -> None:
        self._cache.add(_KEPT, msgspec.json.encode(self._sums))
        self._cache.add(_KEPT_CLOSED, msgspec.json.encode(self._closed))
