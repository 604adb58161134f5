"""A strategy that buys once at the market, and rests an order far below it."""

from decimal import Decimal

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class BuyerConfig(StrategyConfig, frozen=True):
    """`quantity` is bought at the start, unless there is a position already; `resting` at half the price, if it is not 0;
    `stop` is sold should the price fall so far.

    `cancels`: what rests is cancelled as soon as it is accepted.
    """

    instrument_id: InstrumentId
    quantity: Decimal = Decimal("0.030")
    resting: Decimal = Decimal(0)
    stop: Decimal = Decimal(0)
    cancels: bool = False


class Buyer(Strategy):
    """Nothing but what its config says."""

    def on_start(self) -> None:
        """Waits for a price."""
        self.has_bought = not self.portfolio.is_flat(self.config.instrument_id)
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: object) -> None:
        """Buys at the first one."""
        if self.has_bought:
            return
        self.has_bought = True
        instrument = self.cache.instrument(self.config.instrument_id)
        about = {"instrument_id": instrument.id, "order_side": OrderSide.BUY}
        if self.config.quantity:
            self.submit_order(
                self.order_factory.market(**about, quantity=instrument.make_qty(self.config.quantity))
            )
        price = instrument.make_price(Decimal(str(tick.bid_price)) / 2)  # type: ignore[attr-defined]
        if self.config.resting:
            self.submit_order(
                self.order_factory.limit(
                    **about, quantity=instrument.make_qty(self.config.resting), price=price
                )
            )
        if self.config.stop:
            self.submit_order(
                self.order_factory.stop_market(
                    instrument_id=instrument.id,
                    order_side=OrderSide.SELL,
                    quantity=instrument.make_qty(self.config.stop),
                    trigger_price=price,
                )
            )

    def on_order_accepted(self, event: object) -> None:
        """Cancels what rests, if it is to."""
        if self.config.cancels:
            order = self.cache.order(event.client_order_id)  # type: ignore[attr-defined]
            self.cancel_order(order)
