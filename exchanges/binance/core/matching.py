"""What the matching engine does to orders: they trade, rest, and end, and money moves with each fill."""

from decimal import Decimal

from exchanges.binance.core import money
from exchanges.binance.core.state import Account, Order, Position, Trade
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Match
from exchanges.core.prices import parts


def match(venue: Venue, order: Order) -> None:
    """Trades an order with what stands against it; what is left waits, or expires if it may not wait."""
    book = venue.books[order.symbol]
    book.remove(order.id)
    for found in book.take(order.side, order.left, order.price or None):
        _trade(venue, order, found)
    if order.is_open and (order.type == "MARKET" or order.tif in ("IOC", "FOK")):
        close(venue, order, "EXPIRED")
    elif order.is_open:
        venue.rest(order)


def _trade(venue: Venue, taker: Order, found: Match) -> None:
    maker = venue.state.orders.get(found.maker) if found.maker is not None else None
    for qty in parts(found.qty, venue.conduct.parts, venue.state.symbols[taker.symbol].step):
        if not taker.is_open or (maker is not None and not maker.is_open):
            return
        # A fill before this one may have cut either, if it only reduces.
        taken = min(qty, taker.left, maker.left if maker is not None else qty)
        venue.print(taker.symbol, found.price, taken, taker.side)
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
        for qty in parts(found.qty, venue.conduct.parts, venue.state.symbols[name].step):
            if order.is_open:
                taken = min(qty, order.left)  # a fill before this one may have cut it, if it only reduces
                venue.print(name, found.price, taken, order.side.other)
                fill(venue, order, taken, found.price, maker=True)


def fill(
    venue: Venue, order: Order, qty: Decimal, price: Decimal, *, maker: bool, execution: str = "TRADE"
) -> Trade:
    """Fills part or all of an order, whatever the book says: order, position, wallet and ledger change together."""
    account = venue.state.accounts[order.account]
    position = account.position(order.symbol, order.position_side)
    order.filled += qty
    order.cost += qty * price
    order.status = "FILLED" if order.filled >= order.qty else "PARTIALLY_FILLED"
    realized = money.book_fill(position, qty * order.side.sign, price, venue.now_ms)
    fee = money.fee(qty, price, maker=maker)
    account.wallet += realized - fee
    trade = Trade(
        id=venue.next_id(),
        order_id=order.id,
        account=account.name,
        symbol=order.symbol,
        side=order.side,
        position_side=order.position_side,
        price=price,
        qty=qty,
        fee=fee,
        realized=realized,
        maker=maker,
        time_ms=venue.now_ms,
    )
    venue.state.trades.append(trade)
    venue.tell_order(order, execution, trade)
    venue.tell_account(account, "ORDER", order.symbol)
    if order.is_open and order.price:
        venue.rest(order)
    else:
        venue.books[order.symbol].remove(order.id)
    _drop_reduce_only(venue, account, position)
    return trade


def _drop_reduce_only(venue: Venue, account: Account, position: Position) -> None:
    """Reduce-only orders that have nothing left to reduce expire; those for too much are cut."""
    for order in venue.open_orders(account, position.symbol):
        if not order.reduce_only or order.position_side != position.side:
            continue
        reducible = money.reducible(position, order.side.sign)
        if not reducible:
            close(venue, order, "EXPIRED")
        elif order.left > reducible:
            order.qty = order.filled + reducible
            if order.price:
                venue.rest(order)


def close(venue: Venue, order: Order, status: str) -> None:
    """Ends an order as CANCELED or EXPIRED."""
    venue.books[order.symbol].remove(order.id)
    order.status = status
    venue.tell_order(order, status)
