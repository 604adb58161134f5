"""Every endpoint: who may ask, and what answers."""

from collections.abc import Callable
from enum import Enum

from exchanges.binance.core import (
    account_read,
    algos,
    batches,
    market_read,
    orders_read,
    settings,
    symbols_read,
    trading,
)
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.feed import Feed
from exchanges.binance.core.orders_read import Body
from exchanges.binance.core.params import Params
from exchanges.binance.core.state import Account
from exchanges.binance.core.venue import Venue

type Public = Callable[[Venue, Feed, Params], object]
type Private = Callable[[Venue, Account, Params], object]


class Right(Enum):
    """What a request needs: a key, a key and a signature, or beyond that a key that may trade."""

    KEY = "key"
    READ = "read"
    TRADE = "trade"


def _depth(venue: Venue, feed: Feed, params: Params) -> Body:
    name = venue.symbol(params).name
    return market_read.depth(venue, params, feed.update_ids[name])


def _one_open_order(venue: Venue, account: Account, params: Params) -> Body:
    order = orders_read.find(venue, account, params)
    if not order.is_open:
        raise VenueError(-2013)
    return batches.body_of(venue, order)


def _cancel_algo(venue: Venue, account: Account, params: Params) -> Body:
    try:
        algo = algos.find(venue, account, params)
    except VenueError as error:
        raise VenueError(-2011 if error.code == -2013 else error.code) from None
    algos.cancel(venue, algo)
    return {"algoId": algo.id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}


def _algo(venue: Venue, account: Account, params: Params) -> Body:
    algo = algos.find(venue, account, params)
    return orders_read.algo_body(algo, venue.state.symbols[algo.symbol])


def _place_algo(venue: Venue, account: Account, params: Params) -> Body:
    algo = algos.place(venue, account, params)
    return orders_read.algo_body(algo, venue.state.symbols[algo.symbol])


def _named(venue: Venue, params: Params) -> str | None:
    return venue.symbol(params).name if params.get("symbol") else None


PUBLIC: dict[str, Public] = {
    "/fapi/v1/ping": lambda *_: {},
    "/fapi/v1/time": lambda venue, *_: {"serverTime": venue.now_ms},
    "/fapi/v1/exchangeInfo": lambda venue, *_: symbols_read.exchange_info(venue),
    "/fapi/v1/depth": _depth,
    "/fapi/v1/klines": lambda venue, feed, p: market_read.klines(venue, feed.candles, p),
    "/fapi/v1/trades": lambda venue, feed, p: market_read.trades(venue, list(feed.prints), p),
    "/fapi/v1/historicalTrades": lambda venue, feed, p: market_read.trades(venue, list(feed.prints), p),
    "/fapi/v1/aggTrades": lambda venue, feed, p: market_read.agg_trades(venue, list(feed.prints), p),
    "/fapi/v1/premiumIndex": lambda venue, _, p: market_read.premium_index(venue, p),
    "/fapi/v1/fundingRate": lambda venue, _, p: market_read.funding_rate(venue, p),
    "/fapi/v1/ticker/price": lambda venue, _, p: market_read.ticker_price(venue, p),
    "/fapi/v2/ticker/price": lambda venue, _, p: market_read.ticker_price(venue, p),
    "/fapi/v1/ticker/bookTicker": lambda venue, _, p: market_read.ticker_book(venue, p),
}

PRIVATE: dict[tuple[str, str], tuple[Right, Private]] = {
    ("POST", "/fapi/v1/listenKey"): (
        Right.KEY,
        lambda venue, account, _: settings.open_listen_key(venue, account),
    ),
    ("PUT", "/fapi/v1/listenKey"): (
        Right.KEY,
        lambda venue, account, _: settings.keep_listen_key(venue, account),
    ),
    ("DELETE", "/fapi/v1/listenKey"): (Right.KEY, lambda _, account, __: settings.close_listen_key(account)),
    ("GET", "/fapi/v2/account"): (Right.READ, account_read.account),
    ("GET", "/fapi/v3/account"): (Right.READ, account_read.account),
    ("GET", "/fapi/v2/balance"): (Right.READ, account_read.balance),
    ("GET", "/fapi/v3/balance"): (Right.READ, account_read.balance),
    ("GET", "/fapi/v2/positionRisk"): (Right.READ, account_read.position_risk_all),
    ("GET", "/fapi/v3/positionRisk"): (Right.READ, account_read.position_risk),
    ("GET", "/fapi/v1/symbolConfig"): (Right.READ, account_read.symbol_config),
    ("GET", "/fapi/v1/leverageBracket"): (Right.READ, account_read.leverage_bracket),
    ("GET", "/fapi/v1/commissionRate"): (Right.READ, account_read.commission_rate),
    ("GET", "/fapi/v1/income"): (Right.READ, account_read.income),
    ("GET", "/fapi/v1/positionSide/dual"): (
        Right.READ,
        lambda _, account, __: {"dualSidePosition": account.hedge},
    ),
    ("POST", "/fapi/v1/positionSide/dual"): (Right.TRADE, settings.set_position_mode),
    ("POST", "/fapi/v1/leverage"): (Right.TRADE, settings.set_leverage),
    ("POST", "/fapi/v1/marginType"): (Right.TRADE, settings.set_margin_type),
    ("POST", "/fapi/v1/order"): (
        Right.TRADE,
        lambda venue, a, p: batches.body_of(venue, trading.place(venue, a, p)),
    ),
    ("PUT", "/fapi/v1/order"): (
        Right.TRADE,
        lambda venue, a, p: batches.body_of(venue, trading.amend(venue, orders_read.find(venue, a, p), p)),
    ),
    ("DELETE", "/fapi/v1/order"): (Right.TRADE, batches.cancel_one),
    ("GET", "/fapi/v1/order"): (
        Right.READ,
        lambda venue, a, p: batches.body_of(venue, orders_read.find(venue, a, p)),
    ),
    ("GET", "/fapi/v1/openOrder"): (Right.READ, _one_open_order),
    ("GET", "/fapi/v1/openOrders"): (
        Right.READ,
        lambda venue, a, p: [batches.body_of(venue, o) for o in venue.open_orders(a, _named(venue, p))],
    ),
    ("GET", "/fapi/v1/allOrders"): (Right.READ, orders_read.all_orders),
    ("GET", "/fapi/v1/userTrades"): (Right.READ, orders_read.user_trades),
    ("DELETE", "/fapi/v1/allOpenOrders"): (Right.TRADE, batches.cancel_all),
    ("POST", "/fapi/v1/batchOrders"): (Right.TRADE, batches.place),
    ("PUT", "/fapi/v1/batchOrders"): (Right.TRADE, batches.amend),
    ("DELETE", "/fapi/v1/batchOrders"): (Right.TRADE, batches.cancel),
    ("POST", "/fapi/v1/algoOrder"): (Right.TRADE, _place_algo),
    ("GET", "/fapi/v1/algoOrder"): (Right.READ, _algo),
    ("DELETE", "/fapi/v1/algoOrder"): (Right.TRADE, _cancel_algo),
    ("GET", "/fapi/v1/openAlgoOrders"): (
        Right.READ,
        lambda venue, a, p: [
            orders_read.algo_body(algo, venue.state.symbols[algo.symbol])
            for algo in venue.open_algos(a, _named(venue, p))
        ],
    ),
    ("GET", "/fapi/v1/allAlgoOrders"): (Right.READ, orders_read.all_algos),
    ("DELETE", "/fapi/v1/algoOpenOrders"): (Right.TRADE, batches.cancel_all_algos),
}
