"""The WebSockets: public, private and business ones, with logins, subscriptions, and orders over the private one."""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from aiohttp import web

from exchanges.connections import Connection
from exchanges.core.faults import Delivery, Fault, Faults, Kind, Sender
from exchanges.okx.core import account_read, auth
from exchanges.okx.core.auth import Signed
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.exchange import Answer, Asking, Exchange
from exchanges.okx.core.feed import Said
from exchanges.okx.core.pushes import Push
from exchanges.okx.core.routes import OPERATIONS
from exchanges.okx.core.state import Account

KINDS = ("public", "private", "business")
PUBLIC = [
    "bbo-tbt",
    "books",
    "books5",
    "books-l2-tbt",
    "books50-l2-tbt",
    "trades",
    "tickers",
    "mark-price",
    "index-tickers",
    "funding-rate",
    "price-limit",
    "instruments",
    "status",
]
OF_ACCOUNTS = {"private": ("orders", "account", "positions"), "business": ("orders-algo", "algo-advance")}

type Arg = dict[str, str]
"""What is subscribed, as it was asked for."""


class Outlet(Protocol):
    """What keeps what an order brought about, before it is answered, and sends it afterwards."""

    def keep(self) -> None: ...
    def send(self) -> None: ...


class Message(msgspec.Struct):
    """What a socket is asked."""

    op: str
    args: list[dict[str, object]] = []
    id: str | None = None


class Socket:
    """A connection with what it is of and what it subscribed. `account` is None before a login."""

    def __init__(self, connection: Connection, kind: str, number: int, delivery: Delivery) -> None:
        self.connection = connection
        self.kind = kind
        self.number = f"{number:08x}"
        self.account: Account | None = None
        self.subscribed: list[Arg] = []
        self.sender = Sender(delivery)

    def send(self, message: dict[str, object]) -> None:
        """Sends a message."""
        self.connection.send(msgspec.json.encode(message).decode())

    def refuse(self, error: VenueError, asked: Message) -> None:
        """Says why something is not done."""
        told: dict[str, object] = {"event": "error", "code": str(error.code), "msg": error.text}
        self.send({**told, "connId": self.number, **({"id": asked.id} if asked.id else {})})


class Sockets:
    """Who is connected, and what they hear. `later` does something after some seconds."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        clock: Callable[[], int],
        outlet: Outlet,
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._exchange = exchange
        self._faults = faults
        self._clock = clock
        self._outlet = outlet
        self._later = later
        self._sockets: list[Socket] = []
        self._count = 0
        self.delivery = Delivery()

    # --- connecting and being asked

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`/ws/v5/public`, `/ws/v5/private`, `/ws/v5/business`."""
        kind = request.match_info["kind"]
        if kind not in KINDS or self._exchange.maintenance:
            raise web.HTTPServiceUnavailable if self._exchange.maintenance else web.HTTPNotFound
        self._count += 1
        socket = Socket(Connection(request, kind), kind, self._count, self.delivery)
        self._sockets.append(socket)

        async def hear(text: str) -> None:
            self._hear(socket, text)

        try:
            return await socket.connection.serve(hear)
        finally:
            self._sockets.remove(socket)

    def _hear(self, socket: Socket, text: str) -> None:
        if text == "ping":  # a text of its own, not a WebSocket ping
            socket.connection.send("pong")
            return
        try:
            asked = msgspec.json.decode(text, type=Message)
        except msgspec.DecodeError:
            socket.refuse(VenueError(60012, text[:100]), Message(op=""))
            return
        fault = self._faults.take("WS", asked.op)
        if fault is None:
            self._act(socket, asked, "")
        else:
            self._meet(socket, asked, fault)

    def _meet(self, socket: Socket, asked: Message, fault: Fault) -> None:
        """Does what is asked, or not, and answers, or not, as a fault wants it."""
        cut = socket.connection.cut
        match fault.kind:
            case Kind.REFUSE | Kind.HANG:
                self._record(asked, None, fault.kind)
                self._later(0 if fault.kind is Kind.REFUSE else fault.seconds, cut)
            case Kind.REJECT:
                self._record(asked, Answer(200, _scripted(asked, fault)), fault.kind)
                self._script(socket, asked, fault)
            case Kind.LATE:
                self._later(fault.seconds, lambda: self._act(socket, asked, fault.kind))
            case Kind.SLOW:
                self._later(fault.seconds, self._do(socket, asked, fault.kind))
                self._outlet.send()
            case Kind.LOST | Kind.SILENT:
                self._do(socket, asked, fault.kind)
                self._later(0 if fault.kind is Kind.LOST else fault.seconds, cut)
                self._outlet.send()
            case Kind.UNKNOWN:
                self._do(socket, asked, fault.kind)
                self._script(socket, asked, fault)
                self._outlet.send()

    def _script(self, socket: Socket, asked: Message, fault: Fault) -> None:
        if asked.op in OPERATIONS:
            socket.send({"id": asked.id, "op": asked.op, **_scripted(asked, fault)})
        else:
            told: dict[str, object] = {"event": "error", "code": str(fault.code), "msg": fault.msg}
            socket.send({**told, "connId": socket.number})

    def _act(self, socket: Socket, asked: Message, fault: str) -> None:
        self._do(socket, asked, fault)()

    def _do(self, socket: Socket, asked: Message, fault: str) -> Callable[[], None]:
        """Does what is asked; what is returned answers it."""
        try:
            if asked.op in OPERATIONS:
                return self._operate(socket, asked, fault)
            if asked.op in ("subscribe", "unsubscribe"):
                return self._subscribe(socket, asked)
        except VenueError as error:
            told = error
            return lambda: socket.refuse(told, asked)
        if asked.op == "login":
            return self._log_in(socket, asked)
        return lambda: socket.refuse(VenueError(60012, asked.op), asked)

    def _operate(self, socket: Socket, asked: Message, fault: str) -> Callable[[], None]:
        if socket.account is None or socket.kind != "private":
            raise VenueError(60011)
        now_ms = self._clock()
        asking = Asking(method="WS", path=asked.op, params=list(asked.args))
        answer = self._exchange.operate(socket.account, asking, now_ms)
        self._exchange.record(asking, answer, now_ms, fault)
        self._outlet.keep()
        times = {"inTime": f"{now_ms}000", "outTime": f"{now_ms}001"}

        def reply() -> None:
            socket.send({"id": asked.id, "op": asked.op, **answer.body, **times})
            self._outlet.send()

        return reply

    def _log_in(self, socket: Socket, asked: Message) -> Callable[[], None]:
        sent = {name: str(value) for name, value in (asked.args or [{}])[0].items()}
        signed = Signed(
            key=sent.get("apiKey", ""),
            passphrase=sent.get("passphrase", ""),
            moment=sent.get("timestamp", ""),
            sign=sent.get("sign", ""),
        )
        accounts, now_ms = self._exchange.venue.state.accounts.values(), self._clock()
        try:
            socket.account = auth.of_login(accounts, signed, now_ms + self._exchange.clock_skew_ms)
        except VenueError as error:
            told = error

            def refuse() -> None:
                socket.refuse(told, asked)
                socket.connection.close()

            return refuse
        return lambda: socket.send({"event": "login", "code": "0", "msg": "", "connId": socket.number})

    def _subscribe(self, socket: Socket, asked: Message) -> Callable[[], None]:
        args = [{name: str(value) for name, value in arg.items() if value is not None} for arg in asked.args]
        for arg in args:
            self._check(socket, arg)

        def answer() -> None:
            for arg in args:
                if asked.op == "unsubscribe":
                    socket.subscribed = [one for one in socket.subscribed if one != arg]
                elif arg not in socket.subscribed:
                    socket.subscribed.append(arg)
                told: dict[str, object] = {"event": asked.op, "arg": arg, "connId": socket.number}
                socket.send({**told, **({"id": asked.id} if asked.id else {})})
                if asked.op == "subscribe":
                    self._show(socket, arg)

        return answer

    def _check(self, socket: Socket, arg: Arg) -> None:
        channel = arg.get("channel", "")
        of_account = channel in OF_ACCOUNTS.get(socket.kind, ())
        if of_account and socket.account is None:
            raise VenueError(60011)
        known = (socket.kind == "public" and channel in PUBLIC) or (
            socket.kind == "business" and channel.startswith("candle")
        )
        state = self._exchange.venue.state.instruments
        names = {*state, *(one.family for one in state.values())}
        if not (known or of_account) or arg.get("instId", "") not in ("", *names):
            raise VenueError(60018, ",".join(f"{name}:{value}" for name, value in arg.items()))

    def _show(self, socket: Socket, arg: Arg) -> None:
        """What a channel says at once: a book as it is, a balance, positions."""
        channel, account = arg["channel"], socket.account
        if said := self._exchange.feed.snapshot(channel, arg.get("instId", "")):
            socket.send(_of(arg, said))
        if account is not None and channel in ("account", "positions"):
            read = account_read.balance if channel == "account" else account_read.positions
            data = read(self._exchange.venue, account, {"instId": arg.get("instId", "")})
            if data or channel == "account":
                socket.send({"arg": {**arg, "uid": account.name}, "data": data})

    # --- sending

    def tell(self, pushes: Iterable[Push]) -> None:
        """Sends to accounts what is of them, as the faults of delivery let it."""
        for push in pushes:
            for socket in self._sockets:
                if socket.account is None or socket.account.name != push.account:
                    continue
                for arg in (one for one in socket.subscribed if _wants(one, push)):
                    message = {"arg": {**arg, "uid": push.account}, "data": [push.body]}
                    socket.sender.delivery = self.delivery
                    for text in socket.sender.offer(msgspec.json.encode(message).decode()):
                        socket.connection.send(text)

    def settle(self) -> None:
        """Sends what was held back."""
        for socket in self._sockets:
            for text in socket.sender.flush():
                socket.connection.send(text)

    def publish(self, news: Iterable[Said]) -> None:
        """Sends market data to those who subscribed."""
        for said in news:
            for socket in self._sockets:
                for arg in socket.subscribed:
                    by_type = said.channel == "instruments" and "instId" not in arg
                    if arg["channel"] == said.channel and (by_type or arg.get("instId") == said.name):
                        socket.send(_of(arg, said))

    def bars(self) -> set[tuple[str, str]]:
        """The channels of bars that somebody subscribed, with their instruments."""
        args = [arg for socket in self._sockets for arg in socket.subscribed]
        return {(a["channel"], a.get("instId", "")) for a in args if a["channel"].startswith("candle")}

    # --- breaking

    def chosen(self, which: str) -> list[Connection]:
        """The connections that are meant: public, private, business or all."""
        return [socket.connection for socket in self._sockets if which in ("all", socket.kind)]

    def counts(self) -> dict[str, int]:
        """How many connections there are of each kind, and how many channels they have subscribed together."""
        kinds = {kind: sum(socket.kind == kind for socket in self._sockets) for kind in KINDS}
        return {**kinds, "channels": sum(len(socket.subscribed) for socket in self._sockets)}

    def _record(self, asked: Message, answer: Answer | None, fault: str) -> None:
        params = list(asked.args) if asked.op != "login" else []
        asking = Asking(method="WS", path=asked.op, params=list(params))
        self._exchange.record(asking, answer, self._clock(), fault)


def _of(arg: Arg, said: Said) -> dict[str, object]:
    return {"arg": arg, **({"action": said.action} if said.action else {}), "data": said.data}


def _wants(arg: Arg, push: Push) -> bool:
    if arg["channel"] != push.channel:
        return False
    if push.channel == "account":
        return arg.get("ccy", "USDT") == "USDT"
    named = arg.get("instId", "") in ("", push.instrument)
    family = arg.get("instFamily", "") in ("", push.instrument.removesuffix("-SWAP"))
    return arg.get("instType", "ANY") in ("ANY", "SWAP") and named and family


def _scripted(asked: Message, fault: Fault) -> dict[str, object]:
    """A refusal of each order that was sent, in the fault's words."""
    rows: list[object] = [
        {
            "ordId": str(arg.get("ordId", "")),
            "clOrdId": str(arg.get("clOrdId", "")),
            "tag": "",
            "sCode": str(fault.code),
            "sMsg": fault.msg,
        }
        for arg in asked.args
    ]
    return {"code": "1", "msg": "", "data": rows}
