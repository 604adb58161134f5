"""Orders: taken, amended, cancelled."""

from decimal import Decimal

import msgspec

from exchanges.core.book import Side
from exchanges.okx.core import matching, money, read
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import ZERO, Account, Algo, Instrument, Order
from exchanges.okx.core.venue import Params, Venue

TYPES = ("market", "limit", "post_only", "ioc", "fok")
BAND = Decimal("0.1")  # how far from the mark a limit price may be on the wrong side
_HALTED = {"suspend": 51155, "settling": 51030, "expired": 51027}


class Asked(msgspec.Struct, kw_only=True):
    """An order in good form, before it is one."""

    instrument: Instrument
    side: Side
    type: str
    qty: Decimal
    price: Decimal
    mode: str
    client_id: str = ""
    tag: str = ""
    reduce_only: bool = False


def place(venue: Venue, account: Account, params: Params) -> Order:
    """Takes an order, and matches it.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    instrument = venue.instrument(params)
    check_status(instrument)
    kind = str(params.get("ordType", ""))
    if kind not in TYPES:
        raise VenueError(51000, "ordType")
    market = kind == "market"
    most = instrument.max_market if market else instrument.max_limit
    asked = Asked(
        instrument=instrument,
        side=read.side(params),
        type=kind,
        qty=read.quantity(params, "sz", instrument, most),
        price=ZERO if market else read.price(params, "px", instrument),
        mode=read.mode(params),
        client_id=read.client_id(params),
        tag=str(params.get("tag", "")),
        reduce_only=read.flag(params, "reduceOnly"),
    )
    if not market and not asked.price:
        raise VenueError(51000, "px")
    check_client_id(venue, account, asked.client_id)
    return enter(venue, account, asked)


def check_status(instrument: Instrument) -> None:
    """Raises: VenueError: if the instrument is not traded now."""
    if instrument.status != "live":
        raise VenueError(_HALTED[instrument.status])


def check_client_id(venue: Venue, account: Account, client_id: str) -> None:
    """Raises: VenueError: 51016 if an open order of the account has that id."""
    taken = [o.client_id for o in venue.open_orders(account)] + [
        a.client_id for a in venue.open_algos(account)
    ]
    if client_id and client_id in taken:
        raise VenueError(51016)


def enter(venue: Venue, account: Account, asked: Asked, algo: Algo | None = None) -> Order:
    """Takes an order in good form, of an account or of its conditional order, and matches it.

    A post-only order that would take, or a fill-or-kill one that would not be filled whole, is taken and cancelled: so does the venue.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    name = asked.instrument.name
    _fit_to_position(account, asked)
    best = venue.books[name].best(asked.side.other)
    check_price(venue, asked.instrument, asked.side, asked.price)
    if not asked.reduce_only:
        _check_margin(venue, account, asked, asked.price or (best[0] if best else venue.last[name]))
    order = _new_order(venue, account, asked, algo)
    if algo is not None:
        algo.status, algo.order_id = "effective", order.id
        venue.tell_algo(algo)
    takes = best is not None and bool(asked.price) and asked.side.reaches(asked.price, best[0])
    if asked.type == "post_only" and takes:
        matching.close(venue, order, matching.POST_ONLY)
    elif asked.type == "fok" and venue.books[name].available(asked.side, asked.price) < asked.qty:
        matching.close(venue, order, matching.FOK)
    else:
        venue.tell_order(order)
        _match_or_hold(venue, order)
    return order


def _match_or_hold(venue: Venue, order: Order) -> None:
    if not venue.conduct.hold_fills:
        matching.match(venue, order)
    elif order.price:
        venue.rest(order)


def _fit_to_position(account: Account, asked: Asked) -> None:
    """A reduce-only order is cut to what it can reduce."""
    if asked.reduce_only:
        reducible = money.reducible(account.positions.get(asked.instrument.name), asked.side.sign)
        if not reducible:
            raise VenueError(51169)
        asked.qty = min(asked.qty, reducible)


def check_price(venue: Venue, instrument: Instrument, side: Side, price: Decimal) -> None:
    """Raises: VenueError: 51006 if a limit price is too far on the wrong side of the mark."""
    limit = venue.mark(instrument.name) * (1 + BAND * side.sign)
    if price and not side.reaches(limit, price):
        raise VenueError(51006, instrument.text(limit.quantize(instrument.tick)))


def _check_margin(venue: Venue, account: Account, asked: Asked, price: Decimal) -> None:
    against = money.reducible(account.positions.get(asked.instrument.name), asked.side.sign)
    opening = max(ZERO, asked.qty - against) * asked.instrument.contract * price
    if opening / money.leverage(account, asked.instrument.name) > venue.free_margin(account):
        raise VenueError(51008)


def _new_order(venue: Venue, account: Account, asked: Asked, algo: Algo | None) -> Order:
    order_id = venue.next_id()
    order = Order(
        id=order_id,
        account=account.name,
        client_id=asked.client_id,
        instrument=asked.instrument.name,
        side=asked.side,
        type=asked.type,
        qty=asked.qty,
        price=asked.price,
        time_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        turn=order_id,
        mode=asked.mode,
        tag=asked.tag,
        reduce_only=asked.reduce_only,
        algo_id=algo.id if algo else 0,
        algo_client_id=algo.client_id if algo else "",
    )
    venue.state.orders[order_id] = order
    return order


def find(venue: Venue, account: Account, params: Params, code: int) -> Order:
    """The newest order of that `ordId` or `clOrdId`.

    Raises:
        VenueError: `code` if there is none, 51000 if neither was sent.
    """
    order_id, client_id = str(params.get("ordId", "")), str(params.get("clOrdId", ""))
    if not order_id and not client_id:
        raise VenueError(51000, "ordId")
    for order in reversed(venue.state.orders.values()):
        same = str(order.id) == order_id if order_id else order.client_id == client_id
        if same and order.account == account.name:
            return order
    raise VenueError(code)


def cancel(venue: Venue, account: Account, params: Params) -> Order:
    """Cancels an order.

    Raises:
        VenueError: 51400 if there is none that is open.
    """
    order = find(venue, account, params, 51400)
    if not order.is_open:
        raise VenueError(51400)
    matching.close(venue, order, matching.BY_USER)
    if venue.conduct.fill_after_cancel > 0:
        venue.conduct.fill_after_cancel -= 1
        matching.fill(venue, order, order.left, order.price or venue.last[order.instrument], maker=True)
    return order


def amend(venue: Venue, account: Account, params: Params) -> Order:
    """Changes price (`newPx`) or quantity (`newSz`, with what is filled). An order keeps its turn only if it gets smaller at the same price.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    order = find(venue, account, params, 51503)
    instrument = venue.state.instruments[order.instrument]
    if not order.is_open:
        raise VenueError(51503)
    if not order.price:
        raise VenueError(51506)
    price = read.price(params, "newPx", instrument) or order.price
    qty = order.qty
    if params.get("newSz"):
        qty = read.quantity(params, "newSz", instrument, instrument.max_limit)
    if order.reduce_only:
        position = account.positions.get(order.instrument)
        qty = min(qty, order.filled + money.reducible(position, order.side.sign))
    if (price, qty) == (order.price, order.qty) or qty <= order.filled:
        raise VenueError(51000, "newSz" if qty <= order.filled else "newPx")
    _check_amended(venue, account, order, qty, price)
    if price != order.price or qty > order.qty:
        order.turn = venue.next_id()
    order.qty, order.price = qty, price
    best = venue.books[order.instrument].best(order.side.other)
    if order.type == "post_only" and best is not None and order.side.reaches(price, best[0]):
        matching.close(venue, order, matching.POST_ONLY)
        return order
    venue.tell_order(order)
    _match_or_hold(venue, order)
    return order


def _check_amended(venue: Venue, account: Account, order: Order, qty: Decimal, price: Decimal) -> None:
    instrument = venue.state.instruments[order.instrument]
    check_price(venue, instrument, order.side, price)
    more = ((qty - order.filled) * price - order.left * order.price) * instrument.contract
    if not order.reduce_only and more / money.leverage(account, order.instrument) > venue.free_margin(
        account
    ):
        raise VenueError(51008)
