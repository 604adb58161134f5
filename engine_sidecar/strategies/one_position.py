"""What our strategies share that hold one position at a time, under a stop order at the venue.

The stop is an order and no decision at a bar's close: it fills where a real one would, within a bar or at the gap that opens one,
and it protects the position when the engine is gone.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.config import NonNegativeInt, PositiveFloat
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide, PositionSide

from flotilla.engine_sidecar.strategies.bars import BarsConfig, BarsStrategy
from flotilla.engine_sidecar.strategies.sizing import unit_value, units_at_risk, whole_quantity


class OnePositionConfig(BarsConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """`trade_size` is in units. With `risk_fraction` an order is sized so that its stop loses that part of the balance instead.

    `stop_multiple` is in what the strategy measures volatility in. At the first `cooldown_bars` closes after an exit there is no entry.
    """

    trade_size: Decimal | None = None
    risk_fraction: Decimal | None = None
    stop_multiple: PositiveFloat
    cooldown_bars: NonNegativeInt = 0
    allow_short: bool = False

    def faults(self) -> Iterator[str]:
        """What is wrong with the fields together."""
        yield from super().faults()
        if self.trade_size is None and self.risk_fraction is None:
            yield "`trade_size` or `risk_fraction` must be given"
        if self.trade_size is not None and not self.trade_size > 0:
            yield "`trade_size` must be more than 0"
        if self.risk_fraction is not None and not 0 < self.risk_fraction <= 1:
            yield "`risk_fraction` must be more than 0 and at most 1"


class Entry(msgspec.Struct, frozen=True):
    """A reason to open a position: the side, and how far from the fill its stop is to be."""

    side: OrderSide
    stop_distance: float


class OnePosition(BarsStrategy):
    """Enters at the market at a bar's close. A subclass says when in `find_entry`, and where to get out in `stop_price`."""

    def _begin(self) -> None:
        super()._begin()
        self._entry_order: Any = None
        self._exit_order: Any = None
        self._stop_order: Any = None
        self._is_replacing = False
        self._wanted = self._distance = 0.0
        self._pause = 0

    def find_entry(self, bar: Bar) -> Entry | None:
        """A reason to enter at the close of this bar, with what was observed of the bars before it."""
        raise NotImplementedError

    def stop_price(self, bar: Bar, direction: int) -> float | None:
        """Where the stop belongs after this bar; None gets out at the market at once. `direction` is 1 long, -1 short.

        A stop is only ever moved towards the market.
        """
        raise NotImplementedError

    @property
    def resting_stop(self) -> float | None:
        """The price of the stop at the venue, if one is there."""
        return float(self._stop_order.trigger_price) if _is_working(self._stop_order) else None

    def on_start(self) -> None:
        """Takes up the stop that an earlier session has left at the venue."""
        super().on_start()
        resting = self.cache.orders_open(instrument_id=self.config.instrument_id, strategy_id=self.id)
        stops = (order for order in resting if order.is_reduce_only and order.has_trigger_price)
        self._stop_order = next(stops, None)

    def seek(self, bar: Bar) -> None:
        """Opens a position where there is reason to."""
        if self.position is not None or _is_working(self._entry_order):
            return
        if self._pause:
            self._pause -= 1
            return
        entry = self.find_entry(bar) if self.is_ready else None
        if entry is not None and (self.config.allow_short or entry.side is OrderSide.BUY):
            self._enter(entry, bar.close)

    def manage(self, bar: Bar) -> None:
        """Moves the stop of an open position after the market, or closes it.

        Until enough was observed, as after a restart, the stop stays where it is.
        """
        position = self.position
        if position is None or not self.is_ready or _is_working(self._exit_order):
            return
        direction = _direction(position)
        price = self.stop_price(bar, direction)
        if price is None or (float(bar.close) - price) * direction <= 0:
            self._leave(position)
        else:
            self._protect(position, price)

    def retreat(self) -> None:
        """Closes the position."""
        position = self.position
        if position is not None and not _is_working(self._exit_order):
            self.log.warning(
                f"Closing {position.id}: the day's loss has reached {self.config.max_daily_loss}"
            )
            self._leave(position)

    def on_position_opened(self, event: Any) -> None:
        """Places the stop."""
        position = self.cache.position(event.position_id)
        if self._distance and not _is_working(self._exit_order):
            self._protect(position, float(position.avg_px_open) - _direction(position) * self._distance)

    def on_position_changed(self, event: Any) -> None:
        """Keeps the stop as large as the position, which may be filled in parts."""
        self._fit_stop()

    def on_position_closed(self, event: Any) -> None:
        """Takes the stop away, unless that closed the position."""
        super().on_position_closed(event)
        self._pause = self.config.cooldown_bars
        self._cancel_stop()

    def on_order_accepted(self, event: Any) -> None:
        """Fits a stop to what was filled while it was on its way."""
        if self._is_stop(event):
            self._fit_stop()

    def on_order_rejected(self, event: Any) -> None:
        """Closes a position whose stop the venue does not take."""
        self._on_stop_refused(event)

    def on_order_denied(self, event: Any) -> None:
        """Closes a position whose stop does not get to the venue."""
        self._on_stop_refused(event)

    def on_order_modify_rejected(self, event: Any) -> None:
        """Has a venue that cannot move a stop cancel it, to place a new one."""
        if self._is_stop(event) and self._stop_order.is_open:
            self._is_replacing = True
            self.cancel_order(self._stop_order)

    def on_order_canceled(self, event: Any) -> None:
        """Places the new stop for one that could not be moved; what others cancel is placed again on the next bar."""
        if self._is_stop(event) and self._is_replacing and (position := self.position) is not None:
            self._is_replacing = False
            self._protect(position, self._wanted)

    def _enter(self, entry: Entry, price: Any) -> None:
        direction = 1 if entry.side is OrderSide.BUY else -1
        stop = float(price) - direction * entry.stop_distance
        if entry.stop_distance <= 0 or stop <= 0:
            self.log.warning(f"No entry at {price}: its stop would be at {stop}")
            return
        quantity = whole_quantity(
            self.instrument, self._units(price.as_decimal(), direction * entry.stop_distance)
        )
        if quantity is None:
            self.log.warning(
                f"No entry at {price}: the order would be smaller than {self.instrument.id} allows"
            )
        else:
            self._distance = entry.stop_distance
            self._entry_order = self.order_factory.market(self.instrument.id, entry.side, quantity)
            self.submit_order(self._entry_order)

    def _units(self, price: Decimal, to_stop: float) -> Decimal:
        """`to_stop` is how far below the price the stop is; above it for what is less than 0."""
        if self.config.risk_fraction is None:
            return Decimal(self.config.trade_size)
        account = self.portfolio.account(self.instrument.id.venue)
        currency = self.instrument.get_cost_currency()
        balance = account and account.balance_total(currency)
        if balance is None:
            self.log.error(f"Cannot size an order: the account has no {currency}")
            return Decimal(0)
        stop = price - Decimal(str(to_stop))
        loss = abs(unit_value(self.instrument, price) - unit_value(self.instrument, stop))
        return units_at_risk(balance.as_decimal(), self.config.risk_fraction, loss)

    def _protect(self, position: Any, price: float) -> None:
        """Has a stop at the price, or nearer to the market, for all of the position.

        While the stop is on its way nothing is done: its answer, or the next bar, comes back to this.
        """
        wanted, stop = self.instrument.make_price(price), self._stop_order
        direction = _direction(position)
        if not _is_working(stop):
            side = OrderSide.SELL if direction > 0 else OrderSide.BUY
            self._stop_order = self.order_factory.stop_market(
                self.instrument.id, side, position.quantity, wanted, reduce_only=True
            )
            self.submit_order(self._stop_order, position_id=position.id)
        elif stop.is_open and not stop.is_inflight:
            held = stop.trigger_price
            wanted = max(held, wanted) if direction > 0 else min(held, wanted)
            quantity = self.instrument.make_qty(stop.filled_qty.as_decimal() + position.quantity.as_decimal())
            if (wanted, quantity) != (held, stop.quantity):
                self._wanted = float(wanted)
                self.modify_order(stop, quantity=quantity, trigger_price=wanted)

    def _fit_stop(self) -> None:
        position, price = self.position, self.resting_stop
        if position is not None and price is not None and not _is_working(self._exit_order):
            self._protect(position, price)

    def _leave(self, position: Any) -> None:
        self._cancel_stop()
        side = OrderSide.SELL if _direction(position) > 0 else OrderSide.BUY
        self._exit_order = self.order_factory.market(
            self.instrument.id, side, position.quantity, reduce_only=True
        )
        self.submit_order(self._exit_order, position_id=position.id)

    def _cancel_stop(self) -> None:
        self._is_replacing = False
        if _is_working(self._stop_order) and not self._stop_order.is_pending_cancel:
            self.cancel_order(self._stop_order)

    def _is_stop(self, event: Any) -> bool:
        return self._stop_order is not None and event.client_order_id == self._stop_order.client_order_id

    def _on_stop_refused(self, event: Any) -> None:
        position = self.position
        if self._is_stop(event) and position is not None and not _is_working(self._exit_order):
            self.log.warning(f"Closing {position.id}: its stop was refused: {event.reason}")
            self._leave(position)


def _is_working(order: Any) -> bool:
    return order is not None and not order.is_closed


def _direction(position: Any) -> int:
    return 1 if position.side is PositionSide.LONG else -1
