"""What time and the market do to orders that wait: stops and touched ones go to work, trailing ones follow, days end."""

from decimal import Decimal

from exchanges.core.book import Side
from exchanges.core.prices import to_step
from exchanges.interactive_brokers.core.asked import good_till_ms
from exchanges.interactive_brokers.core.matching import close, cross, match
from exchanges.interactive_brokers.core.state import ZERO, Contract, Order
from exchanges.interactive_brokers.core.venue import Touch, Venue

DAY_MS = 86_400_000


def move(venue: Venue) -> None:
    """Lets the market move, and what follows from it."""
    for contract in venue.state.contracts.values():
        if contract.con_id not in venue.pinned:
            _walk(venue, contract)
    settle(venue)


def settle(venue: Venue) -> None:
    """What follows where the market stands now: orders end with their time, go to work, and fill."""
    _expire(venue)
    for contract in venue.state.contracts.values():
        cross(venue, contract)
        if not contract.halted:
            _trigger(venue, contract)


def _walk(venue: Venue, contract: Contract) -> None:
    """A step of the price path, with a trade where it moved."""
    before = venue.touch(contract.con_id)
    venue.follow(contract)
    now = venue.touch(contract.con_id)
    if now.bid != before.bid and contract.kind != "CASH" and not contract.halted:
        venue.print(contract.con_id, now.ask if now.bid > before.bid else now.bid, contract.step)


def _trigger(venue: Venue, contract: Contract) -> None:
    touch = venue.touch(contract.con_id)
    for order in venue.open_orders(contract.con_id):
        if order.status != "PreSubmitted" or order.held or not order.is_open:
            continue
        if order.type.startswith("TRAIL"):
            _trail(venue, order, touch)
        if reached(order, touch):
            order.triggered, order.status = True, "Submitted"
            if order.type == "TRAIL LIMIT" and order.trail_stop is not None:
                order.limit = order.trail_stop + order.side.sign * (order.limit_offset or ZERO)
            venue.tell_order(order)
            match(venue, order)


def reached(order: Order, touch: Touch) -> bool:
    """Whether the market is where an order waits for it: to buy at the ask, to sell at the bid."""
    stop = order.trail_stop if order.type.startswith("TRAIL") else order.aux
    price = touch.ask if order.side is Side.BUY else touch.bid
    if stop is None:
        return False
    beyond = order.side.sign * (price - stop)
    return beyond <= 0 if order.type in ("MIT", "LIT") else beyond >= 0


def first_stop(venue: Venue, order: Order) -> Decimal:
    """Where the stop of a trailing order stands at the beginning."""
    return _behind(venue, order, venue.touch(order.con_id))


def _trail(venue: Venue, order: Order, touch: Touch) -> None:
    new = _behind(venue, order, touch)
    if order.trail_stop is None or order.side.sign * (new - order.trail_stop) < 0:
        order.trail_stop = new


def _behind(venue: Venue, order: Order, touch: Touch) -> Decimal:
    """The stop that a trailing order has of a market that turns here."""
    price = touch.ask if order.side is Side.BUY else touch.bid
    away = price * order.trail_percent / 100 if order.trail_percent else order.aux or ZERO
    return to_step(price + order.side.sign * away, venue.state.contracts[order.con_id].tick)


def _expire(venue: Venue) -> None:
    for order in venue.open_orders():
        ends_ms = _ends_ms(order)
        if ends_ms is not None and venue.now_ms >= ends_ms:
            close(venue, order)


def _ends_ms(order: Order) -> int | None:
    """When an order ends by itself: of the day at midnight UTC, of a date then."""
    if order.tif == "DAY":
        return (order.time_ms // DAY_MS + 1) * DAY_MS
    return good_till_ms(order.good_till) if order.tif == "GTD" else None


def today_ms(now_ms: int) -> int:
    """The beginning of the venue's day, UTC."""
    return now_ms // DAY_MS * DAY_MS
