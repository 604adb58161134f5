"""Verbs that move markets and change their rules."""

from exchanges.binance.asked import Bar, Lose, Market, Rate, Status, Tick, Touch
from exchanges.binance.core import matching, settling
from exchanges.binance.core.candles import INTERVALS_MS
from exchanges.binance.core.rules import decimals
from exchanges.binance.server import Server
from exchanges.control import Control, Nothing


class MarketVerbs:
    """Verbs about symbols, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._exchange = server.exchange
        self._venue = server.exchange.venue

    def add(self, control: Control) -> None:
        control.verb(
            "touch",
            Touch,
            self._touch,
            "puts best bid and ask somewhere and keeps them there; `size` stands at each level",
        )
        control.verb("follow", Market, self._follow, "lets a market follow its price path again")
        control.verb("bar", Bar, self._bar, "a closed bar now, whatever the clock says")
        control.verb("funding", Nothing, self._fund, "pays funding once")
        control.verb("funding_rate", Rate, self._rate, "changes a funding rate")
        control.verb(
            "status",
            Status,
            self._status,
            "changes a symbol's status: TRADING, TRADING_HALT, SETTLING, CLOSE",
        )
        control.verb(
            "delist", Market, self._delist, "cancels a symbol's orders, settles its positions, closes it"
        )
        control.verb("lose_book", Lose, self._lose, "so many of the next changes of a book are not told")
        control.verb("tick", Tick, self._tick, "changes a symbol's tick, and its step")

    def _touch(self, asked: Touch) -> None:
        symbol = self._venue.state.symbols[asked.symbol]
        size = asked.size if asked.size is not None else symbol.size
        if asked.bid <= 0 or size <= 0:
            raise ValueError("bid and size are above 0")
        self._venue.pin(asked.symbol, asked.bid, asked.ask, size)
        matching.cross(self._venue, asked.symbol)
        self._venue.last[asked.symbol] = asked.bid
        self._server.follow_up()

    def _follow(self, asked: Market) -> None:
        self._venue.follow(asked.symbol)
        self._venue.pinned.discard(asked.symbol)
        matching.cross(self._venue, asked.symbol)
        self._server.follow_up()

    def _lose(self, asked: Lose) -> None:
        if asked.symbol not in self._venue.state.symbols or asked.times < 1:
            raise ValueError("symbol is one of the venue's, and times at least 1")
        self._exchange.feed.lose[asked.symbol] = asked.times

    def _fund(self, _: Nothing) -> None:
        settling.fund(self._venue)
        self._server.follow_up()

    def _bar(self, asked: Bar) -> None:
        if asked.interval not in INTERVALS_MS:
            raise ValueError(f"interval: {asked.interval!r} is none of {', '.join(INTERVALS_MS)}")
        self._server.streams.publish([self._exchange.feed.bar_now(asked.symbol, asked.interval)])

    def _rate(self, asked: Rate) -> None:
        self._venue.state.symbols[asked.symbol].funding_rate = asked.rate
        self._server.follow_up()

    def _status(self, asked: Status) -> None:
        self._venue.state.symbols[asked.symbol].status = asked.status
        self._server.follow_up()

    def _delist(self, asked: Market) -> None:
        if asked.symbol not in self._venue.state.symbols:
            raise KeyError(asked.symbol)
        settling.delist(self._venue, asked.symbol)
        self._server.follow_up()

    def _tick(self, asked: Tick) -> None:
        if asked.tick <= 0 or (asked.step is not None and asked.step <= 0):
            raise ValueError("tick and step are above 0")
        symbol = self._venue.state.symbols[asked.symbol]
        symbol.tick, symbol.step = asked.tick, asked.step or symbol.step
        symbol.price_precision = max(symbol.price_precision, decimals(symbol.tick))
        symbol.quantity_precision = max(symbol.quantity_precision, decimals(symbol.step))
        self._server.follow_up()
