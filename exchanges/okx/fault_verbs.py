"""Verbs that make the exchange go wrong."""

from exchanges.asked import Conduct, Seconds, Skew, Stream
from exchanges.control import Control, Nothing, set_given
from exchanges.core.faults import Delivery
from exchanges.okx.asked import Limit, Which
from exchanges.okx.core import settling
from exchanges.okx.core.exchange import Limits
from exchanges.okx.faults import OkxFault
from exchanges.okx.server import Server


class FaultVerbs:
    """Verbs about faults, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._exchange = server.exchange
        self._venue = server.exchange.venue

    def add(self, control: Control) -> None:
        sockets = "public, private, business or all"
        control.verb("fault", OkxFault, self._server.faults.add, "a fault of requests: see its kinds")
        control.verb(
            "clear",
            Nothing,
            self._clear,
            "no more faults, and what `hold_fills` held back is matched; markets stay as they are",
        )
        control.verb(
            "conduct",
            Conduct,
            self._conduct,
            "matching: hold fills, fill in parts, fill the next cancelled orders all the same",
        )
        control.verb(
            "stream", Stream, self._stream, "private events: lost, sent twice, each pair the wrong way round"
        )
        control.verb("cut", Which, self._cut, f"ends sockets without a word: {sockets}")
        control.verb("half_open", Which, self._half_open, f"sockets that stand and are dead: {sockets}")
        control.verb(
            "down",
            Seconds,
            lambda asked: self._server.down(asked.seconds),
            "connections are refused, for `seconds` or until `up`",
        )
        control.verb("up", Nothing, lambda _: self._server.up(), "connections are taken again")
        control.verb(
            "maintenance",
            Seconds,
            lambda asked: self._server.maintain(asked.seconds),
            "REST answers 503 and sockets are cut, for `seconds` or until `clear`",
        )
        control.verb("limits", Limit, self._limits, "how many orders are taken in two seconds before 50011")
        control.verb("skew", Skew, self._skew, "the venue's clock is wrong by `ms`")

    def _clear(self, _: Nothing) -> None:
        self._server.faults.clear()
        self._server.sockets.delivery = Delivery()
        self._conduct(Conduct(hold_fills=False, parts=1, fill_after_cancel=0))
        self._exchange.clock_skew_ms, self._exchange.limits = 0, Limits()
        self._server.end_maintenance()

    def _conduct(self, asked: Conduct) -> None:
        held = self._venue.conduct.hold_fills and asked.hold_fills is False
        set_given(self._venue.conduct, asked)
        if held:
            settling.release(self._venue)
            self._server.follow_up()

    def _stream(self, asked: Stream) -> None:
        set_given(self._server.sockets.delivery, asked)

    def _cut(self, asked: Which) -> dict[str, int]:
        connections = self._server.sockets.chosen(asked.which)
        for connection in connections:
            connection.cut()
        return {"cut": len(connections)}

    def _half_open(self, asked: Which) -> dict[str, int]:
        connections = self._server.sockets.chosen(asked.which)
        for connection in connections:
            connection.half_open = True
        return {"half_open": len(connections)}

    def _limits(self, asked: Limit) -> None:
        set_given(self._exchange.limits, asked)

    def _skew(self, asked: Skew) -> None:
        self._exchange.clock_skew_ms = asked.ms
