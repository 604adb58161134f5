"""What the matching engine does to orders: they trade, rest, and end, and money moves with each fill."""

from decimal import Decimal

from exchanges.core.book import Match
from exchanges.core.prices import parts
from exchanges.okx.core import money
from exchanges.okx.core.state import Account, Order, Position, Trade
from exchanges.okx.core.venue import Venue

# Why the venue cancelled an order, by its numbers.
BY_USER, FOK, IOC, NOTHING_TO_REDUCE, POST_ONLY, BY_RISK, DELISTED = "1", "13", "14", "23", "31", "3", "7"


def match(venue: Venue, order: Order) -> None:
    """Trades an order with what stands against it; what is left waits, or is cancelled if it may not wait."""
    book = venue.books[order.instrument]
    book.remove(order.id)
    for found in book.take(order.side, order.left, order.price or None):
        _trade(venue, order, found)
    if order.is_open and order.type in ("market", "ioc", "fok"):
        close(venue, order, IOC)
    elif order.is_open:
        venue.rest(order)


def _trade(venue: Venue, taker: Order, found: Match) -> None:
    maker = venue.state.orders.get(found.maker) if found.maker is not None else None
    for qty in parts(found.qty, venue.conduct.parts, venue.state.instruments[taker.instrument].step):
        if not taker.is_open or (maker is not None and not maker.is_open):
            return
        # A fill before this one may have cut either, if it only reduces.
        taken = min(qty, taker.left, maker.left if maker is not None else qty)
        venue.print(taker.instrument, found.price, taken, taker.side)
        if maker is not None:
            fill(venue, maker, taken, found.price, maker=True)
        if taker.is_open:  # the maker may have been its own, and have closed what it was to reduce
            fill(venue, taker, min(taken, taker.left), found.price, maker=False)


def cross(venue: Venue, name: str) -> None:
    """Fills the resting orders that the market's liquidity has reached."""
    if venue.conduct.hold_fills:
        return
    for found in venue.books[name].crossed():
        order = venue.state.orders[found.maker or 0]
        for qty in parts(found.qty, venue.conduct.parts, venue.state.instruments[name].step):
            if order.is_open:
                taken = min(qty, order.left)  # a fill before this one may have cut it, if it only reduces
                venue.print(name, found.price, taken, order.side.other)
                fill(venue, order, taken, found.price, maker=True)


def fill(venue: Venue, order: Order, qty: Decimal, price: Decimal, *, maker: bool) -> Trade:
    """Fills part or all of an order, whatever the book says: order, position, wallet and ledger change together."""
    account = venue.state.accounts[order.account]
    position = venue.position(account, order.instrument)
    contract = venue.state.instruments[order.instrument].contract
    realized = money.book_fill(position, qty * order.side.sign, price, contract, venue.now_ms)
    fee = money.fee(qty, price, contract, maker=maker)
    trade = Trade(
        id=venue.next_id(),
        order_id=order.id,
        account=account.name,
        instrument=order.instrument,
        side=order.side,
        price=price,
        qty=qty,
        fee=fee,
        realized=realized,
        maker=maker,
        time_ms=venue.now_ms,
    )
    order.filled += qty
    order.cost += qty * price
    order.status = "filled" if order.filled >= order.qty else "partially_filled"
    order.fee += fee
    order.realized += realized
    order.last_trade = position.trade_id = trade.id
    position.fee += fee
    account.wallet += realized - fee
    venue.state.trades[trade.id] = trade
    venue.tell_order(order, trade)
    venue.tell_account(account, position)
    if order.is_open and order.price:
        venue.rest(order)
    else:
        venue.books[order.instrument].remove(order.id)
    _drop_reduce_only(venue, account, position)
    return trade


def _drop_reduce_only(venue: Venue, account: Account, position: Position) -> None:
    """Reduce-only orders that have nothing left to reduce are cancelled; those for too much are cut."""
    for order in venue.open_orders(account, position.instrument):
        if not order.reduce_only:
            continue
        reducible = money.reducible(position, order.side.sign)
        if not reducible:
            close(venue, order, NOTHING_TO_REDUCE)
        elif order.left > reducible:
            order.qty = order.filled + reducible
            venue.tell_order(order)
            if order.price:
                venue.rest(order)


def close(venue: Venue, order: Order, source: str) -> None:
    """Cancels an order; `source` says why."""
    venue.books[order.instrument].remove(order.id)
    order.status, order.cancel_source = "canceled", source
    venue.tell_order(order)
