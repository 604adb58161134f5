"""The whole gateway behind its sockets: messages of clients in, messages to clients out."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec

from exchanges.interactive_brokers.core import account_read, data_requests, messages, orders_read, trading
from exchanges.interactive_brokers.core.contracts import listed
from exchanges.interactive_brokers.core.errors import Refusal
from exchanges.interactive_brokers.core.feed import Feed
from exchanges.interactive_brokers.core.links import Links
from exchanges.interactive_brokers.core.session import Session
from exchanges.interactive_brokers.core.state import Account, State
from exchanges.interactive_brokers.core.triggers import move, settle
from exchanges.interactive_brokers.core.venue import Out, Venue
from exchanges.interactive_brokers.core.wire import Message

# What a request is called, and where in it the id of the request or order stands (0: it has none).
REQUESTS = {
    "1": ("reqMktData", 2),
    "2": ("cancelMktData", 2),
    "3": ("placeOrder", 1),
    "4": ("cancelOrder", 2),
    "5": ("reqOpenOrders", 0),
    "7": ("reqExecutions", 2),
    "8": ("reqIds", 0),
    "9": ("reqContractDetails", 2),
    "15": ("reqAutoOpenOrders", 0),
    "16": ("reqAllOpenOrders", 0),
    "17": ("reqManagedAccts", 0),
    "20": ("reqHistoricalData", 1),
    "25": ("cancelHistoricalData", 2),
    "49": ("reqCurrentTime", 0),
    "50": ("reqRealTimeBars", 2),
    "51": ("cancelRealTimeBars", 2),
    "58": ("reqGlobalCancel", 0),
    "59": ("reqMarketDataType", 0),
    "61": ("reqPositions", 0),
    "62": ("reqAccountSummary", 2),
    "63": ("cancelAccountSummary", 2),
    "64": ("cancelPositions", 0),
    "71": ("startApi", 0),
    "81": ("reqMatchingSymbols", 1),
    "97": ("reqTickByTickData", 1),
    "98": ("cancelTickByTickData", 1),
}
NAMES = tuple(name for name, _ in REQUESTS.values())

type Act = Callable[["Gateway", Session, Sequence[str]], Iterable[Message]]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A request on record: its client, its fields, the code it was refused with (0 if it was not), the fault it met (empty if none)."""

    at_ms: int
    client: int | None
    name: str
    fields: list[str]
    code: int = 0
    fault: str = ""


class Gateway:
    """The gateway. Every call says what time it is, in Unix milliseconds."""

    def __init__(self, state: State, now_ms: int) -> None:
        self.venue = Venue(state, now_ms)
        self.feed = Feed(self.venue)
        self.links = Links()
        self.requests: list[Recorded] = []
        self.summed_ms = now_ms

    def start(self, session: Session, client: int) -> list[Message]:
        """Takes a client's id, which nobody has, and tells what a client is told first."""
        session.id = client
        told: list[Message] = [self.accounts(), self.next_id(client)]
        return told + [messages.error(-1, code) for code in self.links.codes()]

    def accounts(self) -> Message:
        """The accounts that there are."""
        return ("15", "1", ",".join(self.venue.state.accounts))

    def next_id(self, client: int) -> Message:
        """The next order id that a client may use."""
        return ("9", "1", self.venue.state.next_order.get(client, 1))

    def answer(self, session: Session, fields: Sequence[str], now_ms: int) -> tuple[list[Message], int]:
        """Does what a client asks. What it is answered, and the code of a refusal (0 if it was none); what follows is in `drain`."""
        self.venue.at(now_ms)
        name, at = REQUESTS.get(fields[0], ("", 0))
        try:
            act = ACTS.get(name, _not_offered)
            answers, code = list(act(self, session, fields)), 0
        except Refusal as error:
            answers, code = [messages.error(id_of(fields, at), error.code, error.text)], error.code
        except (ValueError, IndexError):
            answers, code = [messages.error(id_of(fields, at), 320)], 320
        settle(self.venue)
        return answers, code

    def record(
        self, session: Session, fields: Sequence[str], now_ms: int, code: int, fault: str = ""
    ) -> None:
        """Puts a request on record."""
        name, _ = REQUESTS.get(fields[0], (fields[0], 0))
        self.requests.append(
            Recorded(at_ms=now_ms, client=session.id, name=name, fields=list(fields), code=code, fault=fault)
        )

    def tick(self, now_ms: int) -> None:
        """Lets the market move, and time pass."""
        self.venue.at(now_ms)
        move(self.venue)

    def drain(self) -> list[Out]:
        """What the venue has to say to clients; while the gateway has no connection to it, it waits."""
        return [] if self.links.venue_code else self.venue.drain()


def id_of(fields: Sequence[str], at: int) -> int:
    """The id of a request or an order, -1 if it has none."""
    try:
        return int(fields[at]) if at else -1
    except (ValueError, IndexError):
        return -1


def new_state(seed: int, now_ms: int, accounts: Iterable[str], deposit: Decimal) -> State:
    """A gateway with its contracts, and accounts with a deposit each in USD."""
    return State(
        seed=seed,
        next_number=now_ms
        // 1000
        % 2_000_000_000,  # permanent ids are below 2^31; a later gateway's are above
        contracts={contract.con_id: contract for contract in listed(now_ms)},
        accounts={name: Account(name=name, deposits=deposit, wallet=deposit) for name in accounts},
    )


def _not_offered(_: Gateway, __: Session, fields: Sequence[str]) -> Iterable[Message]:
    raise Refusal(321, f"Request {fields[0]} is not offered here")


def _place(gateway: Gateway, session: Session, fields: Sequence[str]) -> Iterable[Message]:
    gateway.links.check_venue()
    trading.place(gateway.venue, client_of(session), int(fields[1]), fields)
    return ()


def _cancel(gateway: Gateway, session: Session, fields: Sequence[str]) -> Iterable[Message]:
    gateway.links.check_venue()
    trading.cancel(gateway.venue, client_of(session), int(fields[2]))
    return ()


def _cancel_all(gateway: Gateway, _: Session, __: Sequence[str]) -> Iterable[Message]:
    gateway.links.check_venue()
    trading.cancel_all(gateway.venue)
    return ()


def client_of(session: Session) -> int:
    """The id of a client.

    Raises:
        Refusal: 504 if it has not said it.
    """
    if session.id is None:
        raise Refusal(504)
    return session.id


ACTS: dict[str, Act] = {
    "placeOrder": _place,
    "cancelOrder": _cancel,
    "reqGlobalCancel": _cancel_all,
    "reqIds": lambda g, s, _: [g.next_id(client_of(s))],
    "reqManagedAccts": lambda g, _, __: [g.accounts()],
    "reqCurrentTime": lambda g, _, __: [("49", "1", g.venue.now_ms // 1000)],
    "reqMarketDataType": lambda _, __, ___: (),
    "reqOpenOrders": lambda g, s, _: orders_read.open_orders(g.venue, client_of(s)),
    "reqAllOpenOrders": lambda g, _, __: orders_read.open_orders(g.venue, None),
    "reqAutoOpenOrders": lambda g, s, _: orders_read.open_orders(g.venue, client_of(s)),
    "reqExecutions": lambda g, _, f: orders_read.executions(g.venue, f),
    "reqContractDetails": lambda g, _, f: data_requests.contract_details(g.venue, f),
    "reqMatchingSymbols": lambda g, _, f: data_requests.matching_symbols(g.venue, f),
    "reqMktData": lambda g, s, f: data_requests.follow_top(g.venue, s, f),
    "cancelMktData": lambda _, s, f: data_requests.leave((s.tops, s.top_told), f[2]),
    "reqTickByTickData": lambda g, s, f: data_requests.follow_ticks(g.venue, s, f),
    "cancelTickByTickData": lambda _, s, f: data_requests.leave((s.ticks, s.tick_told), f[1]),
    "reqRealTimeBars": lambda g, s, f: data_requests.follow_bars(g.venue, s, f),
    "cancelRealTimeBars": lambda _, s, f: data_requests.leave((s.real_time,), f[2]),
    "reqHistoricalData": lambda g, s, f: data_requests.history(g.venue, g.feed, g.links, s, f),
    "cancelHistoricalData": lambda _, s, f: data_requests.leave((s.history,), f[2]),
    "reqPositions": lambda g, s, _: account_read.positions(g.venue, s),
    "cancelPositions": lambda _, s, __: account_read.leave_positions(s),
    "reqAccountSummary": lambda g, s, f: account_read.follow_summary(g.venue, s, f),
    "cancelAccountSummary": lambda _, s, f: data_requests.leave((s.summaries,), f[2]),
}
