"""What accounts ask of the matching engine: orders placed, amended, cancelled, and refused if rules or means do not allow them."""

from decimal import Decimal

from exchanges.binance.core import matching, money, rules
from exchanges.binance.core import params as read
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.params import Params
from exchanges.binance.core.rules import Asked
from exchanges.binance.core.state import ZERO, Account, Algo, Order, Symbol
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Side

MAX_OPEN = 200


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
        matching.match(venue, order)
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
    if (held + opening) * price > money.most_notional(leverage):
        raise VenueError(-2027)
    if opening * price / leverage > money.free_margin(account, venue.open_orders(account), venue.marks()):
        raise VenueError(-2019)


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


def cancel(venue: Venue, order: Order) -> Order:
    """Cancels an order.

    Raises:
        VenueError: -2011 if it is not open.
    """
    if not order.is_open:
        raise VenueError(-2011)
    matching.close(venue, order, "CANCELED")
    if venue.conduct.fill_after_cancel > 0:
        venue.conduct.fill_after_cancel -= 1
        matching.fill(venue, order, order.left, order.price or venue.last[order.symbol], maker=True)
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
        matching.match(venue, order)
    return order


def _check_amended(venue: Venue, order: Order, qty: Decimal, price: Decimal) -> None:
    account = venue.state.accounts[order.account]
    free = money.free_margin(account, venue.open_orders(account), venue.marks())
    more = ((qty - order.filled) * price - order.left * order.price) / money.leverage(account, order.symbol)
    if not order.reduce_only and more > free:
        raise VenueError(-2019)
