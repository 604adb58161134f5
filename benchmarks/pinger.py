"""A strategy that trades at a steady pace, for figures about venues: it is pushed as it is, and runs in a bare node as well."""

import time
from datetime import timedelta
from decimal import Decimal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.message import Event
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.trading.strategy import Strategy


class PingerConfig(StrategyConfig, frozen=True):  # type: ignore[misc, call-arg]
    """So many market orders `every_ms`, which buy and sell in turn. An order's id says when it was submitted, in ns."""

    instrument_id: InstrumentId
    orders: int = 1
    every_ms: int = 100
    quantity: Decimal = Decimal("0.010")


class Pinger(Strategy):  # type: ignore[misc]
    """Begins at the first quote."""

    def on_start(self) -> None:
        self.left = self.config.orders
        self.has_begun = False
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if not self.has_begun:
            self.has_begun = True
            self.clock.set_timer(
                "ping",
                timedelta(milliseconds=self.config.every_ms),
                callback=self.ping,
                fire_immediately=True,
            )

    def ping(self, event: Event) -> None:
        """Submits the next order."""
        if not self.left:
            self.clock.cancel_timer("ping")
            return
        side = OrderSide.SELL if (self.config.orders - self.left) % 2 else OrderSide.BUY
        self.left -= 1
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.market(
            instrument.id,
            side,
            instrument.make_qty(self.config.quantity),
            client_order_id=ClientOrderId(f"P{time.time_ns()}"),
        )
        self.submit_order(order)
