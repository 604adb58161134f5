"""Orders by the dozen: placed, amended, cancelled. Each row is answered on its own."""

from collections.abc import Callable

import msgspec

from exchanges.binance.core import algos, orders_read, trading
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.orders_read import Body
from exchanges.binance.core.params import Params, text
from exchanges.binance.core.state import Account, Order
from exchanges.binance.core.venue import Venue

PLACED, CANCELLED = 5, 10


def body_of(venue: Venue, order: Order) -> Body:
    """An order as REST shows it."""
    return orders_read.order_body(order, venue.state.symbols[order.symbol])


def place(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Places up to five orders."""
    return _each(_orders(params), lambda row: body_of(venue, trading.place(venue, account, row)))


def amend(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Amends up to five orders."""
    return _each(
        _orders(params),
        lambda row: body_of(venue, trading.amend(venue, orders_read.find(venue, account, row), row)),
    )


def cancel(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Cancels up to ten orders by `orderIdList` or `origClientOrderIdList`."""
    symbol = venue.symbol(params).name
    by_id, by_client_id = params.get("orderIdList", ""), params.get("origClientOrderIdList", "")
    if not by_id and not by_client_id:
        raise VenueError(-1102, "orderIdList")
    name, listed = ("orderId", by_id) if by_id else ("origClientOrderId", by_client_id)
    rows = [{"symbol": symbol, name: str(value)} for value in _list(listed, f"{name}List")]
    if not 1 <= len(rows) <= CANCELLED:
        raise VenueError(-4082)
    return _each(rows, lambda row: cancel_one(venue, account, row))


def _to_cancel(venue: Venue, account: Account, params: Params) -> Order:
    """The order to cancel; an unknown one is -2011 here, not -2013."""
    try:
        return orders_read.find(venue, account, params)
    except VenueError as error:
        raise VenueError(-2011 if error.code == -2013 else error.code) from None


def cancel_one(venue: Venue, account: Account, params: Params) -> Body:
    """Cancels one order.

    Raises:
        VenueError: -2011 if there is no such open order.
    """
    return body_of(venue, trading.cancel(venue, _to_cancel(venue, account, params)))


def cancel_all(venue: Venue, account: Account, params: Params) -> Body:
    """Cancels all orders of a symbol."""
    for order in venue.open_orders(account, venue.symbol(params).name):
        trading.cancel(venue, order)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def cancel_all_algos(venue: Venue, account: Account, params: Params) -> Body:
    """Cancels all conditional orders of a symbol."""
    for algo in venue.open_algos(account, venue.symbol(params).name):
        algos.cancel(venue, algo)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _each(rows: list[dict[str, str]], act: Callable[[Params], Body]) -> list[Body]:
    """Every row answered on its own, a refused one with its code."""
    answers: list[Body] = []
    for row in rows:
        try:
            answers.append(act(row))
        except VenueError as error:
            answers.append(error.body())
    return answers


def _orders(params: Params) -> list[dict[str, str]]:
    rows = _list(text(params, "batchOrders"), "batchOrders")
    if not 1 <= len(rows) <= PLACED:
        raise VenueError(-4082)
    if not all(isinstance(row, dict) for row in rows):
        raise VenueError(-1130, "batchOrders")
    return [{str(name): str(value) for name, value in row.items()} for row in rows if isinstance(row, dict)]


def _list(value: str, name: str) -> list[object]:
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError:
        raise VenueError(-1130, name) from None
    if not isinstance(found, list):
        raise VenueError(-1130, name)
    return found
