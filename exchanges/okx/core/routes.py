"""What the exchange does, one row per endpoint and per operation of the private WebSocket."""

from collections.abc import Callable

from exchanges.okx.core import account_read, algos, market_read, orders_read, trading
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.feed import Feed
from exchanges.okx.core.state import Account, Algo, Order
from exchanges.okx.core.venue import Params, Venue

type Public = Callable[[Venue, Feed, Params], object]
type Read = Callable[[Venue, Account, Params], object]
type Act = Callable[[Venue, Account, Params], Order | Algo]

MOST = 20  # orders of one request
V5 = "/api/v5"


def _plain(act: Callable[[Venue, Params], object]) -> Public:
    return lambda venue, _, params: act(venue, params)


PUBLIC: dict[str, Public] = {
    f"{V5}/public/time": _plain(market_read.time),
    f"{V5}/public/instruments": _plain(market_read.instruments),
    f"{V5}/public/mark-price": _plain(market_read.mark_price),
    f"{V5}/public/funding-rate": _plain(market_read.funding_rate),
    f"{V5}/public/funding-rate-history": _plain(market_read.funding_history),
    f"{V5}/public/price-limit": _plain(market_read.price_limit),
    f"{V5}/market/index-tickers": _plain(market_read.index_tickers),
    f"{V5}/market/tickers": _plain(market_read.tickers),
    f"{V5}/market/ticker": _plain(market_read.tickers),
    f"{V5}/market/books": _plain(market_read.books),
    f"{V5}/market/trades": lambda venue, feed, params: market_read.trades(venue, feed.prints, params),
    f"{V5}/market/history-trades": lambda venue, feed, params: market_read.trades(venue, feed.prints, params),
    f"{V5}/market/candles": lambda venue, feed, params: market_read.candles(venue, feed.candles, params),
    f"{V5}/market/history-candles": lambda v, feed, params: market_read.candles(v, feed.candles, params),
}
READS: dict[str, Read] = {
    f"{V5}/account/balance": account_read.balance,
    f"{V5}/account/positions": account_read.positions,
    f"{V5}/account/config": account_read.config,
    f"{V5}/account/trade-fee": account_read.trade_fee,
    f"{V5}/account/leverage-info": account_read.leverage_info,
    f"{V5}/account/bills": account_read.bills,
    f"{V5}/trade/order": orders_read.order,
    f"{V5}/trade/orders-pending": orders_read.pending,
    f"{V5}/trade/orders-history": orders_read.history,
    f"{V5}/trade/orders-history-archive": orders_read.archive,
    f"{V5}/trade/fills": orders_read.fills,
    f"{V5}/trade/fills-history": orders_read.fills_archive,
    f"{V5}/trade/order-algo": orders_read.algo,
    f"{V5}/trade/orders-algo-pending": orders_read.algos_pending,
    f"{V5}/trade/orders-algo-history": orders_read.algos_history,
}
SETS: dict[str, Read] = {
    f"{V5}/account/set-leverage": account_read.set_leverage,
    f"{V5}/account/set-position-mode": account_read.set_position_mode,
}
ACTS: dict[str, Act] = {
    f"{V5}/trade/order": trading.place,
    f"{V5}/trade/batch-orders": trading.place,
    f"{V5}/trade/cancel-order": trading.cancel,
    f"{V5}/trade/cancel-batch-orders": trading.cancel,
    f"{V5}/trade/amend-order": trading.amend,
    f"{V5}/trade/amend-batch-orders": trading.amend,
    f"{V5}/trade/order-algo": algos.place,
    f"{V5}/trade/cancel-algos": algos.cancel,
    f"{V5}/trade/cancel-advance-algos": algos.cancel,
    f"{V5}/trade/amend-algos": algos.amend,
}
OPERATIONS: dict[str, Act] = {
    "order": trading.place,
    "batch-orders": trading.place,
    "cancel-order": trading.cancel,
    "batch-cancel-orders": trading.cancel,
    "amend-order": trading.amend,
    "batch-amend-orders": trading.amend,
}
PLACES = (trading.place, algos.place)


def do_each(venue: Venue, account: Account, act: Act, asked: list[Params]) -> tuple[str, list[object]]:
    """Does something for each of several orders: the code of the whole (0 all done, 1 none, 2 some), and a row for each.

    Raises:
        VenueError: if there are none or too many, or the key may not trade; then nothing was done.
    """
    if not account.can_trade:
        raise VenueError(50120)
    if not 1 <= len(asked) <= MOST:
        raise VenueError(51000, "args")
    rows = [_row(venue, account, act, params) for params in asked]
    refused = sum(row["sCode"] != "0" for row in rows)
    return ("0" if not refused else "1" if refused == len(rows) else "2"), list(rows)


def _row(venue: Venue, account: Account, act: Act, params: Params) -> dict[str, object]:
    code, words, done = "0", "", None
    try:
        done = act(venue, account, params)
    except VenueError as error:
        code, words = str(error.code), error.text
    number, client_id = (
        ("algoId", "algoClOrdId") if act.__module__ == algos.__name__ else ("ordId", "clOrdId")
    )
    return {
        number: str(done.id) if done else str(params.get(number, "")),
        client_id: done.client_id if done else str(params.get(client_id, "")),
        "tag": str(params.get("tag", "")),
        "ts": str(venue.now_ms),
        "sCode": code,
        "sMsg": words,
    }
