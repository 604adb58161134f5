"""A strategy that is always in the middle of something: market orders all the time, and an order that rests for others to fill."""

from decimal import Decimal

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class TraderConfig(StrategyConfig, frozen=True):
    """An order of `size` every `every` quotes: it buys until it has `most`, then sells half. `resting` lies `below` the bid; 0 is none."""

    instrument_id: InstrumentId
    size: Decimal = Decimal("0.010")
    most: Decimal = Decimal("0.100")
    resting: Decimal = Decimal("0.050")
    below: Decimal = Decimal("0.02")
    every: int = 4


class Trader(Strategy):
    """Has nothing of its own to remember: what it does next follows from what it holds."""

    def on_start(self) -> None:
        """Waits for prices."""
        self.count = 0
        self.sells = False
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: object) -> None:
        """Sends what is due."""
        self.count += 1
        instrument_id, own = self.config.instrument_id, self.id
        in_flight = self.cache.orders_inflight(instrument_id=instrument_id, strategy_id=own)
        if in_flight:
            return
        if self.config.resting and not self.cache.orders_open(instrument_id=instrument_id, strategy_id=own):
            self._rest(tick)
        elif self.count % self.config.every == 0:
            self._trade()

    def _rest(self, tick: object) -> None:
        instrument = self.cache.instrument(self.config.instrument_id)
        bid = Decimal(str(tick.bid_price))  # type: ignore[attr-defined]
        self.submit_order(
            self.order_factory.limit(
                instrument_id=instrument.id,
                order_side=OrderSide.BUY,
                quantity=instrument.make_qty(self.config.resting),
                price=instrument.make_price(bid * (1 - self.config.below)),
            )
        )

    def _trade(self) -> None:
        instrument = self.cache.instrument(self.config.instrument_id)
        held = self.portfolio.net_position(instrument.id)
        if held >= self.config.most:
            self.sells = True
        elif held <= self.config.most / 2:
            self.sells = False
        self.submit_order(
            self.order_factory.market(
                instrument_id=instrument.id,
                order_side=OrderSide.SELL if self.sells else OrderSide.BUY,
                quantity=instrument.make_qty(self.config.size),
                reduce_only=self.sells,
            )
        )
