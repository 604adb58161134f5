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

    def begin(self) -> None:
        """Takes up what was open when the engine ended, and listens from here on."""
        if kept := self._cache.get(_KEPT):
            for client, sums in msgspec.json.decode(kept, type=Sums).items():
                self._sums[client].update(sums)
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
        if self._sums[client].pop(instrument, None) is not None:
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
                self._sums[name][event.instrument_id.value] += sign * event.last_qty.as_decimal()
                self._keep()

    def _keep(self) -> None:
        self._cache.add(_KEPT, msgspec.json.encode(self._sums))
