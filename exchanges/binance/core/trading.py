"""Orders of the matching engine: placed, matched, amended, cancelled. What happens to each is reported as it happens."""

from decimal import Decimal

from exchanges.binance.core import money, rules
from exchanges.binance.core import params as read
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.params import Params
from exchanges.binance.core.rules import Asked
from exchanges.binance.core.state import ZERO, Account, Algo, Order, Position, Symbol, Trade
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Match, Side
from exchanges.core.prices import to_step

MAX_OPEN = 200
# The notional a position may have at a leverage, the highest leverage first.
BRACKETS = (
    (125, Decimal(300_000)),
    (100, Decimal(2_000_000)),
    (50, Decimal(10_000_000)),
    (20, Decimal(50_000_000)),
)


def place(venue: Venue, account: Account, params: Params) -> Order:
    """Takes an order, and matches it.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    symbol = venue.symbol(params)
    check_status(symbol)
    asked = rules.read_order(params, symbol, account, venue.now_ms)
    check_client_id(venue, account, asked.client_id)
    return enter(venue, account, asked)


def check_status(symbol: Symbol) -> None:
    """Raises: VenueError: if the symbol is not traded now."""
    if symbol.status != "TRADING":
        raise VenueError(-4141 if symbol.status == "CLOSE" else -4140)


def check_client_id(venue: Venue, account: Account, client_id: str) -> None:
    """Raises: VenueError: if an open order of the account has that id."""
    taken = [o.client_id for o in venue.open_orders(account)] + [
        a.client_id for a in venue.open_algos(account)
    ]
    if client_id and client_id in taken:
        raise VenueError(-4116)


def enter(venue: Venue, account: Account, asked: Asked, algo: Algo | None = None) -> Order:
    """Takes an order in good form, of an account or of its conditional order, and matches it.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    book = venue.books[asked.symbol.name]
    _fit_to_position(account, asked)
    best = book.best(asked.side.other)
    reference = best[0] if best else venue.last[asked.symbol.name]
    rules.check_market_rules(asked, reference, venue.mark(asked.symbol.name))
    crosses = best is not None and bool(asked.price) and asked.side.reaches(asked.price, best[0])
    if asked.tif == "GTX" and crosses:
        raise VenueError(-5022)
    if asked.tif == "FOK" and book.available(asked.side, asked.price or None) < asked.qty:
        raise VenueError(-5021)
    check_means(venue, account, asked, reference)
    order = _new_order(venue, account, asked, algo)
    venue.tell_order(order, "NEW")
    if algo is not None:
        algo.status, algo.order_id, algo.qty, algo.triggered_ms = (
            "TRIGGERED",
            order.id,
            order.qty,
            venue.now_ms,
        )
        venue.tell_algo(algo, order)
    if not venue.conduct.hold_fills:
        match(venue, order)
    elif order.price:
        venue.rest(order)
    return order


def _fit_to_position(account: Account, asked: Asked) -> None:
    """A reduce-only order is cut to what it can reduce; in hedge mode a closing one may not be larger."""
    position = account.position(asked.symbol.name, asked.position_side)
    reducible = money.reducible(position, asked.side.sign)
    opens = asked.side is (Side.BUY if asked.position_side == "LONG" else Side.SELL)
    if asked.close_position:
        asked.qty, asked.reduce_only = reducible, True
    if asked.reduce_only:
        if not reducible:
            raise VenueError(-2022)
        asked.qty = min(asked.qty, reducible)
    elif account.hedge and not opens and asked.qty > reducible:
        raise VenueError(-2022)


def check_means(venue: Venue, account: Account, asked: Asked, reference: Decimal) -> None:
    """Raises: VenueError: if margin, position limit or number of orders do not allow the order."""
    name, price = asked.symbol.name, asked.price or reference
    position = account.position(name, asked.position_side)
    if len(venue.open_orders(account, name)) >= MAX_OPEN:
        raise VenueError(-2025)
    opening = ZERO if asked.reduce_only else money.opening_qty(position, asked.side.sign, asked.qty)
    if not opening:
        return
    leverage = money.leverage(account, name)
    held = abs(position.amount) if position.amount * asked.side.sign > 0 else ZERO
    if (held + opening) * price > most_notional(leverage):
        raise VenueError(-2027)
    if opening * price / leverage > money.free_margin(account, venue.open_orders(account), venue.marks()):
        raise VenueError(-2019)


def most_notional(leverage: int) -> Decimal:
    """The notional a position may have at a leverage."""
    return max(most for highest, most in BRACKETS if highest >= leverage)


def _new_order(venue: Venue, account: Account, asked: Asked, algo: Algo | None) -> Order:
    order_id = venue.next_id()
    order = Order(
        id=order_id,
        account=account.name,
        client_id=asked.client_id or f"web_{order_id}",
        symbol=asked.symbol.name,
        side=asked.side,
        type=asked.type,
        orig_type=algo.type if algo else asked.type,
        tif=asked.tif,
        qty=asked.qty,
        price=asked.price,
        time_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        turn=order_id,
        reduce_only=asked.reduce_only,
        close_position=asked.close_position,
        position_side=asked.position_side,
        working_type=asked.working_type,
        good_till_ms=asked.good_till_ms,
        stop_price=algo.trigger if algo else ZERO,
        algo_id=algo.id if algo else 0,
    )
    venue.state.orders[order_id] = order
    return order


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
        venue.print(taker.symbol, found.price, qty, taker.side)
        if maker is not None:
            fill(venue, maker, qty, found.price, maker=True)
        if taker.is_open:  # the maker may have been its own, and have closed what it was to reduce
            fill(venue, taker, qty, found.price, maker=False)


def parts(qty: Decimal, count: int, step: Decimal) -> list[Decimal]:
    """`qty` in up to `count` pieces, each a multiple of `step`."""
    piece = to_step(qty / max(1, count), step)
    if piece <= 0 or piece >= qty:
        return [qty]
    pieces = [piece] * (count - 1)
    while pieces and sum(pieces, ZERO) >= qty:
        pieces.pop()
    return [*pieces, qty - sum(pieces, ZERO)]


def cross(venue: Venue, name: str) -> None:
    """Fills the resting orders that the market's liquidity has reached."""
    if venue.conduct.hold_fills:
        return
    for found in venue.books[name].crossed():
        order = venue.state.orders[found.maker or 0]
        for qty in parts(found.qty, venue.conduct.parts, venue.state.symbols[name].step):
            if order.is_open:
                venue.print(name, found.price, qty, order.side.other)
                fill(venue, order, qty, found.price, maker=True)


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


def cancel(venue: Venue, order: Order) -> Order:
    """Cancels an order.

    Raises:
        VenueError: -2011 if it is not open.
    """
    if not order.is_open:
        raise VenueError(-2011)
    close(venue, order, "CANCELED")
    if venue.conduct.fill_after_cancel > 0:
        venue.conduct.fill_after_cancel -= 1
        fill(venue, order, order.left, order.price or venue.last[order.symbol], maker=True)
    return order


def amend(venue: Venue, order: Order, params: Params) -> Order:
    """Changes price and quantity of a limit order. It keeps its turn only if it gets smaller at the same price.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    symbol = venue.state.symbols[order.symbol]
    qty, price = rules.quantity(params, symbol), rules.limit_price(params, symbol)
    if not order.is_open:
        raise VenueError(-2013)
    if order.type != "LIMIT" or read.side(params) is not order.side:
        raise VenueError(-1128)
    if (qty, price) == (order.qty, order.price):
        raise VenueError(-5027)
    best = venue.books[order.symbol].best(order.side.other)
    takes = best is not None and order.side.reaches(price, best[0])
    if qty <= order.filled or (order.tif == "GTX" and takes):
        return cancel(venue, order)
    _check_amended(venue, order, qty, price)
    if price != order.price or qty > order.qty:
        order.turn = venue.next_id()
    order.qty, order.price = qty, price
    venue.tell_order(order, "AMENDMENT")
    if venue.conduct.hold_fills:
        venue.rest(order)
    else:
        match(venue, order)
    return order


def _check_amended(venue: Venue, order: Order, qty: Decimal, price: Decimal) -> None:
    account = venue.state.accounts[order.account]
    free = money.free_margin(account, venue.open_orders(account), venue.marks())
    more = ((qty - order.filled) * price - order.left * order.price) / money.leverage(account, order.symbol)
    if not order.reduce_only and more > free:
        raise VenueError(-2019)
