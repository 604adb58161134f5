"""Verbs that move markets and change their rules."""

from exchanges.control import Control, Nothing
from exchanges.okx.asked import Bar, Market, Rate, Status, Tick, Touch
from exchanges.okx.core import matching, settling
from exchanges.okx.core.market_read import BARS_MS
from exchanges.okx.server import Server


class MarketVerbs:
    """Verbs about instruments, on one server."""

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
            "status", Status, self._status, "changes an instrument's state: live, suspend, settling, expired"
        )
        control.verb(
            "delist",
            Market,
            self._delist,
            "cancels an instrument's orders, settles its positions, and it has expired",
        )
        control.verb("tick", Tick, self._tick, "changes an instrument's tick, and its lot")

    def _touch(self, asked: Touch) -> None:
        instrument = self._venue.state.instruments[asked.instrument]
        size = asked.size if asked.size is not None else instrument.size
        if asked.bid <= 0 or size <= 0:
            raise ValueError("bid and size are above 0")
        self._venue.pin(asked.instrument, asked.bid, asked.ask, size)
        matching.cross(self._venue, asked.instrument)
        self._venue.last[asked.instrument] = asked.bid
        self._server.follow_up()

    def _follow(self, asked: Market) -> None:
        self._venue.follow(asked.instrument)
        self._venue.pinned.discard(asked.instrument)
        matching.cross(self._venue, asked.instrument)
        self._server.follow_up()

    def _fund(self, _: Nothing) -> None:
        settling.fund(self._venue)
        self._server.follow_up()

    def _bar(self, asked: Bar) -> None:
        if asked.interval not in BARS_MS:
            raise ValueError(f"interval: {asked.interval!r} is none of {', '.join(BARS_MS)}")
        self._server.sockets.publish([self._exchange.feed.bar_now(asked.instrument, asked.interval)])

    def _rate(self, asked: Rate) -> None:
        self._venue.state.instruments[asked.instrument].funding_rate = asked.rate
        self._server.follow_up()

    def _status(self, asked: Status) -> None:
        self._venue.state.instruments[asked.instrument].status = asked.status
        self._server.follow_up()

    def _delist(self, asked: Market) -> None:
        if asked.instrument not in self._venue.state.instruments:
            raise KeyError(asked.instrument)
        settling.delist(self._venue, asked.instrument)
        self._server.follow_up()

    def _tick(self, asked: Tick) -> None:
        if asked.tick <= 0 or (asked.step is not None and asked.step <= 0):
            raise ValueError("tick and step are above 0")
        instrument = self._venue.state.instruments[asked.instrument]
        instrument.tick, instrument.step = asked.tick, asked.step or instrument.step
        self._server.follow_up()
