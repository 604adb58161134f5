"""Strategies that misbehave, or behave in ways that show how an engine deals with them."""

import os
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce, TriggerType
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import ExecAlgorithmId
from nautilus_trader.trading.strategy import Strategy


class BarsConfig(StrategyConfig, frozen=True):
    bar_type: BarType
    size: Decimal = Decimal(100)
    how: str = ""


class OnBars(Strategy):
    """Subscribes to its bars and counts them."""

    def __init__(self, config: BarsConfig) -> None:
        super().__init__(config)
        self.bars = 0

    def on_start(self) -> None:
        self.instrument_id = self.config.bar_type.instrument_id
        self.instrument = self.cache.instrument(self.instrument_id)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        self.act(bar)

    def act(self, bar: Bar) -> None:
        pass

    def market(self, side: OrderSide, size: Decimal | None = None) -> None:
        quantity = self.instrument.make_qty(size or self.config.size)
        self.submit_order(self.order_factory.market(self.instrument_id, side, quantity))

    def limit(self, side: OrderSide, price: float, **parts: Any) -> Any:
        order = self.order_factory.limit(
            self.instrument_id,
            side,
            self.instrument.make_qty(self.config.size),
            self.instrument.make_price(price),
            **parts,
        )
        self.submit_order(order)
        return order


class HoldsAndRests(OnBars):
    """On the first bar buys, and rests an order far below; tries to buy again when it is stopped.

    `how` is a file that it makes when the order is cancelled.
    """

    def act(self, bar: Bar) -> None:
        if self.bars == 1:
            self.market(OrderSide.BUY)
            self.limit(OrderSide.BUY, float(bar.close) / 2)

    def on_order_canceled(self, event: Any) -> None:
        if self.config.how:
            Path(self.config.how).touch()

    def on_stop(self) -> None:
        self.cancel_all_orders(self.instrument_id)
        self.market(OrderSide.BUY)


class OrdersOfEveryKind(OnBars):
    """On the first bar buys, and rests three orders whose sizes tell a stubborn venue what to do with them."""

    def act(self, bar: Bar) -> None:
        if self.bars == 1:
            self.market(OrderSide.BUY)
            for size in (100, 90, 80):
                price = self.instrument.make_price(float(bar.close) / 2)
                quantity = self.instrument.make_qty(size)
                order = self.order_factory.limit(self.instrument_id, OrderSide.BUY, quantity, price)
                self.submit_order(order)


class KeepsOrdersInside(OnBars):
    """On the first bar gives one order to the emulator, and one to an execution algorithm that takes half a minute for it."""

    def act(self, bar: Bar) -> None:
        if self.bars == 1:
            self.limit(OrderSide.BUY, float(bar.close) / 2, emulation_trigger=TriggerType.BID_ASK)
            quantity = self.instrument.make_qty(self.config.size)
            order = self.order_factory.market(
                self.instrument_id,
                OrderSide.BUY,
                quantity,
                exec_algorithm_id=ExecAlgorithmId("TWAP"),
                exec_algorithm_params={"horizon_secs": 30.0, "interval_secs": 0.3},
            )
            self.submit_order(order)


class RestsAndCancels(OnBars):
    """Rests an order on the first bar, cancels it on the fortieth, and buys on every bar."""

    def act(self, bar: Bar) -> None:
        if self.bars == 1:
            self.limit(OrderSide.BUY, float(bar.close) / 2)
        if self.bars == 40:
            self.cancel_all_orders(self.instrument_id)
        self.market(OrderSide.BUY)


class TakesTurns(OnBars):
    """Buys and sells by turns, whatever becomes of its orders."""

    def act(self, bar: Bar) -> None:
        self.market(OrderSide.BUY if self.bars % 2 else OrderSide.SELL)


class TurnsWhenDenied(OnBars):
    """Buys on every bar until an order is denied, then sells until one is, and so on."""

    side = OrderSide.BUY

    def act(self, bar: Bar) -> None:
        self.market(self.side)

    def on_order_denied(self, event: Any) -> None:
        self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY


class BuysEachBar(OnBars):
    """Buys on every bar, whatever happens."""

    def act(self, bar: Bar) -> None:
        self.market(OrderSide.BUY)


class Raises(HoldsAndRests):
    """Raises where `how` says: start, bar, timer, stop, exit."""

    def on_start(self) -> None:
        super().on_start()
        if self.config.how == "start":
            raise ValueError("boom at the start")
        if self.config.how == "timer":
            self.clock.set_timer("boom", timedelta(milliseconds=50), callback=self.tick)

    def on_order_canceled(self, event: Any) -> None:
        """`how` is no file here."""

    def tick(self, event: Any) -> None:
        raise ValueError("boom in the timer")

    def act(self, bar: Bar) -> None:
        super().act(bar)
        if self.bars == 2 and self.config.how == "bar":
            raise ValueError("boom on a bar")
        if self.bars == 2 and self.config.how == "exit":
            sys.exit(3)

    def on_stop(self) -> None:
        if self.config.how == "stop":
            raise ValueError("boom at the stop")


class RaisesInConstructor(OnBars):
    def __init__(self, config: BarsConfig) -> None:
        super().__init__(config)
        self.prepare()

    def prepare(self) -> None:
        raise ValueError("boom in the constructor")


class LoopsForever(OnBars):
    """Never comes back from its first bar."""

    def act(self, bar: Bar) -> None:
        while True:
            pass


class EatsMemory(OnBars):
    """Keeps more than any engine is given."""

    def act(self, bar: Bar) -> None:
        self.eaten = [*getattr(self, "eaten", []), bytearray(os.urandom(1 << 20) * 64)]


class Exits(OnBars):
    """Ends the process as code does that does not know where it runs."""

    def act(self, bar: Bar) -> None:
        if self.bars == 3:
            print("about to exit", flush=True)
            os._exit(3)


class MakesTimeBars(OnBars):
    """Subscribes to bars that NautilusTrader makes of trades by the clock."""

    def on_start(self) -> None:
        self.subscribe_bars(BarType.from_str(f"{self.config.bar_type.instrument_id}-1-MINUTE-LAST-INTERNAL"))


class ShutsDown(OnBars):
    def act(self, bar: Bar) -> None:
        if self.bars == 3:
            self.shutdown_system("had enough")


class AsksForHistory(OnBars):
    """Asks for history at the start and on the tenth bar, and says in its log what came."""

    def on_start(self) -> None:
        super().on_start()
        self.ask("at the start")

    def act(self, bar: Bar) -> None:
        if self.bars == 10:
            self.ask("on bar ten")

    def ask(self, when: str) -> None:
        self.asked = when
        self.request_bars(self.config.bar_type, start=self.clock.utc_now().replace(year=1990))

    def on_historical_data(self, data: Any) -> None:
        self.log.info(f"history {self.asked}: {data}")


class CancelsInTheSameBreath(OnBars):
    """Rests an order and at once cancels all there are, every tenth bar."""

    def act(self, bar: Bar) -> None:
        if self.bars % 10 == 0:
            self.limit(OrderSide.BUY, float(bar.close) / 2)
            self.cancel_all_orders(self.instrument_id)


class TradesInManyWays(OnBars):
    """Brackets, limit, stop and oversized orders, and orders made of fills: what a simulated venue can get wrong."""

    def act(self, bar: Bar) -> None:
        close = float(bar.close)
        # Before anything is sent: a live engine's orders are not in flight yet while the strategy is still at work.
        if self.bars % 23 == 0:
            self.cancel_all_orders(self.instrument_id)
        if self.bars % 29 == 0:
            self.modify_oldest(close)
        if self.bars % 7 == 0:
            self.submit_order_list(self.bracket(bar))
        if self.bars % 11 == 0:
            self.limit(OrderSide.SELL, close * 1.01)
            self.limit(OrderSide.BUY, close * 0.99, post_only=True)
        if self.bars % 13 == 0:
            self.limit(OrderSide.BUY, close * 1.02, time_in_force=TimeInForce.IOC)
        if self.bars % 17 == 0 and self.config.how != "solvent":
            self.market(OrderSide.SELL, Decimal(2 * 10**9))
        if self.bars % 19 == 0:
            self.close_all_positions(self.instrument_id)
            self.market(OrderSide.BUY)

    def bracket(self, bar: Bar) -> Any:
        close = float(bar.close)
        side = OrderSide.BUY if self.bars % 2 else OrderSide.SELL
        up, down = self.instrument.make_price(close * 1.015), self.instrument.make_price(close * 0.985)
        return self.order_factory.bracket(
            self.instrument_id,
            side,
            self.instrument.make_qty(self.config.size),
            tp_price=up if side is OrderSide.BUY else down,
            sl_trigger_price=down if side is OrderSide.BUY else up,
        )

    def modify_oldest(self, close: float) -> None:
        for order in self.cache.orders_open(strategy_id=self.id)[:1]:
            if order.has_price:
                self.modify_order(order, price=self.instrument.make_price(close * 0.97))

    def on_order_filled(self, event: OrderFilled) -> None:
        if self.bars % 5 == 0 and event.last_qty == self.instrument.make_qty(self.config.size):
            self.limit(OrderSide.BUY, float(event.last_px) * 0.995)


class Remembers(HoldsAndRests):
    """Sells half of what it holds on bar 5, and saves what it saw under names that NautilusTrader's serializer trips over."""

    def act(self, bar: Bar) -> None:
        super().act(bar)
        if self.bars == 5:
            self.market(OrderSide.SELL, self.config.size / 2)

    def on_save(self) -> dict[str, bytes]:
        sold = b"sold" if self.bars >= 5 else b"held"
        return {"n": sold, "ts_bars": b"seen", "type": b"OrderFilled", "time": b"never"}

    def on_load(self, state: dict[str, bytes]) -> None:
        self.log.info(f"remembers {sorted(state.items())}")
