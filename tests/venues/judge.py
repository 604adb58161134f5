"""What an exchange's ledger has beside what an engine said: a list of differences, in words. Pure.

Nothing of the product is imported: the judge would share its mistakes.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
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

    @property
    def held(self) -> tuple[Decimal, ...]:
        """The net quantities that there ever were, in order."""
        return tuple(accumulate((each.qty for each in self.trades), initial=_NONE))


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
    one of `by_hand` are somebody else's: their trades need not be told, and may be told by another id, as they may have none of a client.
    """
    there = {each.id: each for each in ledger.trades}
    own = {each.id for each in ledger.orders if not each.id.startswith(by_hand)}
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
            _other(there[each.id], each, differing)
            for each in session.trades
            if each.id in there and (differing := _differing(there[each.id], each, own, by_hand))
        ]
    return sorted(found)


def _differing(there: Trade, told: Trade, own: Collection[str], by_hand: tuple[str, ...]) -> list[str]:
    found = [name for name in Trade.__struct_fields__ if getattr(there, name) != getattr(told, name)]
    is_others = there.order.startswith(by_hand) and told.order not in own
    return [name for name in found if name != "order" or not is_others]


def _other(there: Trade, told: Trade, names: Sequence[str]) -> str:
    differing = {name: (str(getattr(there, name)), str(getattr(told, name))) for name in names}
    return f"fill {there.id} is OTHER than told: {differing} (exchange, told)"


class Acceptance(msgspec.Struct, frozen=True):
    """What a person took as it is, in one instrument, by the words that they read: how much more the exchange holds than the engine, the
    orders that are open there and not in the engine, and how many things more were only counted."""

    gap: Decimal = _NONE
    orders: frozenset[str] = frozenset()
    more: int = 0


NOTHING: Final = Acceptance()
_POSITION: Final = re.compile(r"position of (\S+) is (\S+) at the venue, (\S+) in the engine")
_ORDER: Final = re.compile(r"order (\S+) of (\S+) is open at the venue \(filled (\S+)\)")
_MORE: Final = re.compile(r"\band (\d+) more$")


def acceptance(texts: Sequence[str], instrument: str) -> Acceptance:
    """What all of these texts came to; of the position the last word counts, which need not be in each."""
    gaps = [
        Decimal(there) - Decimal(told)
        for each in texts
        for name, there, told in _POSITION.findall(each)
        if name == instrument
    ]
    return Acceptance(
        gap=gaps[-1] if gaps else _NONE,
        orders=frozenset(
            order for each in texts for order, name, _ in _ORDER.findall(each) if name == instrument
        ),
        more=sum(int(count) for each in texts for count in _MORE.findall(each)),
    )


def of_named(ledger: Ledger, instrument: str, texts: Sequence[str]) -> list[str]:
    """What was said of the exchange where it was said to differ, and never was so."""
    filled: dict[str, Decimal] = {each.id: _NONE for each in ledger.orders}
    for trade in ledger.trades:
        filled[trade.order] = filled.get(trade.order, _NONE) + abs(trade.qty)
    found = [
        f"FALSE: the position was said to be {there} at the exchange, where it never was"
        for each in texts
        for name, there, _ in _POSITION.findall(each)
        if name == instrument and Decimal(there) not in ledger.held
    ]
    found += [
        f"FALSE: order {order} was said to be open at the exchange, filled {qty}; it never was so"
        for each in texts
        for order, name, qty in _ORDER.findall(each)
        if name == instrument and filled.get(order, -1) < Decimal(qty)
    ]
    return sorted(set(found))


def of_position(ledger: Ledger, session: Session, accepted: Acceptance = NOTHING) -> list[str]:
    """What the session in the end holds, beside what the exchange has: apart by as much as was accepted, or not at all.

    The average price is not compared where a part of it was accepted, which the engine does not have.
    """
    there, told = ledger.position, session.position
    if there.qty - told.qty not in (_NONE, accepted.gap):
        but = f", and {accepted.gap} more at the exchange was accepted" if accepted.gap else ""
        return [f"the position is {there.qty} at the exchange, {told.qty} by the engine's events{but}"]
    is_off = abs(there.average - told.average) > AVERAGE_WITHIN * there.average
    if there.qty and not accepted.gap and is_off:
        return [
            f"the average price is {there.average} at the exchange, {told.average} by the engine's events"
        ]
    return []


def of_orders(
    ledger: Ledger,
    sessions: Sequence[Session],
    accepted: Acceptance = NOTHING,
    *,
    by_hand: tuple[str, ...] = (),
) -> list[str]:
    """Orders that are at the exchange twice, of which no event was ever said, or that are open and by the last word on them are not,
    unless a person accepted that. `by_hand` as in `of_trades`.
    """
    counts = Counter(each.id for each in ledger.orders)
    told = {
        data["client_order_id"]: data.get("status", "")
        for session in sessions
        for kind in ("fill", "order")
        for _, data in session.of(kind)
    }
    found = [f"order {name} is at the exchange {count} TIMES" for name, count in counts.items() if count > 1]
    found += [
        f"order {name} is at the exchange, and NO EVENT has it"
        for name in counts
        if name not in told and not name.startswith(by_hand)
    ]
    ended = [each.id for each in ledger.orders if each.is_open and told.get(each.id) in _ENDED]
    unnamed = [each for each in ended if each not in accepted.orders]
    # What a long list only counts may be any of them.
    found += [
        f"order {name} is open at the exchange, and said to be {told[name]}"
        for name in unnamed[accepted.more :]
    ]
    return sorted(found)


_ENDED: Final = ("REJECTED", "CANCELED", "EXPIRED", "FILLED", "DENIED")


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
    """One moment: what the fleet said of an engine, the net quantities that there were at the exchange since the sample before, the last of
    them the present one, and what the engine had."""

    at_s: float
    state: str
    problems: tuple[str, ...]
    there: tuple[Decimal, ...]
    told: Decimal


UNNAMED_S: Final = 15.0
"""How long a change may be unknown to an engine before that is said: 10 s as promised, and what a loaded machine adds."""


def of_states(samples: Sequence[Sample]) -> list[str]:
    """Stretches in which an engine was said to trade without a problem, and did not know of a change at the exchange that old.

    It may be behind all the time, each order learnt of late with the next one on its way: so it is looked for how far it has come.
    """
    known, said_s, found = _Known(), float("-inf"), []
    for each in samples:
        behind_s = known.behind_since(each)
        if each.state != "trading" or each.problems:
            said_s = each.at_s
        since_s = max(behind_s, said_s)
        if each.at_s - since_s > UNNAMED_S:
            found.append(
                f"said to trade from {since_s:.1f} to {each.at_s:.1f} s, with {known.there} at the exchange and {each.told} in the engine"
            )
            said_s = each.at_s
    return found


def of_mismatch(sessions: Sequence[Session], since_ns: int) -> list[str]:
    """That somebody else's doing at that moment was not said to be a mismatch in time. The moments are those of the events."""
    said = [at for each in sessions for at, data in each.of("state") if data["state"] == "mismatch"]
    first_s = min(((at - since_ns) / 1e9 for at in said if at >= since_ns), default=None)
    if first_s is not None and first_s <= UNNAMED_S:
        return []
    when = "never said mismatch" if first_s is None else f"said mismatch after {first_s:.1f} s"
    return [f"somebody else changed the account, and it {when}"]


class _Known:
    """How much of what there was at the exchange an engine has learnt."""

    def __init__(self) -> None:
        self._there: list[tuple[Decimal, float]] = []
        self._upto = 0
        self._astray_s: float | None = None

    @property
    def there(self) -> Decimal:
        """What the exchange has now."""
        return self._there[-1][0] if self._there else _NONE

    def behind_since(self, sample: Sample) -> float:
        """Since when there is something that it does not know of; the sample's own moment where there is nothing."""
        self._there += [(qty, sample.at_s) for qty in sample.there]
        if sample.told == self.there:
            self._upto, self._astray_s = len(self._there) - 1, None
            return sample.at_s
        if sample.told != self._there[self._upto][0]:
            later = [at for at in range(self._upto, len(self._there)) if self._there[at][0] == sample.told]
            if not later:  # it has what never was
                self._astray_s = sample.at_s if self._astray_s is None else self._astray_s
                return min(self._astray_s, self._next_s(sample))
            self._upto = later[-1]
        self._astray_s = None
        return self._next_s(sample)

    def _next_s(self, sample: Sample) -> float:
        after = self._upto + 1
        return self._there[after][1] if after < len(self._there) else sample.at_s
