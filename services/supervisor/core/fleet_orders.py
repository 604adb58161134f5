"""Which emergency stops of the fleet are in force, by the orders that were kept: each stop until a later lift. Pure."""

import msgspec

from flotilla.schemas.session import StopOrder


class OrderBook(msgspec.Struct):
    """`in_force` are the stops that nobody lifted, by id, oldest first; `lifted` the ids of all others."""

    in_force: dict[str, StopOrder] = {}
    lifted: set[str] = set()

    def take(self, order: StopOrder) -> None:
        """Takes the next order, in the order of their coming. The same stop, asked for again after its lift, is in force again."""
        if not order.is_lift:
            self.in_force.setdefault(order.order_id, order)
            self.lifted.discard(order.order_id)
            return
        ended = [
            stop.order_id for stop in self.in_force.values() if order.instance_id in (None, stop.instance_id)
        ]
        for order_id in ended:
            del self.in_force[order_id]
            self.lifted.add(order_id)
