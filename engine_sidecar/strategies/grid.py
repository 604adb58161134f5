"""Grid: rests buy orders on lines below the market and sell orders on lines above, and never holds more than it may."""

from collections.abc import Iterator
from decimal import Decimal
from math import floor
from typing import Any

import msgspec
from nautilus_trader.config import PositiveFloat, PositiveInt
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide, PositionSide

from flotilla.engine_sidecar.strategies.bars import BarsConfig, BarsStrategy
from flotilla.engine_sidecar.strategies.sizing import whole_quantity


class GridConfig(BarsConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """`trade_size` and `max_inventory` are in units, `spacing_percent` is of the first close, `levels` are lines on each side."""

    trade_size: Decimal
    max_inventory: Decimal
    spacing_percent: PositiveFloat = 1.0
    levels: PositiveInt = 3
    allow_short: bool = False

    def faults(self) -> Iterator[str]:
        """What is wrong with the fields together."""
        yield from super().faults()
        if not 0 < self.trade_size <= self.max_inventory:
            yield "`trade_size` must be more than 0 and at most `max_inventory`"


class Line(msgspec.Struct, frozen=True):
    """A line of the grid that is to have an order: `index` spacings above the first close."""

    index: int
    side: OrderSide


def wanted_lines(
    center: int, levels: int, size: Decimal, room_to_buy: Decimal, room_to_sell: Decimal
) -> list[Line]:
    """The lines beside the center, nearest first, as far as there is room for orders of `size` on each side."""
    buys = min(levels, max(0, int(room_to_buy // size)))
    sells = min(levels, max(0, int(room_to_sell // size)))
    lines = [Line(center - step, OrderSide.BUY) for step in range(1, buys + 1)]
    lines += [Line(center + step, OrderSide.SELL) for step in range(1, sells + 1)]
    return sorted(lines, key=lambda line: abs(line.index - center))


class Grid(BarsStrategy):
    """The center is the line that was filled last. At each bar's close the orders are moved to the lines around it.

    Without short positions, and while it holds nothing, the center follows the market up, or it would be left behind. What an
    earlier session has left at the venue is cancelled at the first close, because its grid is not known any more.
    """

    def _begin(self) -> None:
        super()._begin()
        self._origin = self._spacing = 0.0
        self._center = 0
        self._lines: dict[Any, Line] = {}
        self._moving: set[Any] = set()
        self._exit_order: Any = None

    def manage(self, bar: Bar) -> None:
        """Moves the orders to the lines around the center."""
        if not self._origin:
            self._origin = float(bar.close)
            self._spacing = self._origin * self.config.spacing_percent / 100
        held = self._held()
        if held == 0 and not self.config.allow_short:
            below = floor((float(bar.close) - self._origin) / self._spacing)
            self._center = max(self._center, below)
        self._quote(held)

    def retreat(self) -> None:
        """Cancels its orders and closes its position; afterwards the grid begins anew."""
        self._origin, self._center = 0.0, 0
        for order in self._working():
            self._cancel(order)
        position = self.position
        if position is not None and (self._exit_order is None or self._exit_order.is_closed):
            self.log.warning(
                f"Closing {position.id}: the day's loss has reached {self.config.max_daily_loss}"
            )
            side = OrderSide.SELL if position.side is PositionSide.LONG else OrderSide.BUY
            self._exit_order = self.order_factory.market(
                self.instrument.id, side, position.quantity, reduce_only=True
            )
            self.submit_order(self._exit_order, position_id=position.id)

    def on_order_filled(self, event: Any) -> None:
        """Makes the line that was filled the center."""
        order = self.cache.order(event.client_order_id)
        if order.is_closed and (line := self._lines.pop(order.client_order_id, None)) is not None:
            self._center = line.index

    def on_order_canceled(self, event: Any) -> None:
        """Rests the order that this one made room for. What others cancel it places again at the next close."""
        is_moved = event.client_order_id in self._moving
        self._moving.discard(event.client_order_id)
        if is_moved and self._origin:
            self._quote(self._held())

    def _quote(self, held: Decimal) -> None:
        quantity = whole_quantity(self.instrument, self.config.trade_size)
        if quantity is None:
            self.log.error(f"No orders: {self.config.trade_size} is less than {self.instrument.id} allows")
            return
        size, most = quantity.as_decimal(), self.config.max_inventory
        room = {OrderSide.BUY: most - held, OrderSide.SELL: held + (most if self.config.allow_short else 0)}
        lines = wanted_lines(
            self._center, self.config.levels, size, room[OrderSide.BUY], room[OrderSide.SELL]
        )
        working = self._working()
        for order in working:
            room[order.side] -= (
                order.leaves_qty.as_decimal()
            )  # even if it is being cancelled: it may fill yet
            if self._lines.get(order.client_order_id) not in lines:
                self._cancel(order)
        taken = {self._lines.get(order.client_order_id) for order in working}
        for line in lines:
            price = self._origin + line.index * self._spacing
            if line not in taken and price > 0 and size <= room[line.side]:
                room[line.side] -= size
                self._rest(line, quantity, price)

    def _rest(self, line: Line, quantity: Any, price: float) -> None:
        order = self.order_factory.limit(
            self.instrument.id, line.side, quantity, self.instrument.make_price(price)
        )
        self._lines[order.client_order_id] = line
        self.submit_order(order)

    def _cancel(self, order: Any) -> None:
        if not order.is_pending_cancel:
            self._moving.add(order.client_order_id)
            self.cancel_order(order)

    def _held(self) -> Decimal:
        return sum((held.signed_decimal_qty() for held in self._positions()), Decimal(0))

    def _working(self) -> list[Any]:
        """Its orders that may still fill; those that an earlier session left are on no line."""
        strays = self.cache.orders_open(instrument_id=self.config.instrument_id, strategy_id=self.id)
        keys = dict.fromkeys([*self._lines, *(order.client_order_id for order in strays)])
        orders = [self.cache.order(key) for key in keys]
        working = {
            order.client_order_id: order for order in orders if not (order.is_closed or order.is_reduce_only)
        }
        self._lines = {key: line for key, line in self._lines.items() if key in working}
        return list(working.values())
