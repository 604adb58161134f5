"""The gateway's core at one's desk: clients speak by ibapi's own encoder and hear by its own decoder, time stands still, markets stay where they are put."""

from decimal import Decimal
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.decoder import Decoder
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper

from exchanges.interactive_brokers.core import triggers
from exchanges.interactive_brokers.core.gateway import Gateway, new_state
from exchanges.interactive_brokers.core.session import Session
from exchanges.interactive_brokers.core.wire import SERVER_VERSION, Message, text

D = Decimal
NOW_MS = 1_704_110_400_000  # 2024-01-01 12:00 UTC
MAIN = "DU1234567"


class Heard(EWrapper):  # type: ignore[misc]
    """Keeps every call of the decoder: its name, and its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("calls", "__class__", "__dict__") or name.startswith("_"):
            return super().__getattribute__(name)
        return lambda *given, **named: self.calls.append((name, (*given, *named.values())))


class Client:
    """One client of the gateway."""

    def __init__(self, desk: "Desk", client_id: int) -> None:
        self.desk, self.session, self.heard = desk, Session(), Heard()
        self.api = EClient(self.heard)
        self.api.serverVersion_ = SERVER_VERSION
        self.api.isConnected = lambda: True
        self.api.sendMsg = self._send
        self._decoder = Decoder(self.heard, SERVER_VERSION)
        self.tell(desk.gateway.start(self.session, client_id))

    def _send(self, kind: int, fields: str) -> None:
        answers, _ = self.desk.gateway.answer(
            self.session, [str(kind), *fields.split("\0")[:-1]], self.desk.now_ms
        )
        self.tell(answers)
        self.desk.deliver()

    def tell(self, messages: list[Message]) -> None:
        for message in messages:
            kind, *fields = (text(field) for field in message)
            self._decoder.interpret(tuple(field.encode() for field in fields), int(kind))

    def take(self, *names: str) -> list[tuple[Any, ...]]:
        """The arguments of all calls of some names since the last time, in order; the others are forgotten."""
        calls, self.heard.calls = self.heard.calls, []
        return [given for name, given in calls if name in names]

    def place(self, order_id: int, symbol: str = "AAPL", **terms: Any) -> None:
        order = Order()
        order.account, order.tif = MAIN, "GTC"
        for name, value in terms.items():
            setattr(order, name, D(value) if name == "totalQuantity" else value)
        self.api.placeOrder(order_id, contract(symbol), order)

    def buy(self, order_id: int, qty: str, limit: float | None = None, **terms: Any) -> None:
        self._simple(order_id, "BUY", qty, limit, terms)

    def sell(self, order_id: int, qty: str, limit: float | None = None, **terms: Any) -> None:
        self._simple(order_id, "SELL", qty, limit, terms)

    def _simple(self, order_id: int, side: str, qty: str, limit: float | None, terms: dict[str, Any]) -> None:
        kind = {"orderType": "MKT"} if limit is None else {"orderType": "LMT", "lmtPrice": limit}
        self.place(order_id, **{"action": side, "totalQuantity": qty, **kind, **terms})

    def cancel(self, order_id: int) -> None:
        self.api.cancelOrder(order_id, OrderCancel())

    def errors(self) -> list[tuple[int, int]]:
        """The errors since the last time: id and code."""
        return [(given[0], given[2]) for given in self.take("error")]

    def statuses(self) -> list[tuple[int, str, Decimal]]:
        """The order statuses since the last time: id, status, filled."""
        return [given[:3] for given in self.take("orderStatus")]


class Desk:
    """A gateway with an account of 1,000,000 USD (and another); AAPL at 189.90 / 190.10 with 500 at each level."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.gateway = Gateway(new_state(1, NOW_MS, [MAIN, "DU7654321"], D(1_000_000)), NOW_MS)
        self.venue = self.gateway.venue
        self.clients: list[Client] = []
        self.touch("189.90", "190.10")
        self.main = self.client(7)
        self.main.take()

    def client(self, client_id: int) -> Client:
        client = Client(self, client_id)
        self.clients.append(client)
        return client

    def deliver(self) -> None:
        for out in self.gateway.drain():
            for client in self.clients:
                if client.session.positions if out.client is None else client.session.id == out.client:
                    client.tell([out.message])

    def touch(self, bid: str, ask: str, size: str = "500", symbol: str = "AAPL") -> None:
        """Moves a market, and what follows."""
        found = next(c for c in self.venue.state.contracts.values() if c.local_symbol == symbol)
        self.venue.pin(found, D(bid), D(ask), D(size))
        self.venue.last[found.con_id] = D(bid)
        self.venue.at(self.now_ms)
        triggers.settle(self.venue)
        self.deliver()

    def pass_time(self, ms: int) -> None:
        """Lets time pass, and what follows."""
        self.now_ms += ms
        self.gateway.tick(self.now_ms)
        self.deliver()

    def news(self, client: Client) -> None:
        """Tells a client what its market data have to say."""
        client.tell(list(self.gateway.feed.news(client.session, self.gateway.feed.see())))

    def held(self, symbol: str = "AAPL", account: str = MAIN) -> Decimal:
        contracts = self.venue.state.contracts
        positions = self.venue.state.accounts[account].positions.values()
        return sum((p.amount for p in positions if contracts[p.con_id].local_symbol == symbol), D(0))


def contract(symbol: str) -> Contract:
    """A contract as a client asks for it: by its local symbol."""
    asked = Contract()
    asked.localSymbol = symbol
    if symbol in ("AAPL", "MSFT"):
        asked.secType, asked.exchange, asked.currency = "STK", "SMART", "USD"
    elif symbol == "EUR.USD":
        asked.secType, asked.exchange = "CASH", "IDEALPRO"
    else:
        asked.secType, asked.exchange = "FUT", "CME"
    return asked
