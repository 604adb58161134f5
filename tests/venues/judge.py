"""What an exchange's ledger has beside what an engine said: a list of differences, in words. Pure.

Nothing of the product is imported: the judge would share its mistakes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

AVERAGE_WITHIN: Final = Decimal("0.0001")
"""How far an average price may be off: 0.01 %."""
_NONE: Final = Decimal()


class Trade(msgspec.Struct, frozen=True):
    """One execution, on either side. `qty` is signed: what was sold is negative."""

    id: str
    order: str
    qty: Decimal
    price: Decimal
    commission: Decimal


class Order(msgspec.Struct, frozen=True):
    """An order at the exchange. `id` is the client's; `sent_ns` by the exchange's clock."""

    id: str
    sent_ns: int
    is_open: bool = False


class Position(msgspec.Struct, frozen=True):
    """A net position: signed quantity, and the average price that it was opened at."""

    qty: Decimal = _NONE
    average: Decimal = _NONE


class Ledger(msgspec.Struct, frozen=True):
    """What an exchange has of one account in one instrument."""

    trades: tuple[Trade, ...]
    orders: tuple[Order, ...]
    position: Position = Position()


class Session(msgspec.Struct, frozen=True):
    """What one session of an engine said, in order: kind, moment, and what happened."""

    id: str
    began_ns: int
    events: tuple[tuple[str, int, Mapping[str, Any]], ...]

    def of(self, kind: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The events of one kind, with their moments."""
        return ((at, data) for each, at, data in self.events if each == kind)

    @property
    def trading_ns(self) -> int | None:
        """When it first traded; None if it did not."""
        return next((at for at, data in self.of("state") if data["state"] == "trading"), None)

    @property
    def orders_told_after_trading(self) -> set[str]:
        """The orders that it told of only once it had said that it trades."""
        orders = [(kind, data.get("state"), data.get("client_order_id")) for kind, _, data in self.events]
        first = next((at for at, each in enumerate(orders) if each[:2] == ("state", "trading")), len(orders))
        before, after = (
            {order for kind, _, order in part if kind == "order"} for part in (orders[:first], orders[first:])
        )
        return after - before

    @property
    def trades(self) -> list[Trade]:
        """The fills that it told of."""
        return [
            Trade(
                id=data["trade_id"],
                order=data["client_order_id"],
                qty=Decimal(data["last_qty"]) * (1 if data["side"] == "BUY" else -1),
                price=Decimal(data["last_px"]),
                commission=Decimal(data["commission"].partition(" ")[0]),
            )
            for _, data in self.of("fill")
        ]

    @property
    def position(self) -> Position:
        """What it said last of its positions, added up."""
        last = {data["position_id"]: data for _, data in self.of("position")}
        held = [(Decimal(each["signed_qty"]), Decimal(str(each["avg_px_open"]))) for each in last.values()]
        qty = sum((each for each, _ in held), _NONE)
        return Position(qty, sum((each * price for each, price in held), _NONE) / qty if qty else _NONE)


def of_trades(ledger: Ledger, sessions: Sequence[Session], *, by_hand: tuple[str, ...] = ()) -> list[str]:
    """Fills that were lost, invented, told twice by one session, or told with other figures.

    A later session may tell of a trade again: one that kept nothing reads all of them from the exchange. Orders whose ids begin with
    one of `by_hand` are somebody else's, and their trades need not be told.
    """
    there = {each.id: each for each in ledger.trades}
    told = {each.id: each for session in sessions for each in session.trades}
    lost = [each for name, each in there.items() if name not in told and not each.order.startswith(by_hand)]
    found = [f"fill {each.id} of {each.order} is LOST: no event has it" for each in lost]
    found += [
        f"fill {name} of {told[name].order} is INVENTED: the exchange has no such trade"
        for name in told.keys() - there.keys()
    ]
    for session in sessions:
        twice = [name for name, count in Counter(each.id for each in session.trades).items() if count > 1]
        found += [f"fill {name} is told TWICE by session {session.id}" for name in twice]
        found += [
            _other(there[each.id], each)
            for each in session.trades
            if each.id in there and each != there[each.id]
        ]
    return sorted(found)


def _other(there: Trade, told: Trade) -> str:
    differing = {
        name: (str(getattr(there, name)), str(getattr(told, name)))
        for name in Trade.__struct_fields__
        if getattr(there, name) != getattr(told, name)
    }
    return f"fill {there.id} is OTHER than told: {differing} (exchange, told)"


def of_position(ledger: Ledger, session: Session) -> list[str]:
    """What the session in the end holds, beside what the exchange has."""
    there, told = ledger.position, session.position
    if there.qty != told.qty:
        return [f"the position is {there.qty} at the exchange, {told.qty} by the engine's events"]
    if there.qty and abs(there.average - told.average) > AVERAGE_WITHIN * there.average:
        return [
            f"the average price is {there.average} at the exchange, {told.average} by the engine's events"
        ]
    return []


def of_orders(ledger: Ledger, sessions: Sequence[Session], *, by_hand: tuple[str, ...] = ()) -> list[str]:
    """Orders that are at the exchange twice, and those of which no event was ever said. `by_hand` as in `of_trades`."""
    counts = Counter(each.id for each in ledger.orders)
    told = {
        data["client_order_id"]
        for session in sessions
        for kind in ("order", "fill")
        for _, data in session.of(kind)
    }
    found = [f"order {name} is at the exchange {count} TIMES" for name, count in counts.items() if count > 1]
    found += [
        f"order {name} is at the exchange, and NO EVENT has it"
        for name in counts
        if name not in told and not name.startswith(by_hand)
    ]
    return sorted(found)


def of_start(ledger: Ledger, session: Session, *, until_ns: int) -> list[str]:
    """Orders that reached the exchange after the session began and before it said that engine and exchange agree.

    `until_ns`: when it was looked at, for a session that does not trade yet. The clocks are this machine's. What a session tells in one
    go has the moment of that, so an order that it tells of after it traded may be earlier by a little.
    """
    agreed = session.trading_ns or until_ns
    after = session.orders_told_after_trading
    blind = [
        each.id
        for each in ledger.orders
        if session.began_ns < each.sent_ns < agreed - (_IN_ONE_GO_NS if each.id in after else _CLOCK_NS)
    ]
    return [f"order {name} was sent BLIND: session {session.id} did not trade yet" for name in blind]


_IN_ONE_GO_NS: Final = 1_000_000_000
_CLOCK_NS: Final = 1_000_000
"""The exchange counts in milliseconds."""


class Ended(msgspec.Struct, frozen=True):
    """What was said of a stop: by which policy, how it ended, and what is named as not confirmed."""

    policy: str
    state: str
    is_flat: bool
    not_confirmed: tuple[str, ...]

    @property
    def is_success(self) -> bool:
        """True where nobody would look any further."""
        return self.state == "stopped" and not self.not_confirmed


def of_stop(ledger: Ledger, ended: Ended) -> list[str]:
    """A success that the ledger does not bear out."""
    found, still = [], [each.id for each in ledger.orders if each.is_open]
    if ended.is_flat and (still or (ended.policy == "flatten" and ledger.position.qty)):
        found.append(
            f"FALSE: said to be flat; the exchange has orders {still}, position {ledger.position.qty}"
        )
    if ended.is_success and ended.policy != "leave" and still:
        found.append(f"FALSE SUCCESS of {ended.policy}: orders {still} are open")
    if ended.is_success and ended.policy == "flatten" and ledger.position.qty:
        found.append(f"FALSE SUCCESS of flatten: the position is {ledger.position.qty}")
    return found


class Sample(msgspec.Struct, frozen=True):
    """One moment: what the fleet said of an engine, and the net quantity at the exchange and by the engine."""

    at_s: float
    state: str
    problems: tuple[str, ...]
    there: Decimal
    told: Decimal


UNNAMED_S: Final = 15.0
"""How long both sides may differ before that is said: 10 s as promised, and what a loaded machine adds."""


def of_states(samples: Sequence[Sample]) -> list[str]:
    """Stretches in which an engine was said to trade without a problem, while it and the exchange held different quantities."""
    found, since = [], None
    for each in samples:
        is_unsaid = each.state == "trading" and not each.problems and each.there != each.told
        if not is_unsaid:
            since = None
            continue
        # Has it learnt what was there when it began to differ, it is another order that is on its way.
        since = each if since is None or each.told == since.there else since
        if each.at_s - since.at_s > UNNAMED_S:
            found.append(
                f"said to trade from {since.at_s:.1f} to {each.at_s:.1f} s, with {each.there} at the exchange and {each.told} in the engine"
            )
            since = None
    return found
