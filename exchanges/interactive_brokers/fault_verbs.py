"""Verbs that make the gateway go wrong."""

from exchanges.control import Control, Nothing
from exchanges.core.faults import Fault as CoreFault
from exchanges.interactive_brokers.asked import Client, Conduct, Fault, Lose, Restore, Seconds, Stream
from exchanges.interactive_brokers.core.gateway import NAMES
from exchanges.interactive_brokers.server import Server


class FaultVerbs:
    """Verbs about faults, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._gateway = server.gateway

    def add(self, control: Control) -> None:
        control.verb("fault", Fault, self._fault, "a fault of requests: see its kinds")
        control.verb("clear", Nothing, self._clear, "no more faults; what is down or lost stays so")
        control.verb(
            "conduct",
            Conduct,
            self._conduct,
            "matching: hold fills, fill in parts, fill the next cancelled orders all the same",
        )
        control.verb(
            "stream",
            Stream,
            self._stream,
            "events of orders: lost, sent twice, each pair the wrong way round",
        )
        control.verb("cut", Client, self._cut, "ends sockets without a word: of a client, or all")
        control.verb("half_open", Client, self._half_open, "sockets that stand and are dead")
        control.verb(
            "down",
            Seconds,
            lambda asked: self._server.down(asked.seconds),
            "the nightly restart: connections end and are refused, for `seconds` or until `up`",
        )
        control.verb("up", Nothing, lambda _: self._server.open(), "connections are taken again")
        control.verb(
            "lose", Lose, self._lose, "the gateway loses the venue (1100 or 2110) or a farm (2103, 2105)"
        )
        control.verb(
            "restore", Restore, self._restore, "it is back: the venue (1102, 1101 with data lost), a farm"
        )

    def _fault(self, asked: Fault) -> None:
        if asked.on != "*" and asked.on not in NAMES:
            raise ValueError(f"on: no request {asked.on!r}; there are *, {', '.join(sorted(NAMES))}")
        self._server.faults.add(
            CoreFault(
                on=asked.on,
                kind=asked.kind,
                times=asked.times,
                seconds=asked.seconds,
                code=asked.code,
                msg=asked.msg,
            )
        )

    def _clear(self, _: Nothing) -> None:
        self._server.faults.clear()
        self._stream(Stream(mute=False, duplicate=False, swap=False))
        self._conduct(Conduct(hold_fills=False, parts=1, fill_after_cancel=0))

    def _conduct(self, asked: Conduct) -> None:
        conduct = self._gateway.venue.conduct
        for name in asked.__struct_fields__:
            if (value := getattr(asked, name)) is not None:
                setattr(conduct, name, value)
        self._server.follow_up()

    def _stream(self, asked: Stream) -> None:
        for name in asked.__struct_fields__:
            if (value := getattr(asked, name)) is not None:
                setattr(self._server.delivery, name, value)

    def _cut(self, asked: Client) -> None:
        for link in self._server.chosen(asked.client):
            link.cut()

    def _half_open(self, asked: Client) -> None:
        for link in self._server.chosen(asked.client):
            link.half_open = True

    def _lose(self, asked: Lose) -> None:
        links = self._gateway.links
        code = {"venue": asked.code, "market": 2103, "history": 2105}[asked.what]
        if asked.what == "venue":
            links.venue_code = asked.code
        elif asked.what == "market":
            links.market_broken = True
        else:
            links.history_broken = True
        self._server.broadcast(code)

        async def end() -> None:
            self._back(Restore(what=asked.what))

        self._server.end_in(f"loss of {asked.what}", asked.seconds, end)

    def _restore(self, asked: Restore) -> None:
        self._server.not_later(f"loss of {asked.what}")
        self._back(asked)

    def _back(self, asked: Restore) -> None:
        links = self._gateway.links
        if asked.what == "market":
            links.market_broken = False
            self._server.broadcast(2104)
        elif asked.what == "history":
            links.history_broken = False
            self._server.broadcast(2106)
        else:
            links.venue_code = 0
            if asked.data_lost:
                for link in self._server.links:
                    link.session.forget_data()
            self._server.broadcast(1101 if asked.data_lost else 1102)
            self._server.follow_up()
