"""What is asked about orders and trades: bodies, windows of time, pages."""

from collections.abc import Callable, Iterable

from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.events import plain
from exchanges.binance.core.params import Params, integer, whole
from exchanges.binance.core.state import Account, Algo, Order, Symbol, Trade
from exchanges.binance.core.venue import Venue

DAY_MS = 86_400_000
WINDOW_MS = 7 * DAY_MS
ORDER_HISTORY_MS = 90 * DAY_MS
UNFILLED_HISTORY_MS = 3 * DAY_MS

type Body = dict[str, object]


def find(venue: Venue, account: Account, params: Params) -> Order:
    """The newest order of that `orderId` or `origClientOrderId`.

    Raises:
        VenueError: -2013 if there is none, -1102 if neither was sent.
    """
    symbol, order_id, client_id = (
        venue.symbol(params),
        integer(params, "orderId"),
        params.get("origClientOrderId", ""),
    )
    if order_id is None and not client_id:
        raise VenueError(-1102, "orderId")
    orders = venue.state.orders
    named = (
        reversed(orders.values()) if order_id is None else [orders[order_id]] if order_id in orders else []
    )
    for order in named:
        mine = order.account == account.name and order.symbol == symbol.name
        if mine and (order_id is not None or order.client_id == client_id):
            return order
    raise VenueError(-2013)


def order_body(order: Order, symbol: Symbol) -> Body:
    """An order as REST shows it. For futures there must be no `orderListId`."""
    body: Body = {
        "symbol": order.symbol,
        "orderId": order.id,
        "clientOrderId": order.client_id,
        "price": symbol.text(order.price) if order.price else "0",
        "origQty": symbol.amount(order.qty),
        "executedQty": symbol.amount(order.filled),
        "cumQty": symbol.amount(order.filled),
        "cumQuote": plain(order.cost),
        "avgPrice": plain(order.average),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "origType": order.orig_type,
        "side": order.side.value,
        "positionSide": order.position_side,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "stopPrice": symbol.text(order.stop_price) if order.stop_price else "0",
        "workingType": order.working_type,
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": order.good_till_ms,
        "time": order.time_ms,
        "updateTime": order.updated_ms,
    }
    return body


def algo_body(algo: Algo, symbol: Symbol) -> Body:
    """A conditional order as REST shows it."""
    body: Body = {
        "algoId": algo.id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side.value,
        "positionSide": algo.position_side,
        "timeInForce": algo.tif,
        "quantity": symbol.amount(algo.qty) if algo.qty else "",
        "algoStatus": algo.status,
        "triggerPrice": symbol.text(algo.trigger) if algo.trigger else "0",
        "price": symbol.text(algo.price) if algo.price else "0",
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": False,
        "reduceOnly": algo.reduce_only,
        "selfTradePreventionMode": "NONE",
        "createTime": algo.time_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.good_till_ms,
        "actualOrderId": str(algo.order_id) if algo.order_id else "",
    }
    if algo.callback:
        body |= {
            "callbackRate": plain(algo.callback),
            "activatePrice": symbol.text(algo.activate) if algo.activate else None,
        }
    return body


def trade_body(trade: Trade, symbol: Symbol) -> Body:
    """A fill as REST shows it."""
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "side": trade.side.value,
        "positionSide": trade.position_side,
        "price": symbol.text(trade.price),
        "qty": symbol.amount(trade.qty),
        "quoteQty": plain(trade.price * trade.qty),
        "realizedPnl": f"{trade.realized:.8f}",
        "commission": f"{trade.fee:.8f}",
        "commissionAsset": "USDT",
        "marginAsset": "USDT",
        "time": trade.time_ms,
        "buyer": trade.side.sign > 0,
        "maker": trade.maker,
    }


def limit(params: Params, most: int = 1000, default: int = 500) -> int:
    """How many rows are asked for; more than the venue gives is cut to that.

    Raises:
        VenueError: -1130 if it is not positive.
    """
    asked = whole(params, "limit", default)
    if asked < 1:
        raise VenueError(-1130, "limit")
    return min(asked, most)


def window(params: Params, now_ms: int) -> tuple[int, int]:
    """From and until when, in Unix milliseconds: at most seven days, the last seven if nothing was said.

    Raises:
        VenueError: -4165 if it is longer, or ends before it starts.
    """
    start, end = integer(params, "startTime"), integer(params, "endTime")
    if start is None:
        end = now_ms if end is None else end
        start = end - WINDOW_MS
    elif end is None:
        end = start + WINDOW_MS
    if not start <= end <= start + WINDOW_MS:
        raise VenueError(-4165)
    return start, end


def page[T](
    rows: Iterable[T], params: Params, from_name: str, at: Callable[[T], tuple[int, int]], now_ms: int
) -> list[T]:
    """The rows that are asked for, oldest first: from an id on, or within a window; of a window without a start, the newest. `at` gives a row's id and time."""
    count, first = limit(params), integer(params, from_name)
    if first is not None:
        return [row for row in rows if at(row)[0] >= first][:count]
    start, end = window(params, now_ms)
    found = [row for row in rows if start <= at(row)[1] <= end]
    return found[:count] if params.get("startTime") else found[-count:]


def all_orders(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Orders of a symbol, as far back as the venue keeps them: 90 days, 3 if they ended without a fill."""
    symbol, now_ms = venue.symbol(params), venue.now_ms
    kept = [
        order
        for order in venue.state.orders.values()
        if order.account == account.name
        and order.symbol == symbol.name
        and (
            order.is_open
            or order.time_ms >= now_ms - (ORDER_HISTORY_MS if order.filled else UNFILLED_HISTORY_MS)
        )
    ]
    return [order_body(o, symbol) for o in page(kept, params, "orderId", lambda o: (o.id, o.time_ms), now_ms)]


def user_trades(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Fills of a symbol."""
    symbol = venue.symbol(params)
    order_id = integer(params, "orderId")
    if params.get("fromId") and (params.get("startTime") or params.get("endTime")):
        raise VenueError(-1128)
    trades = [
        t
        for t in venue.state.trades
        if t.account == account.name and t.symbol == symbol.name and order_id in (None, t.order_id)
    ]
    return [
        trade_body(t, symbol)
        for t in page(trades, params, "fromId", lambda t: (t.id, t.time_ms), venue.now_ms)
    ]


def all_algos(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Conditional orders of a symbol."""
    symbol = venue.symbol(params)
    algos = [a for a in venue.state.algos.values() if a.account == account.name and a.symbol == symbol.name]
    return [
        algo_body(a, symbol) for a in page(algos, params, "algoId", lambda a: (a.id, a.time_ms), venue.now_ms)
    ]
