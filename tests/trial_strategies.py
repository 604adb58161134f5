"""Strategies that make their backtest end badly, and one that trades in as many ways as there are."""

import os
import random
import signal
import sys
import threading
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.execution.algorithm import ExecAlgorithm
from nautilus_trader.execution.config import ExecAlgorithmConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import OrderSide, PriceType, TimeInForce
from nautilus_trader.model.identifiers import ExecAlgorithmId, InstrumentId
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from tests import hostile


class MisbehavesConfig(StrategyConfig, frozen=True):
    """`how`: a method below, called at the tenth bar, or `start` or `stop`. `where` is a folder that it may use."""

    bar_type: BarType
    how: str
    where: str = ""


class Misbehaves(Strategy):
    def __init__(self, config: MisbehavesConfig) -> None:
        super().__init__(config)
        self.bars = 0
        self.eaten: list[bytes] = []

    def on_start(self) -> None:
        self.subscribe_bars(self.config.bar_type)
        if self.config.how == "start":
            raise ValueError("boom at the start")

    def on_stop(self) -> None:
        if self.config.how == "stop":
            raise ValueError("boom at the stop")

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars == 10 and self.config.how not in ("start", "stop"):
            getattr(self, f"_{self.config.how}")()

    def _raise(self) -> None:
        raise ValueError("boom")

    def _loop(self) -> None:
        while True:
            pass

    def _eat(self) -> None:
        while True:
            self.eaten.append(b"x" * (32 << 20))

    def _exit(self) -> None:
        sys.exit(3)

    def _vanish(self) -> None:
        os._exit(0)

    def _abort(self) -> None:
        os.abort()

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _attack(self) -> None:
        """`where` is the bus as ADDRESS:PORT."""
        address, _, port = self.config.where.partition(":")
        found = list(hostile.attack(hostile.above(), (address, int(port))))
        print(f"tried {len(found)}, let through: {hostile.through(found)}")

    def _print(self) -> None:
        for number in range(int(self.config.where)):
            print(f"line {number}")

    def _fork(self) -> None:
        """Leaves a child that holds everything that its parent had."""
        if (pid := os.fork()) == 0:
            while True:
                time.sleep(60)
        Path(self.config.where).write_text(str(pid))

    def _thread(self) -> None:
        threading.Thread(target=time.sleep, args=(3_600,)).start()

    def _close(self) -> None:
        os.closerange(0, 10)

    def _ignore(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        self._loop()

    def _write(self) -> None:
        """Writes into the catalog."""
        for file in Path(self.config.where).glob("data/bar/SPX*/*.parquet"):
            file.write_bytes(file.read_bytes())


class TradesOnEverythingConfig(StrategyConfig, frozen=True):
    """`late_s` after the start it subscribes to the last of `instruments` only; `size` is that of every order."""

    instruments: tuple[InstrumentId, ...]
    bar_types: tuple[BarType, ...] = ()
    size: int = 10
    timer_s: float = 0.0
    late_s: float = 0.0


class TradesOnEverything(Strategy):
    """Sends orders of every kind on bars, quotes, trades and at a timer, by the count of what it saw."""

    def __init__(self, config: TradesOnEverythingConfig) -> None:
        super().__init__(config)
        self.seen = 0

    def on_start(self) -> None:
        *others, last = self.config.instruments
        for name in others:
            self.listen(name)
        if self.config.late_s:
            due = self.clock.utc_now() + timedelta(seconds=self.config.late_s)
            self.clock.set_time_alert("late", due, callback=lambda _: self.listen(last))
        else:
            self.listen(last)
        for bar_type in self.config.bar_types:
            self.subscribe_bars(bar_type)
        if self.config.timer_s:
            self.clock.set_timer("turn", timedelta(seconds=self.config.timer_s), callback=self.on_turn)

    def listen(self, name: InstrumentId) -> None:
        self.subscribe_quote_ticks(name)
        self.subscribe_trade_ticks(name)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.act(tick.instrument_id, float(tick.ask_price))

    def on_trade_tick(self, tick: TradeTick) -> None:
        self.act(tick.instrument_id, float(tick.price))

    def on_bar(self, bar: Bar) -> None:
        self.act(bar.bar_type.instrument_id, float(bar.close))

    def on_turn(self, _: Any) -> None:
        """Turns what it holds of the first instrument around, also where there is no event near."""
        name = self.config.instruments[0]
        if self.cache.price(name, PriceType.LAST) or self.cache.quote_tick(name):
            self.market(name, OrderSide.SELL if self.portfolio.is_net_long(name) else OrderSide.BUY, 2)

    def act(self, name: InstrumentId, price: float) -> None:
        self.seen += 1
        buys = self.seen // 7 % 2 == 0
        if self.seen % 7 == 0:
            self.market(name, OrderSide.BUY if buys else OrderSide.SELL)
        elif self.seen % 11 == 0:
            until = self.clock.utc_now() + timedelta(seconds=2)
            self.limit(name, OrderSide.BUY, price * 0.9998, TimeInForce.GTD, expire_time=until)
        elif self.seen % 13 == 0:
            self.limit(name, OrderSide.SELL, price * 1.0002, TimeInForce.GTC)
        elif self.seen % 97 == 0:
            self.cancel_all_orders(name)
            self.close_all_positions(name)

    def market(self, name: InstrumentId, side: OrderSide, times: int = 1) -> None:
        quantity = self.cache.instrument(name).make_qty(self.config.size * times)
        self.submit_order(self.order_factory.market(name, side, quantity))

    def limit(
        self, name: InstrumentId, side: OrderSide, price: float, force: TimeInForce, **parts: Any
    ) -> None:
        instrument = self.cache.instrument(name)
        quantity = instrument.make_qty(self.config.size)
        order = self.order_factory.limit(
            name, side, quantity, instrument.make_price(price), time_in_force=force, **parts
        )
        self.submit_order(order)


class BuysConfig(StrategyConfig, frozen=True):
    """`units` are bought at the market at the first bar; `algorithm` is one that is to carry it out."""

    bar_type: BarType
    units: Decimal
    algorithm: str | None = None
    limit: float | None = None
    is_sent: bool = True


class Buys(Strategy):
    """One order and nothing after it: more than the account has, or one that goes nowhere."""

    def on_start(self) -> None:
        self.is_done = False
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        if self.is_done:
            return
        self.is_done = True
        instrument = self.cache.instrument(bar.bar_type.instrument_id)
        quantity = instrument.make_qty(self.config.units)
        through = ExecAlgorithmId(self.config.algorithm) if self.config.algorithm else None
        if self.config.limit is None:
            order = self.order_factory.market(
                instrument.id, OrderSide.BUY, quantity, exec_algorithm_id=through
            )
        else:
            order = self.order_factory.limit(
                instrument.id, OrderSide.BUY, quantity, instrument.make_price(self.config.limit)
            )
        if self.config.is_sent:
            self.submit_order(order)
        else:
            self.cache.add_order(order)


class TellsConfig(ActorConfig, frozen=True):
    """A signal for each so many quotes of `instrument_id`."""

    instrument_id: InstrumentId
    every: int


class Tells(Actor):
    """Counts quotes, and tells strategies by a signal."""

    def on_start(self) -> None:
        self.seen = 0
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.seen += 1
        if self.seen % self.config.every == 0:
            self.publish_signal("count", self.seen, tick.ts_event)


class BuysOnSignalConfig(StrategyConfig, frozen=True):
    """`units` for each signal, through `algorithm` if that is given."""

    instrument_id: InstrumentId
    units: Decimal
    algorithm: str | None = None


class BuysOnSignal(Strategy):
    """Buys when an actor says so."""

    def on_start(self) -> None:
        self.subscribe_signal("count")

    def on_signal(self, signal: Any) -> None:
        instrument = self.cache.instrument(self.config.instrument_id)
        quantity = instrument.make_qty(self.config.units)
        through = ExecAlgorithmId(self.config.algorithm) if self.config.algorithm else None
        order = self.order_factory.market(instrument.id, OrderSide.BUY, quantity, exec_algorithm_id=through)
        self.submit_order(order)


class SendsAtOnceConfig(ExecAlgorithmConfig, frozen=True):
    """Its id is what orders name."""


class SendsAtOnce(ExecAlgorithm):
    """Sends every order on as it is."""

    def on_order(self, order: Any) -> None:
        self.submit_order(order)


class WarmsConfig(StrategyConfig, frozen=True):
    """`bar_type` is requested for a day before the start."""

    bar_type: BarType


class Warms(Strategy):
    """Buys a thousand for each bar that it was given of the past, at the first that comes live."""

    def on_start(self) -> None:
        self.bars = 0
        start = self.clock.utc_now() - timedelta(days=1)
        self.request_bars(self.config.bar_type, start=start)
        self.subscribe_bars(self.config.bar_type)

    def on_historical_data(self, data: Any) -> None:
        self.bars += 1

    def on_bar(self, bar: Bar) -> None:
        if self.bars:
            instrument = self.cache.instrument(bar.bar_type.instrument_id)
            quantity = instrument.make_qty(self.bars * 1_000)
            self.submit_order(self.order_factory.market(instrument.id, OrderSide.BUY, quantity))
            self.bars = 0


class SpendsConfig(StrategyConfig, frozen=True):
    """What it trades."""

    instrument_id: InstrumentId


class Spends(Strategy):
    """Buys as many units as a tenth of its free balance at every fiftieth quote: what margins hold back shows in its fills."""

    def on_start(self) -> None:
        self.seen = 0
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.seen += 1
        account = self.portfolio.account(tick.instrument_id.venue)
        if self.seen % 50 == 0:
            quantity = self.cache.instrument(tick.instrument_id).make_qty(account.balance_free() / 10)
            self.submit_order(self.order_factory.market(tick.instrument_id, OrderSide.BUY, quantity))


class TossesCoins(Strategy):
    """Buys or sells at a tenth of all quotes, as chance has it."""

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        drawn = random.random()
        if drawn < 0.1:
            side = OrderSide.BUY if drawn < 0.05 else OrderSide.SELL
            quantity = self.cache.instrument(tick.instrument_id).make_qty(1_000)
            self.submit_order(self.order_factory.market(tick.instrument_id, side, quantity))
