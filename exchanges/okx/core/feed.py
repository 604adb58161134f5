"""The public channels: what each says after the market moved or somebody traded."""

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from exchanges.core.book import Side
from exchanges.core.candles import Candle, Candles, Print
from exchanges.okx.core import market_read
from exchanges.okx.core.market_read import BARS_MS
from exchanges.okx.core.state import ZERO, Instrument
from exchanges.okx.core.venue import Venue

BOOKS = ("books", "books-l2-tbt", "books50-l2-tbt")
KEPT_PRINTS = 20_000


class Said(msgspec.Struct, frozen=True):
    """What a channel says of an instrument (or, of the index channel, an index): `action` is snapshot or update for books."""

    channel: str
    name: str
    data: list[object]
    action: str = ""


class Feed:
    """What the market was told last, so that only what changed is told: books by their sequence ids, bars by their ends."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        instruments = venue.state.instruments
        self.candles = {name: Candles(one, venue.state.seed) for name, one in instruments.items()}
        self.prints: deque[Print] = deque(maxlen=KEPT_PRINTS)
        self._sequence = {name: venue.next_id() for name in instruments}
        self._told = {name: self._book(name) for name in instruments}
        self._bars: dict[tuple[str, str], int] = {}
        self._rules = {name: market_read.instrument_body(one) for name, one in instruments.items()}

    def news(self) -> list[Said]:
        """Trades since the last call, the books that changed, and the instruments whose rules did."""
        said: list[Said] = []
        for trade in self._venue.drain_prints():
            self.prints.append(trade)
            self.candles[trade.symbol].add(trade)
            body = market_read.trade_body(self._venue.state.instruments[trade.symbol], trade)
            said.append(Said("trades", trade.symbol, [{**body, "count": "1"}]))
        for name, one in self._venue.state.instruments.items():
            said.extend(self._changes(one))
            if (rules := market_read.instrument_body(one)) != self._rules[name]:
                self._rules[name] = rules
                said.append(Said("instruments", name, [rules]))
        return said

    def _book(self, name: str) -> dict[Side, dict[Decimal, Decimal]]:
        return {side: dict(self._venue.books[name].depth(side)) for side in Side}

    def _changes(self, one: Instrument) -> Iterator[Said]:
        before, after = self._told[one.name], self._book(one.name)
        if before == after:
            return
        self._told[one.name] = after
        last, self._sequence[one.name] = self._sequence[one.name], self._venue.next_id()
        bids, asks = (
            market_read.rows(_difference(before[side], after[side]), one) for side in (Side.BUY, Side.SELL)
        )
        data = {"bids": bids, "asks": asks, **self._stamp(one, last)}
        for channel in BOOKS:
            yield Said(channel, one.name, [data], "update")
        yield self._top(one, "books5", 5)
        yield self._top(one, "bbo-tbt", 1)

    def _stamp(self, one: Instrument, last: int) -> dict[str, object]:
        bids, asks = (market_read.rows(self._told[one.name][side].items(), one) for side in Side)
        return {
            "ts": str(self._venue.now_ms),
            "checksum": market_read.checksum(bids, asks),
            "prevSeqId": last,
            "seqId": self._sequence[one.name],
        }

    def snapshot(self, channel: str, name: str) -> Said | None:
        """What a channel says at once to who subscribes; None if it says nothing."""
        one = self._venue.state.instruments.get(name)
        if one is None or channel not in (*BOOKS, "books5", "bbo-tbt"):
            return None
        if channel not in BOOKS:
            return self._top(one, channel, 5 if channel == "books5" else 1)
        bids, asks = (market_read.rows(self._told[name][side].items(), one) for side in Side)
        return Said(channel, name, [{"bids": bids, "asks": asks, **self._stamp(one, -1)}], "snapshot")

    def _top(self, one: Instrument, channel: str, count: int) -> Said:
        bids, asks = (
            market_read.rows(list(self._told[one.name][side].items())[:count], one) for side in Side
        )
        stamp = {
            "ts": str(self._venue.now_ms),
            "seqId": self._sequence[one.name],
            "instId": one.name,
        }
        return Said(channel, one.name, [{"bids": bids, "asks": asks, **stamp}])

    def quotes(self) -> list[Said]:
        """Every best bid and ask once more, changed or not."""
        said: list[Said] = []
        for name, one in self._venue.state.instruments.items():
            said.append(self._top(one, "bbo-tbt", 1))
            said.append(Said("tickers", name, [market_read.ticker_body(self._venue, one)]))
        return said

    def marks(self) -> list[Said]:
        """Every mark price, index and funding rate."""
        said: list[Said] = []
        for name, one in self._venue.state.instruments.items():
            said.append(Said("mark-price", name, [market_read.mark_body(self._venue, one)]))
            said.append(Said("index-tickers", one.family, [market_read.index_body(self._venue, one)]))
            said.append(Said("funding-rate", name, [market_read.funding_body(self._venue, one)]))
            said.extend(
                Said("price-limit", name, [row])
                for row in market_read.price_limit(self._venue, {"instId": name})
            )
        return said

    def bars(self, wanted: Iterable[tuple[str, str]]) -> list[Said]:
        """The bar of each of the channels `wanted` (channel, instrument): the one that ended since the last call as closed, and the one that runs."""
        said: list[Said] = []
        for channel, name in wanted:
            interval = channel.removeprefix("candle")
            if name not in self.candles or interval not in BARS_MS:
                continue
            length, one = BARS_MS[interval], self._venue.state.instruments[name]
            start = self._venue.now_ms // length * length
            before = self._bars.get((channel, name), start)
            self._bars[channel, name] = start
            for at in (before, start) if before < start else (start,):
                row = market_read.candle_row(one, self.candles[name].bar(at, length), closed=at < start)
                said.append(Said(channel, name, [row]))
        return said

    def bar_now(self, name: str, interval: str) -> Said:
        """A closed bar that ends now, whatever the clock says: of the touch, so that it is never of one price."""
        length, now_ms = BARS_MS[interval], self._venue.now_ms
        book, last = self._venue.books[name], self._venue.last[name]
        bid, ask = ((book.best(side) or (last, ZERO))[0] for side in Side)
        one = self._venue.state.instruments[name]
        bar = Candle(now_ms - length, bid, ask, bid, ask, one.size, one.size * bid, 2)
        return Said(f"candle{interval}", name, [market_read.candle_row(one, bar, closed=True)])


def _difference(
    before: dict[Decimal, Decimal], after: dict[Decimal, Decimal]
) -> list[tuple[Decimal, Decimal]]:
    """The levels that are new or other than before; one that has gone has quantity 0."""
    changed = [(price, qty) for price, qty in after.items() if before.get(price) != qty]
    return [*changed, *((price, ZERO) for price in before if price not in after)]
