"""What a client may do with orders: place, modify by the same id, cancel; and why it may not."""

from collections.abc import Sequence
from decimal import Decimal

from exchanges.interactive_brokers.core import money
from exchanges.interactive_brokers.core.asked import Asked, read
from exchanges.interactive_brokers.core.errors import MESSAGES, Refusal
from exchanges.interactive_brokers.core.matching import close, match
from exchanges.interactive_brokers.core.state import Contract, Order
from exchanges.interactive_brokers.core.triggers import first_stop
from exchanges.interactive_brokers.core.venue import Venue


def place(venue: Venue, client: int, order_id: int, fields: Sequence[str]) -> Order:
    """Takes a new order, or changes the one of that id, and matches it.

    Raises:
        Refusal: if it breaks a rule; then nothing has changed.
    """
    known = venue.order(client, order_id) if order_id else None
    if known is None and order_id and order_id < venue.state.next_order.get(client, 1):
        raise Refusal(103)
    asked = read(fields, venue.state)
    if known is not None:
        return modify(venue, known, asked)
    return enter(venue, client, order_id, asked)


def enter(venue: Venue, client: int, order_id: int, asked: Asked) -> Order:
    """Takes a new order in good form; `client` and `order_id` 0 are of one made by hand. It is Inactive if there is no margin for it, or the contract is halted.

    Raises:
        Refusal: 135 if there is no such parent.
    """
    parent = venue.order(client, asked.parent) if asked.parent else None
    if asked.parent and parent is None:
        raise Refusal(135, asked.parent)
    order = new_order(venue, client, order_id, asked)
    order.held = parent is not None and parent.status != "Filled"
    if order.held or order.type not in ("MKT", "LMT"):
        order.status = "PreSubmitted"
    reason = "" if order.held else _why_not(venue, order, asked.contract, order.qty)
    if reason:
        order.status = "Inactive"
        venue.add(order)
        venue.tell_error(order, 201, MESSAGES[201].format(reason))
        venue.tell_status(order)
        return order
    venue.add(order)
    if order.type.startswith("TRAIL") and order.trail_stop is None:
        order.trail_stop = first_stop(venue, order)
    venue.tell_order(order)
    match(venue, order)
    return order


def new_order(venue: Venue, client: int, order_id: int, asked: Asked) -> Order:
    """An order as it was asked for, not yet among those that are kept."""
    number = venue.next_number()
    if order_id:
        venue.state.next_order[client] = max(order_id + 1, venue.state.next_order.get(client, 1))
    terms = {name: getattr(asked, name) for name in asked.__struct_fields__ if name != "contract"}
    return Order(
        perm_id=number,
        id=order_id,
        client=client,
        con_id=asked.contract.con_id,
        time_ms=venue.now_ms,
        turn=number,
        **terms,
    )


def _why_not(venue: Venue, order: Order, contract: Contract, qty: Decimal) -> str:
    """Why `qty` more may not be traded; empty if it may."""
    if contract.halted:
        return "The contract is not available for trading."
    account = venue.state.accounts[order.account]
    opening = money.opening_qty(account.position(contract.con_id), order.side, qty)
    touch = venue.touch(contract.con_id)
    price = order.limit or (touch.ask if order.side.sign > 0 else touch.bid)
    needed = opening * price * contract.multiplier * money.INITIAL[contract.kind]
    available = venue.funds(account).available
    if needed > available:
        return f"YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE [{available:.2f} USD] MUST EXCEED THE INITIAL MARGIN [{needed:.2f} USD]"
    return ""


def modify(venue: Venue, order: Order, asked: Asked) -> Order:
    """Changes quantity and prices of an order. It keeps its turn only if it gets smaller at the same price.

    Raises:
        Refusal: if it is refused; then nothing has changed.
    """
    if not order.is_open:
        raise Refusal(104 if order.status == "Filled" else 103)
    same = (order.con_id, order.side, order.type, order.account)
    if (asked.contract.con_id, asked.side, asked.type, asked.account) != same or asked.qty <= order.filled:
        raise Refusal(105)
    more = asked.qty - order.qty
    if not order.held and more > 0 and (reason := _why_not(venue, order, asked.contract, more)):
        raise Refusal(201, reason)
    if asked.limit != order.limit or more > 0:
        order.turn = venue.next_number()
    venue.books[order.con_id].remove(order.perm_id)
    order.qty, order.aux, order.tif, order.good_till = asked.qty, asked.aux, asked.tif, asked.good_till
    if not order.type.startswith("TRAIL"):
        order.limit = asked.limit
    elif asked.trail_stop is not None:
        order.trail_stop = asked.trail_stop
    venue.tell_order(order)
    match(venue, order)
    return order


def cancel(venue: Venue, client: int, order_id: int) -> None:
    """Cancels an order of a client.

    Raises:
        Refusal: 10147 if there is none of that id, 10148 if it has ended.
    """
    order = venue.order(client, order_id)
    if order is None:
        raise Refusal(10147, order_id)
    if not order.is_open:
        raise Refusal(10148, order_id, order.status)
    close(venue, order)


def cancel_all(venue: Venue) -> None:
    """Cancels every open order of every client, as the venue does it."""
    for order in venue.open_orders():
        close(venue, order)
