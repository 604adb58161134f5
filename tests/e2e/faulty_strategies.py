"""Strategies that end their engine in four different ways, on the third bar, so that it has traded before; and one that tells secrets."""

import gc
import os
from typing import ClassVar

from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
from nautilus_trader.model.data import Bar

from tests.strategies_for_tests import BarsConfig, OnBars

_CHUNK = 32 << 20


class Faulty(OnBars):
    """Does its harm on the third bar."""

    def act(self, bar: Bar) -> None:
        # A bar before: NautilusTrader writes from a thread, which a process that exits at once takes along.
        if self.bars == 2:
            self.log.info("about to go wrong")
        if self.bars >= 3:
            self.harm()

    def harm(self) -> None:
        raise NotImplementedError


class RaisesOnABar(Faulty):
    def harm(self) -> None:
        raise ValueError("boom")


class LoopsOnABar(Faulty):
    def harm(self) -> None:
        while True:
            pass


class EatsMemory(Faulty):
    """A little more with each bar, as a leak does, and never given back."""

    eaten: ClassVar[list[bytearray]] = []

    def harm(self) -> None:
        self.eaten.append(bytearray(os.urandom(1)) * _CHUNK)


class ExitsOnABar(Faulty):
    def harm(self) -> None:
        os._exit(7)


class TellsSecrets(OnBars):
    """Finds the credentials of its engine's venue, which its process needs, prints them and dies with them on its lips."""

    def __init__(self, config: BarsConfig) -> None:
        super().__init__(config)
        configs = [one for one in gc.get_objects() if isinstance(one, BinanceDataClientConfig)]
        found = {(one.api_key, one.api_secret) for one in configs}
        print(f"{len(found)} found: {found}", flush=True)
        self.log.error(f"{len(found)} found: {found}")
        raise RuntimeError(f"{len(found)} found: {found}")
