"""What a WebSocket is asked: logins, subscriptions, and orders over the private one, with the faults that they meet."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from exchanges.core.faults import Fault, Faults, Kind
from exchanges.okx.core import account_read, auth
from exchanges.okx.core.auth import Signed
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.exchange import Answer, Asking, Exchange
from exchanges.okx.core.routes import OPERATIONS
from exchanges.okx.socket import Arg, Message, Socket

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


class Outlet(Protocol):
    """What keeps what an order brought about, before it is answered, and sends it afterwards."""

    def keep(self) -> None: ...
    def send(self) -> None: ...


class Hearing:
    """Does what sockets are asked. `later` does something after some seconds."""

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

    def hear(self, socket: Socket, text: str) -> None:
        """Does what a message asks, and answers it."""
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
            socket.show(arg, said)
        if account is not None and channel in ("account", "positions"):
            read = account_read.balance if channel == "account" else account_read.positions
            data = read(self._exchange.venue, account, {"instId": arg.get("instId", "")})
            if data or channel == "account":
                socket.send({"arg": {**arg, "uid": account.name}, "data": data})

    def _record(self, asked: Message, answer: Answer | None, fault: str) -> None:
        params = list(asked.args) if asked.op != "login" else []
        asking = Asking(method="WS", path=asked.op, params=list(params))
        self._exchange.record(asking, answer, self._clock(), fault)


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
