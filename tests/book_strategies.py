"""Strategies that act on every kind of market data, for tests that compare runs."""

from decimal import Decimal
from typing import Any, Final

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import BookType, MarketStatusAction, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

KINDS: Final = (
    *("bars", "order_book_deltas", "order_book_depths", "funding_rates", "index_prices"),
    *("instrument_closes", "instrument_status", "mark_prices", "quotes", "trades"),
)


class ActsOnConfig(StrategyConfig, frozen=True):
    """`kinds` are those that it subscribes to; bars are of `bar_type`."""

    instrument_id: InstrumentId
    kinds: tuple[str, ...]
    bar_type: BarType | None = None
    book_type: str = "L2_MBP"


class ActsOn(Strategy):
    """Sends a market order on every event of a kind, its size by the kind and by what the event says."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.turn = 0
        subscribe = {
            "bars": lambda: self.subscribe_bars(self.config.bar_type),
            "order_book_deltas": lambda: self.subscribe_order_book_deltas(
                self.config.instrument_id, book_type=BookType[self.config.book_type]
            ),
            "order_book_depths": lambda: self.subscribe_order_book_depth(
                self.config.instrument_id, book_type=BookType[self.config.book_type]
            ),
            "funding_rates": lambda: self.subscribe_funding_rates(self.config.instrument_id),
            "index_prices": lambda: self.subscribe_index_prices(self.config.instrument_id),
            "instrument_closes": lambda: self.subscribe_instrument_close(self.config.instrument_id),
            "instrument_status": lambda: self.subscribe_instrument_status(self.config.instrument_id),
            "mark_prices": lambda: self.subscribe_mark_prices(self.config.instrument_id),
            "quotes": lambda: self.subscribe_quote_ticks(self.config.instrument_id),
            "trades": lambda: self.subscribe_trade_ticks(self.config.instrument_id),
        }
        for kind in self.config.kinds:
            subscribe[kind]()

    def act(self, kind: str, number: Any) -> None:
        """The tenths of the size name the kind, the rest comes from the number."""
        self.turn += 1
        side = OrderSide.BUY if self.turn % 2 else OrderSide.SELL
        size = Decimal(KINDS.index(kind) + 1) / 10 + Decimal(int(abs(Decimal(str(number))) * 10) % 90) / 1000
        quantity = self.instrument.make_qty(size)
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, quantity, tags=[kind]))

    def on_bar(self, bar: Any) -> None:
        self.act("bars", bar.close)

    def on_order_book_deltas(self, deltas: Any) -> None:
        if deltas.sequence % 20 == 0:
            self.act("order_book_deltas", len(deltas.deltas))

    def on_order_book_depth(self, depth: Any) -> None:
        self.act("order_book_depths", depth.bids[9].size)

    def on_funding_rate(self, update: Any) -> None:
        self.act("funding_rates", Decimal(str(update.rate)) * 10**5)

    def on_index_price(self, update: Any) -> None:
        self.act("index_prices", update.value)

    def on_instrument_close(self, update: Any) -> None:
        self.act("instrument_closes", update.close_price)

    def on_instrument_status(self, update: Any) -> None:
        self.act("instrument_status", 1 if update.action == MarketStatusAction.HALT else 2)

    def on_mark_price(self, update: Any) -> None:
        self.act("mark_prices", update.value)

    def on_quote_tick(self, tick: Any) -> None:
        self.act("quotes", tick.bid_size)

    def on_trade_tick(self, tick: Any) -> None:
        self.act("trades", tick.size)


class MakesTheMarketConfig(StrategyConfig, frozen=True):
    """`size` is of each order, `large` of the market order that walks the book every `every` changes."""

    instrument_id: InstrumentId
    book_type: str = "L2_MBP"
    size: Decimal = Decimal("0.5")
    large: Decimal = Decimal("12")
    every: int = 60


class MakesTheMarket(Strategy):
    """Keeps a limit order at the best price of each side of a book that it keeps itself, and takes through several levels now and then."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        book_type = BookType[self.config.book_type]
        self.book = OrderBook(self.config.instrument_id, book_type)
        self.changes = 0
        self.subscribe_order_book_deltas(self.config.instrument_id, book_type=book_type)

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.book.apply(deltas)
        self.changes += 1
        if self.changes % self.config.every == 0:
            side = OrderSide.BUY if self.changes % (2 * self.config.every) else OrderSide.SELL
            quantity = self.instrument.make_qty(self.config.large)
            self.submit_order(self.order_factory.market(self.config.instrument_id, side, quantity))
        elif self.changes % (self.config.every // 2) == 0:
            self.quote()

    def quote(self) -> None:
        bid, ask = self.book.best_bid_price(), self.book.best_ask_price()
        if bid is None or ask is None or bid >= ask:
            return
        self.cancel_all_orders(self.config.instrument_id)
        for side, price in ((OrderSide.BUY, bid), (OrderSide.SELL, ask)):
            order = self.order_factory.limit(
                self.config.instrument_id,
                side,
                self.instrument.make_qty(self.config.size),
                price,
                time_in_force=TimeInForce.GTC,
            )
            self.submit_order(order)


class LooksAtIntervalsConfig(StrategyConfig, frozen=True):
    """Of one instrument."""

    instrument_id: InstrumentId


class LooksAtIntervals(Strategy):
    """Wants to be shown an order book twice a second."""

    def on_start(self) -> None:
        self.subscribe_order_book_at_interval(self.config.instrument_id, interval_ms=500)


class BuysOnceConfig(StrategyConfig, frozen=True):
    """Of one instrument."""

    instrument_id: InstrumentId
    size: Decimal


class BuysOnce(Strategy):
    """Buys at the first event's end and keeps it."""

    def on_start(self) -> None:
        self.subscribe_order_book_deltas(self.config.instrument_id)

    def on_order_book_deltas(self, deltas: Any) -> None:
        if deltas.flags & 128 and not self.cache.orders():
            quantity = self.cache.instrument(self.config.instrument_id).make_qty(self.config.size)
            self.submit_order(self.order_factory.market(self.config.instrument_id, OrderSide.BUY, quantity))
