"""What the matching engine does to orders: they trade, rest, and end, and money moves with each fill."""

from decimal import Decimal

from exchanges.core.book import Match
from exchanges.core.prices import to_step
from exchanges.interactive_brokers.core import money
from exchanges.interactive_brokers.core.errors import MESSAGES
from exchanges.interactive_brokers.core.state import ZERO, Contract, Fill, Order
from exchanges.interactive_brokers.core.venue import Venue, is_working

REDUCES = (2, 3)  # the kinds of an OCA group that lose what another has filled, and are not cancelled


def match(venue: Venue, order: Order) -> None:
    """Trades an order with what stands against it; what is left waits, or is cancelled if it may not wait."""
    if venue.conduct.hold_fills or not is_working(order) or venue.state.contracts[order.con_id].halted:
        venue.rest(order)
        return
    book = venue.books[order.con_id]
    book.remove(order.perm_id)
    if order.tif == "FOK" and book.available(order.side, order.limit) < order.left:
        close(venue, order)
        return
    for found in book.take(order.side, order.left, order.limit):
        _trade(venue, order, found)
    if order.is_open and order.tif in ("IOC", "FOK"):
        close(venue, order)
    elif order.is_open:
        venue.rest(order)


def _trade(venue: Venue, taker: Order, found: Match) -> None:
    maker = venue.state.orders.get(found.maker) if found.maker is not None else None
    for qty in _parts(venue, found.qty, venue.state.contracts[taker.con_id]):
        if not taker.is_open or (maker is not None and not maker.is_open):
            return
        venue.print(taker.con_id, found.price, qty)
        if maker is not None:
            fill(venue, maker, min(qty, maker.left), found.price, maker=True)
        if taker.is_open:  # the maker may have been of its own group
            fill(venue, taker, min(qty, taker.left), found.price, maker=False)


def _parts(venue: Venue, qty: Decimal, contract: Contract) -> list[Decimal]:
    piece = to_step(qty / max(1, venue.conduct.parts), contract.step)
    if piece <= 0 or piece >= qty:
        return [qty]
    pieces = [piece] * (venue.conduct.parts - 1)
    while pieces and sum(pieces, ZERO) >= qty:
        pieces.pop()
    return [*pieces, qty - sum(pieces, ZERO)]


def cross(venue: Venue, contract: Contract) -> None:
    """Fills the orders of a contract that the market's liquidity has reached, those at market too."""
    if venue.conduct.hold_fills or contract.halted:
        return
    for found in venue.books[contract.con_id].crossed():
        order = venue.state.orders[found.maker or 0]
        for qty in _parts(venue, found.qty, contract):
            if order.is_open:
                venue.print(contract.con_id, found.price, qty)
                fill(venue, order, min(qty, order.left), found.price, maker=True)
    for order in venue.open_orders(contract.con_id):
        if order.is_open and order.limit is None and is_working(order):
            match(venue, order)


def fill(venue: Venue, order: Order, qty: Decimal, price: Decimal, *, maker: bool) -> Fill:
    """Fills part or all of an order, whatever the book says: order, position, wallet and ledger change together."""
    contract, account = venue.state.contracts[order.con_id], venue.state.accounts[order.account]
    fee = money.fee(order, contract, qty, price)
    realized = money.book_fill(account.position(contract.con_id), contract, qty * order.side.sign, price)
    account.wallet += realized - fee
    order.filled, order.paid, order.last = order.filled + qty, order.paid + qty * price, price
    order.fees += fee
    order.triggered = True
    done = order.filled >= order.qty
    order.status = "Filled" if done else "Submitted"
    made = Fill(
        number=venue.next_number(),
        perm_id=order.perm_id,
        order_id=order.id,
        client=order.client,
        account=order.account,
        con_id=order.con_id,
        side=order.side,
        qty=qty,
        price=price,
        fee=fee,
        realized=realized,
        total=order.filled,
        average=order.average,
        ref=order.ref,
        maker=maker,
        time_ms=venue.now_ms,
    )
    venue.state.fills.append(made)
    if done:
        venue.ended(order)
    else:
        venue.rest(order)
    venue.tell_fill(made, order)
    _follow(venue, order, qty)
    return made


def _follow(venue: Venue, order: Order, qty: Decimal) -> None:
    """What a fill does to the others: of its group they end or shrink, its children go to work when it is filled."""
    for other in venue.open_orders():
        if other is order or not other.is_open or other.account != order.account:
            continue
        if order.oca_group and order.oca_group == other.oca_group:
            _end_or_shrink(venue, other, qty, reduces=other.oca_type in REDUCES)
        elif order.parent and (order.client, order.parent) == (other.client, other.parent):
            _end_or_shrink(venue, other, qty, reduces=True)
    if order.status == "Filled":
        _release(venue, order)


def _release(venue: Venue, order: Order) -> None:
    """Lets those that waited for an order go to work."""
    for child in children(venue, order):
        child.held = False
        child.status = "Submitted" if child.type in ("MKT", "LMT") else "PreSubmitted"
        venue.tell_order(child)
        match(venue, child)


def _end_or_shrink(venue: Venue, other: Order, qty: Decimal, *, reduces: bool) -> None:
    if not reduces or other.left <= qty:
        close(venue, other)
        return
    other.qty -= qty
    venue.rest(other)
    venue.tell_order(other)


def children(venue: Venue, order: Order) -> list[Order]:
    """The open orders that wait for an order."""
    asked = (order.client, order.id)
    return [other for other in venue.open_orders() if other.held and (other.client, other.parent) == asked]


def close(venue: Venue, order: Order) -> None:
    """Cancels an order, and those that wait for it."""
    if not order.is_open:
        return
    order.status = "Cancelled"
    venue.ended(order)
    venue.tell_status(order)
    venue.tell_error(order, 202, MESSAGES[202].format(""))
    if order.filled:
        _release(venue, order)
    for child in children(venue, order):
        close(venue, child)
    if venue.conduct.fill_after_cancel > 0:
        venue.conduct.fill_after_cancel -= 1
        fill(venue, order, order.left, order.limit or venue.last[order.con_id], maker=True)
