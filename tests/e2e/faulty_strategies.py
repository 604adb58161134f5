"""Strategies that end their engine in four different ways, on the third bar, so that it has traded before."""

import os
from typing import ClassVar

from nautilus_trader.model.data import Bar

from tests.strategies_for_tests import OnBars

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
