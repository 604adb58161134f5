"""Bars: of the trades since the exchange was started, and of the price path before."""

from decimal import Decimal
from typing import Protocol

import msgspec

from exchanges.core.book import NOTHING, Side
from exchanges.core.prices import PricePath, to_step

MINUTE_MS = 60_000
KEPT = 2_000  # minutes of trades
SAMPLES = 8


class Market(Protocol):
    """What is traded: its price path moves about `level`, `size` is the market's quantity at the touch."""

    name: str
    level: Decimal
    tick: Decimal
    step: Decimal
    size: Decimal


def path_of(market: Market, seed: int) -> PricePath:
    """The price path of a market: each has one of its own."""
    return PricePath(seed=seed + sum(market.name.encode()), level=market.level)


class Print(msgspec.Struct, frozen=True):
    """A trade as the market sees it."""

    id: int
    symbol: str
    price: Decimal
    qty: Decimal
    taker: Side
    time_ms: int


class Candle(msgspec.Struct):
    """A bar. `start_ms` is when it opens; `bought` and `bought_quote` are what takers bought."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = NOTHING
    quote: Decimal = NOTHING
    count: int = 0
    bought: Decimal = NOTHING
    bought_quote: Decimal = NOTHING

    def add(self, other: "Candle") -> None:
        """Takes the next candle, or trade, into this one."""
        self.high, self.low, self.close = max(self.high, other.high), min(self.low, other.low), other.close
        self.volume += other.volume
        self.quote += other.quote
        self.count += other.count
        self.bought += other.bought
        self.bought_quote += other.bought_quote


def _of(trade: Print) -> Candle:
    price, quote, buys = trade.price, trade.price * trade.qty, trade.taker is Side.BUY
    start = trade.time_ms // MINUTE_MS * MINUTE_MS
    bought, bought_quote = (trade.qty, quote) if buys else (NOTHING, NOTHING)
    return Candle(start, price, price, price, price, trade.qty, quote, 1, bought, bought_quote)


class Candles:
    """The bars of one symbol. Trades are kept by the minute."""

    def __init__(self, symbol: Market, seed: int) -> None:
        self._symbol = symbol
        self._path = path_of(symbol, seed)
        self._minutes: dict[int, Candle] = {}

    def add(self, trade: Print) -> None:
        """Takes a trade in."""
        candle = _of(trade)
        if candle.start_ms in self._minutes:
            self._minutes[candle.start_ms].add(candle)
            return
        self._minutes[candle.start_ms] = candle
        if len(self._minutes) > KEPT:
            del self._minutes[next(iter(self._minutes))]

    def bar(self, start_ms: int, length_ms: int) -> Candle:
        """The bar that opens at `start_ms`: of its trades if there were any, of the path if not."""
        minutes = range(start_ms, start_ms + length_ms, MINUTE_MS) if length_ms <= KEPT * MINUTE_MS else ()
        traded = [self._minutes[minute] for minute in minutes if minute in self._minutes]
        if not traded:
            return self._sampled(start_ms, length_ms)
        bar = msgspec.structs.replace(traded[0], start_ms=start_ms)
        for candle in traded[1:]:
            bar.add(candle)
        return bar

    def _sampled(self, start_ms: int, length_ms: int) -> Candle:
        prices = [
            self._path.price(start_ms + length_ms * n // SAMPLES, self._symbol.tick)
            for n in range(SAMPLES + 1)
        ]
        volume = to_step(self._symbol.size * SAMPLES, self._symbol.step)
        quote = volume * prices[0]
        return Candle(
            start_ms,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            volume,
            quote,
            SAMPLES,
            volume / 2,
            quote / 2,
        )
