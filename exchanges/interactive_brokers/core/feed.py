"""Market data: what follows from the market's moves for those that follow it."""

from collections.abc import Iterator
from decimal import Decimal

from exchanges.interactive_brokers.core.bars import FIVE_MS, Bar, Bars, dated
from exchanges.interactive_brokers.core.session import BarsAsked, Session
from exchanges.interactive_brokers.core.venue import Print, Venue
from exchanges.interactive_brokers.core.wire import Message

LAST, ALL_LAST, BID_ASK = 1, 2, 3


class Feed:
    """The market data of a gateway."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        state = venue.state
        self.bars = {c.con_id: Bars(c, state.seed, venue.now_ms) for c in state.contracts.values()}

    def see(self) -> list[Print]:
        """Takes the market as it is into the bars, and returns the trades since the call before."""
        prints, self._venue.prints = self._venue.prints, []
        for con_id, bars in self.bars.items():
            traded = [p.qty for p in prints if p.con_id == con_id]
            last = self._venue.last[con_id]
            if self._venue.state.contracts[con_id].kind == "CASH":
                last = self._venue.touch(con_id).ask
            bars.see(self._venue.touch(con_id), last, traded, self._venue.now_ms)
        return prints

    def news(self, session: Session, prints: list[Print]) -> Iterator[Message]:
        """What a client is to be told now."""
        yield from self._tops(session)
        yield from self._ticks(session, prints)
        for request, asked in session.real_time.items():
            yield from self._real_time(request, asked)
        for request, asked in session.history.items():
            yield from self._update(request, asked)

    def _tops(self, session: Session) -> Iterator[Message]:
        for request, con_id in session.tops.items():
            touch = self._venue.touch(con_id)
            if session.top_told.get(request) != touch:
                session.top_told[request] = touch
                yield ("1", "6", request, 1, touch.bid, touch.bid_size, "0")
                yield ("1", "6", request, 2, touch.ask, touch.ask_size, "0")

    def _ticks(self, session: Session, prints: list[Print]) -> Iterator[Message]:
        second = self._venue.now_ms // 1000
        for request, (con_id, kind) in session.ticks.items():
            if kind == "BidAsk":
                touch = self._venue.touch(con_id)
                if session.tick_told.get(request) != touch:
                    session.tick_told[request] = touch
                    sizes = (touch.bid_size, touch.ask_size)
                    yield ("99", request, BID_ASK, second, touch.bid, touch.ask, *sizes, "0")
                continue
            exchange = self._venue.state.contracts[con_id].exchange
            for trade in prints:
                if trade.con_id == con_id:
                    type_ = LAST if kind == "Last" else ALL_LAST
                    at = trade.time_ms // 1000
                    yield ("99", request, type_, at, trade.price, trade.qty, "0", exchange, "")

    def _real_time(self, request: int, asked: BarsAsked) -> Iterator[Message]:
        end = self._venue.now_ms // FIVE_MS * FIVE_MS
        start = asked.told_ms + FIVE_MS if asked.told_ms else end - FIVE_MS
        for bar in self.bars[asked.con_id].history(asked.show, FIVE_MS, start, end):
            asked.told_ms = bar.start_ms
            second = bar.start_ms // 1000
            yield ("50", "3", request, second, *_prices(bar), bar.volume, bar.close, bar.count)

    def _update(self, request: int, asked: BarsAsked) -> Iterator[Message]:
        """The bars of a history that is kept up to date: the unfinished one when it has changed, and one that has ended once more."""
        start, now = max(asked.told_ms, 0), self._venue.now_ms + 1
        for bar in self.bars[asked.con_id].history(asked.show, asked.size_ms, start, now):
            told = (*_prices(bar), bar.volume)
            if bar.start_ms == asked.told_ms and told == asked.told:
                continue
            asked.told_ms, asked.told = bar.start_ms, told
            date = dated(bar, asked.size_ms, asked.epoch)
            yield (
                "90",
                request,
                bar.count,
                date,
                bar.open,
                bar.close,
                bar.high,
                bar.low,
                bar.close,
                bar.volume,
            )

    def history(self, request: int, asked: BarsAsked, start_ms: int, end_ms: int) -> Message:
        """The answer to a request for bars."""
        bars = self.bars[asked.con_id].history(asked.show, asked.size_ms, start_ms, end_ms)
        rows: list[str] = []
        for bar in bars:
            asked.told_ms, asked.told = bar.start_ms, (*_prices(bar), bar.volume)
            row = (*_prices(bar), bar.volume, bar.close)
            rows += [dated(bar, asked.size_ms, asked.epoch), *(f"{value:f}" for value in row), str(bar.count)]
        dates = (f"{start_ms // 1000}", f"{end_ms // 1000}")
        return ("17", request, *dates, len(bars), *rows)


def _prices(bar: Bar) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return (bar.open, bar.high, bar.low, bar.close)
