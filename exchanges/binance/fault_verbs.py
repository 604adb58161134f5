"""Verbs that make the exchange go wrong."""

from exchanges.asked import Conduct, Seconds, Skew, Stream, Whose
from exchanges.binance.asked import Ban, Limit, Which
from exchanges.binance.core import settling
from exchanges.binance.core.events import listen_key_expired
from exchanges.binance.server import Server
from exchanges.control import Control, Nothing, set_given
from exchanges.core.faults import Delivery, Fault


class FaultVerbs:
    """Verbs about faults, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._exchange = server.exchange
        self._venue = server.exchange.venue

    def add(self, control: Control) -> None:
        control.verb("fault", Fault, self._server.faults.add, "a fault of requests: see its kinds")
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
        control.verb("cut", Which, self._cut, "ends sockets without a word: market, private or all")
        control.verb(
            "half_open", Which, self._half_open, "sockets that stand and are dead: market, private or all"
        )
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
        control.verb("ban", Ban, self._ban, "418 with Retry-After to every request for `seconds`")
        control.verb("limits", Limit, self._limits, "how many requests and orders are taken before 429")
        control.verb("skew", Skew, self._skew, "the venue's clock is wrong by `ms`")
        control.verb(
            "expire_listen_key", Whose, self._expire, "ends the private stream's key, and says so on it"
        )

    def _clear(self, _: Nothing) -> None:
        self._server.faults.clear()
        self._server.streams.delivery = Delivery()
        self._conduct(Conduct(hold_fills=False, parts=1, fill_after_cancel=0))
        self._exchange.maintenance, self._exchange.clock_skew_ms = False, 0
        self._exchange.limits.reset()

    def _conduct(self, asked: Conduct) -> None:
        held = self._venue.conduct.hold_fills and asked.hold_fills is False
        set_given(self._venue.conduct, asked)
        if held:
            settling.release(self._venue)
            self._server.follow_up()

    def _stream(self, asked: Stream) -> None:
        set_given(self._server.streams.delivery, asked)

    def _cut(self, asked: Which) -> dict[str, int]:
        connections = self._server.streams.chosen(asked.which)
        for connection in connections:
            connection.cut()
        return {"cut": len(connections)}

    def _half_open(self, asked: Which) -> dict[str, int]:
        connections = self._server.streams.chosen(asked.which)
        for connection in connections:
            connection.half_open = True
        return {"half_open": len(connections)}

    def _ban(self, asked: Ban) -> None:
        self._exchange.limits.ban(self._server.clock(), asked.seconds)

    def _limits(self, asked: Limit) -> None:
        set_given(self._exchange.limits, asked)

    def _skew(self, asked: Skew) -> None:
        self._exchange.clock_skew_ms = asked.ms

    def _expire(self, asked: Whose) -> None:
        accounts = self._venue.state.accounts
        account = accounts[asked.account] if asked.account is not None else next(iter(accounts.values()))
        if not account.listen_key:
            raise ValueError(f"{account.name} has no listen key")
        self._venue.tell(account.name, listen_key_expired(account.listen_key, self._venue.now_ms))
        account.listen_key = ""
        self._server.follow_up()
