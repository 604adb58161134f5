"""The market streams: what each symbol's streams say after the market moved or somebody traded."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from decimal import Decimal

from exchanges.binance.core import market_read
from exchanges.binance.core.candles import INTERVALS_MS
from exchanges.binance.core.events import Message, plain
from exchanges.binance.core.state import ZERO, Symbol
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Side
from exchanges.core.candles import Candle, Candles, Print

SPEEDS = ("", "@0ms", "@100ms", "@250ms", "@500ms")
KEPT_PRINTS = 20_000

type Data = tuple[str, Message]
"""The name of a stream and what it says."""


class Feed:
    """What the market was told last, so that only what changed is told: books by their update ids, bars by their ends."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.candles = {
            name: Candles(symbol, venue.state.seed) for name, symbol in venue.state.symbols.items()
        }
        self.prints: deque[Print] = deque(maxlen=KEPT_PRINTS)
        self.update_ids = {name: venue.next_id() for name in venue.state.symbols}
        self._told: dict[str, dict[Side, dict[Decimal, Decimal]]] = {
            name: self._book(name) for name in venue.state.symbols
        }
        self._bars: dict[str, int] = {}
        self.lose = Counter[str]()
        """How many changes of a symbol's book are not told."""

    def news(self) -> list[Data]:
        """Trades since the last call, and the books that changed."""
        said: list[Data] = []
        for trade in self._venue.drain_prints():
            self.prints.append(trade)
            self.candles[trade.symbol].add(trade)
            said.extend(self._trade(trade))
        for name in self._venue.state.symbols:
            said.extend(self._changes(name))
        return said

    def _trade(self, trade: Print) -> Iterator[Data]:
        symbol, low = self._venue.state.symbols[trade.symbol], trade.symbol.lower()
        common: Message = {"E": trade.time_ms, "s": symbol.name}
        yield f"{low}@aggTrade", {"e": "aggTrade", **common, **market_read.agg_trade(trade, symbol)}
        yield (
            f"{low}@trade",
            {
                "e": "trade",
                **common,
                "T": trade.time_ms,
                "t": trade.id,
                "p": symbol.text(trade.price),
                "q": symbol.amount(trade.qty),
                "X": "MARKET",
                "m": trade.taker is Side.SELL,
            },
        )

    def _book(self, name: str) -> dict[Side, dict[Decimal, Decimal]]:
        return {side: dict(self._venue.books[name].depth(side)) for side in Side}

    def _changes(self, name: str) -> Iterator[Data]:
        before, after = self._told[name], self._book(name)
        if before == after:
            return
        self._told[name] = after
        symbol, last = self._venue.state.symbols[name], self.update_ids[name]
        self.update_ids[name] = update_id = self._venue.next_id()
        changed = {side: _difference(before[side], after[side], symbol) for side in Side}
        common: Message = {"E": self._venue.now_ms, "T": self._venue.now_ms, "s": name}
        diff: Message = {
            "e": "depthUpdate",
            **common,
            "U": update_id,
            "u": update_id,
            "pu": last,
            "b": changed[Side.BUY],
            "a": changed[Side.SELL],
        }
        if self.lose[name]:
            self.lose[name] -= 1
        else:
            for speed in SPEEDS:
                yield f"{name.lower()}@depth{speed}", diff
        yield from self._tops(symbol, common, update_id, last)

    def _tops(self, symbol: Symbol, common: Message, update_id: int, last: int) -> Iterator[Data]:
        low, book = symbol.name.lower(), self._venue.books[symbol.name]
        bids, asks = (market_read.rows(book.depth(side)[:20], symbol) for side in Side)
        for count in (5, 10, 20):
            top: Message = {
                "e": "depthUpdate",
                **common,
                "U": update_id,
                "u": update_id,
                "pu": last,
                "b": bids[:count],
                "a": asks[:count],
            }
            for speed in SPEEDS:
                yield f"{low}@depth{count}{speed}", top
        if bids and asks:
            quote: Message = {
                "e": "bookTicker",
                **common,
                "u": update_id,
                "b": bids[0][0],
                "B": bids[0][1],
                "a": asks[0][0],
                "A": asks[0][1],
            }
            yield f"{low}@bookTicker", quote
            yield "!bookTicker", quote

    def quotes(self) -> list[Data]:
        """Every best bid and ask once more, changed or not."""
        said: list[Data] = []
        for name, symbol in self._venue.state.symbols.items():
            common: Message = {"E": self._venue.now_ms, "T": self._venue.now_ms, "s": name}
            tops = self._tops(symbol, common, self.update_ids[name], self.update_ids[name])
            said.extend((stream, message) for stream, message in tops if message["e"] == "bookTicker")
        return said

    def marks(self) -> list[Data]:
        """Every mark price, with the funding to come."""
        said: list[Data] = []
        for name, symbol in self._venue.state.symbols.items():
            mark = symbol.text(self._venue.mark(name))
            message: Message = {
                "e": "markPriceUpdate",
                "E": self._venue.now_ms,
                "s": name,
                "p": mark,
                "i": mark,
                "P": mark,
                "r": plain(symbol.funding_rate),
                "T": market_read.next_funding_ms(self._venue),
            }
            said.extend((f"{name.lower()}@markPrice{speed}", message) for speed in ("", "@1s"))
        return said

    def bars(self, wanted: Iterable[str]) -> list[Data]:
        """The bar of each of the streams `wanted` that is a bar's: the one that ended since the last call as closed, and the one that runs."""
        said: list[Data] = []
        for stream in wanted:
            name, _, interval = stream.partition("@kline_")
            if name.upper() not in self.candles or interval not in INTERVALS_MS:
                continue
            length = INTERVALS_MS[interval]
            start = self._venue.now_ms // length * length
            before = self._bars.get(stream, start)
            self._bars[stream] = start
            if before < start:
                said.append(
                    (
                        stream,
                        self._bar(
                            name.upper(),
                            interval,
                            self.candles[name.upper()].bar(before, length),
                            closed=True,
                        ),
                    )
                )
            said.append(
                (
                    stream,
                    self._bar(
                        name.upper(), interval, self.candles[name.upper()].bar(start, length), closed=False
                    ),
                )
            )
        return said

    def bar_now(self, name: str, interval: str) -> Data:
        """A closed bar that ends now, whatever the clock says: of the touch, so that it is never of one price."""
        length, now_ms = INTERVALS_MS[interval], self._venue.now_ms
        book, last = self._venue.books[name], self._venue.last[name]
        bid, ask = ((book.best(side) or (last, ZERO))[0] for side in (Side.BUY, Side.SELL))
        size = self._venue.state.symbols[name].size
        bar = Candle(now_ms - length, bid, ask, bid, ask, size, size * bid, 2, size / 2, size * bid / 2)
        return f"{name.lower()}@kline_{interval}", self._bar(name, interval, bar, closed=True)

    def _bar(self, name: str, interval: str, bar: Candle, *, closed: bool) -> Message:
        symbol = self._venue.state.symbols[name]
        body: Message = {
            "t": bar.start_ms,
            "T": bar.start_ms + INTERVALS_MS[interval] - 1,
            "s": name,
            "i": interval,
            "f": 1,
            "L": max(1, bar.count),
            "o": symbol.text(bar.open),
            "c": symbol.text(bar.close),
            "h": symbol.text(bar.high),
            "l": symbol.text(bar.low),
            "v": symbol.amount(bar.volume),
            "n": bar.count,
            "x": closed,
            "q": plain(bar.quote),
            "V": symbol.amount(bar.bought),
            "Q": plain(bar.bought_quote),
            "B": "0",
        }
        return {"e": "kline", "E": self._venue.now_ms, "s": name, "k": body}


def _difference(
    before: dict[Decimal, Decimal], after: dict[Decimal, Decimal], symbol: Symbol
) -> list[list[str]]:
    """The levels that are new or other than before; one that has gone has quantity 0."""
    changed = [(price, qty) for price, qty in after.items() if before.get(price) != qty]
    gone = [(price, ZERO) for price in before if price not in after]
    return market_read.rows([*changed, *gone], symbol)
