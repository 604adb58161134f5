"""Strategies that make their backtest end badly."""

import sys

from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class MisbehavesConfig(StrategyConfig, frozen=True):
    """`how`: raise, loop, eat or exit; at the tenth bar."""

    bar_type: BarType
    how: str


class Misbehaves(Strategy):
    def __init__(self, config: MisbehavesConfig) -> None:
        super().__init__(config)
        self.bars = 0
        self.eaten: list[bytes] = []

    def on_start(self) -> None:
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars == 10:
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
