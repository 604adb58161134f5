"""A strategy that hears every kind of market data, says once in its log what came of each, and buys at the market when told by its config."""

from decimal import Decimal
from typing import Any

from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class ListenerConfig(StrategyConfig, frozen=True):
    """`kinds` are what is subscribed to; `quantity` is bought at the first quote, `resting` rests from the start at `price`."""

    instrument_id: InstrumentId
    kinds: tuple[str, ...] = ("quotes",)
    quantity: Decimal = Decimal(0)
    resting: Decimal = Decimal(0)
    price: Decimal = Decimal(0)


class Listener(Strategy):
    """Hears, and buys once."""

    def on_start(self) -> None:
        """Subscribes, and lets the order rest that its config asks for."""
        self.heard: set[str] = set()
        self.ask: Any = None
        name = self.config.instrument_id
        subscriptions = {
            "quotes": lambda: self.subscribe_quote_ticks(name),
            "trades": lambda: self.subscribe_trade_ticks(name),
            "bars": lambda: self.subscribe_bars(BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL")),
            "book": lambda: self.subscribe_order_book_deltas(name),
            "mark": lambda: self.subscribe_mark_prices(name),
            "index": lambda: self.subscribe_index_prices(name),
            "funding": lambda: self.subscribe_funding_rates(name),
        }
        for kind in self.config.kinds:
            subscriptions[kind]()
        if self.config.resting:
            instrument = self.cache.instrument(name)
            self.submit_order(
                self.order_factory.limit(
                    instrument_id=name,
                    order_side=OrderSide.BUY,
                    quantity=instrument.make_qty(self.config.resting),
                    price=instrument.make_price(self.config.price),
                )
            )

    def _hear(self, kind: str, value: object) -> None:
        if kind not in self.heard:
            self.heard.add(kind)
            self.log.warning(f"HEARD {kind} {value}")

    def on_quote_tick(self, tick: Any) -> None:
        """Buys at the first one."""
        is_first = "quotes" not in self.heard
        self._hear("quotes", tick.ask_price)
        if is_first and self.config.quantity:
            instrument = self.cache.instrument(self.config.instrument_id)
            self.submit_order(
                self.order_factory.market(
                    instrument_id=instrument.id,
                    order_side=OrderSide.BUY,
                    quantity=instrument.make_qty(self.config.quantity),
                )
            )

    def on_trade_tick(self, tick: Any) -> None:
        """One of the kinds."""
        self._hear("trades", tick.price)

    def on_bar(self, bar: Any) -> None:
        """One of the kinds."""
        self._hear("bars", bar.close)

    def on_order_book_deltas(self, deltas: Any) -> None:
        """One of the kinds."""
        ask = self.cache.order_book(deltas.instrument_id).best_ask_price()
        self._hear("book", ask)
        if ask != self.ask:
            self.ask = ask
            self.log.warning(f"ASK {ask} by the book")

    def on_mark_price(self, mark: Any) -> None:
        """One of the kinds."""
        self._hear("mark", mark.value)

    def on_index_price(self, index: Any) -> None:
        """One of the kinds."""
        self._hear("index", index.value)

    def on_funding_rate(self, funding: Any) -> None:
        """One of the kinds."""
        self._hear("funding", funding.rate)
